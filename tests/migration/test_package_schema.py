"""The queue's own tables come with its package: whole at first, step by step when the package is newer."""

from __future__ import annotations

import shutil
from pathlib import Path

import procrastinate
import psycopg
import pytest

from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.adapters.timescale.schema.package_schema import read_package_schema
from src.errors import ConfigError, Misconfigured


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of what the package ships, to which a test may add what a newer one would."""
    return Path(shutil.copytree(Path(procrastinate.__file__).parent / "sql", tmp_path / "sql"))


async def _column_is_there(url: str) -> bool:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        found = await connection.execute(
            "SELECT FROM information_schema.columns WHERE table_schema = 'market_data'"
            " AND table_name = 'procrastinate_jobs' AND column_name = 'colour'"
        )
        return bool(await found.fetchall())


async def test_a_newer_package_brings_its_new_steps_alone(empty_database: str, package: Path) -> None:
    options = MigrationOptions(empty_database, package_folder=package)
    assert "procrastinate/schema.sql" in await migrate(options)
    assert not await _column_is_there(empty_database)
    step = package / "migrations" / "99.00.00_01_pre_colour.sql"
    step.write_text("ALTER TABLE procrastinate_jobs ADD COLUMN colour text;", encoding="utf-8")
    assert await migrate(options) == [f"procrastinate/{step.name}"]
    assert await migrate(options) == []
    assert await _column_is_there(empty_database)
    # The package before it knows less than the ledger: nothing to do, and nothing wrong.
    step.unlink()
    assert await migrate(options) == []


async def test_a_step_that_fails_leaves_nothing_and_is_named(empty_database: str, package: Path) -> None:
    options = MigrationOptions(empty_database, package_folder=package)
    await migrate(options)
    step = package / "migrations" / "99.00.00_01_pre_colour.sql"
    step.write_text("ALTER TABLE procrastinate_jobs ADD COLUMN colour text; SELECT 1 / 0;", encoding="utf-8")
    with pytest.raises(Misconfigured, match=r"procrastinate/99.*division by zero"):
        await migrate(options)
    assert not await _column_is_there(empty_database)


def test_a_package_without_its_schema_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"schema\.sql"):
        read_package_schema(tmp_path)
