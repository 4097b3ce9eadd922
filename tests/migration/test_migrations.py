"""The runner: repeated and concurrent runs are harmless, and it refuses by name whatever it must not touch."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, LiteralString

import procrastinate
import psycopg
import pytest

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.reports.inspection import inspect
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate, pending_migrations
from src.errors import ConfigError, Misconfigured, Unavailable
from src.paths import sql_root
from tests.support.cluster import Cluster

ALL = [
    *(
        f"{kind}/{path.name}"
        for kind in ("migrations", "repeatable")
        for path in sorted((sql_root() / kind).glob("*.sql"))
    ),
    "procrastinate/schema.sql",
]
QUEUE = Path(procrastinate.__file__).parent / "sql"
LEDGER = [*ALL, *(f"procrastinate/{path.name}" for path in (QUEUE / "migrations").glob("*.sql"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of sql/ that a test may change; the next migration in it is number 9001."""
    return Path(shutil.copytree(sql_root(), tmp_path / "sql"))


def options(url: str, folder: Path | None = None, **others: Any) -> MigrationOptions:
    return MigrationOptions(url, sql_folder=folder, **others)


def add(folder: Path, name: str, text: str) -> None:
    (folder / "migrations" / name).write_text(text, encoding="utf-8")


async def rows(url: str, statement: LiteralString) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        cursor = await connection.execute(statement)
        return await cursor.fetchall() if cursor.description else []


async def exists(url: str, table: str) -> bool:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT to_regclass(%s) IS NOT NULL", [table])).fetchone()
        return bool(row and row[0])


async def test_applies_all_once_in_order_and_tells(empty_database: str) -> None:
    told: list[str] = []
    assert await pending_migrations(empty_database, "market_data") == ALL
    assert await migrate(options(empty_database), told.append) == ALL
    assert told == ALL
    assert await pending_migrations(empty_database, "market_data") == []
    assert await migrate(options(empty_database), told.append) == []
    assert await rows(empty_database, "SELECT name FROM market_data.schema_migration ORDER BY name") == [
        (name,) for name in sorted(LEDGER)
    ]


async def test_of_four_at_once_one_applies(empty_database: str, folder: Path) -> None:
    """With an index built concurrently among them: waiting for the lock inside PostgreSQL would deadlock here."""
    add(
        folder,
        "9001_index.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS i ON gap_events (reason);",
    )
    results = await asyncio.gather(*(migrate(options(empty_database, folder)) for _ in range(4)))
    assert sorted(len(result) for result in results) == [0, 0, 0, len(ALL) + 1]
    assert await exists(empty_database, "market_data.i")


async def test_two_schemas_live_side_by_side(empty_database: str) -> None:
    names = ["market_data", 'Odd "name"; DROP SCHEMA public']
    await asyncio.gather(*(migrate(options(empty_database, schema=name)) for name in names))
    for name in names:
        assert await pending_migrations(empty_database, name) == []
    found = await rows(
        empty_database, "SELECT DISTINCT hypertable_schema::text FROM timescaledb_information.hypertables"
    )
    assert sorted(name for (name,) in found) == sorted(names)


async def test_the_extension_may_lie_in_any_schema(cluster: Cluster) -> None:
    admin = await asyncio.to_thread(lambda: cluster.admin_url)
    await rows(admin, "CREATE DATABASE elsewhere")
    url = psycopg.conninfo.make_conninfo(admin, dbname="elsewhere")
    await rows(url, "DROP EXTENSION IF EXISTS timescaledb")
    await rows(url, 'CREATE SCHEMA "Ext ension"')
    await rows(url, 'CREATE EXTENSION timescaledb WITH SCHEMA "Ext ension"')
    assert await migrate(options(url)) == ALL
    store = CandleStore(DatabaseOptions(url))
    await store.open()
    await store.close()
    assert "candles_1m" in {table.name for table in (await inspect(url, "market_data", "any")).tables}


async def test_chunk_days_are_honoured(empty_database: str) -> None:
    await migrate(options(empty_database, chunk_days=3))
    found = await rows(
        empty_database,
        "SELECT hypertable_name, extract(day FROM time_interval)::integer FROM timescaledb_information.dimensions",
    )
    days = dict(found)
    assert days.pop("bars") == 8 * 3
    assert len(days) >= 4
    assert set(days.values()) == {3}, "of every other hypertable"


async def test_an_edited_file_is_refused_by_name(empty_database: str, folder: Path) -> None:
    await migrate(options(empty_database, folder))
    add(
        folder, "0002_ledgers.sql", (folder / "migrations" / "0002_ledgers.sql").read_text() + "\n-- edited\n"
    )
    add(folder, "9001_next.sql", "CREATE TABLE next (n int);")
    with pytest.raises(ConfigError, match=r"0002_ledgers\.sql: was edited"):
        await migrate(options(empty_database, folder))
    assert not await exists(empty_database, "market_data.next")


async def test_a_file_gone_missing_is_refused_by_name(empty_database: str, folder: Path) -> None:
    await migrate(options(empty_database, folder))
    (folder / "migrations" / "0001_candles.sql").unlink()
    with pytest.raises(ConfigError, match=r"0001_candles\.sql: was applied, but its file is gone"):
        await migrate(options(empty_database, folder))


async def test_a_file_numbered_before_an_applied_one_is_refused_by_name(
    empty_database: str, folder: Path
) -> None:
    add(folder, "9002_late.sql", "SELECT 1;")
    await migrate(options(empty_database, folder))
    add(folder, "9001_early.sql", "SELECT 1;")
    with pytest.raises(ConfigError, match=r"9001_early\.sql: is numbered before .*9002_late\.sql"):
        await migrate(options(empty_database, folder))


async def test_a_failing_file_leaves_nothing_and_is_named(empty_database: str, folder: Path) -> None:
    add(folder, "9001_bad.sql", "CREATE TABLE half (n int);\nSELECT 1 / 0;")
    with pytest.raises(Misconfigured, match=r"9001_bad\.sql: division by zero.*22012"):
        await migrate(options(empty_database, folder))
    assert not await exists(empty_database, "market_data.half")
    later = [name for name in ALL if not name.startswith("migrations/")]
    assert await pending_migrations(empty_database, "market_data") == later
    add(folder, "9001_bad.sql", "CREATE TABLE half (n int);")
    assert await migrate(options(empty_database, folder)) == ["migrations/9001_bad.sql", *later]


@pytest.mark.parametrize(
    "text",
    [
        "-- no-transaction\nCREATE TABLE a (n int);\nCREATE TABLE b (n int);",
        "CREATE TABLE a (n int);\nCOMMIT;\nCREATE TABLE b (n int);",
    ],
    ids=["two statements", "its own commit"],
)
async def test_a_file_that_could_be_applied_by_halves_is_refused(
    empty_database: str, folder: Path, text: str
) -> None:
    add(folder, "9001_halves.sql", text)
    with pytest.raises((ConfigError, Misconfigured), match=r"9001_halves\.sql"):
        await migrate(options(empty_database, folder))
    assert "9001" not in str(await rows(empty_database, "SELECT name FROM market_data.schema_migration"))


async def test_percent_signs_and_dollar_quotes_pass_untouched(empty_database: str, folder: Path) -> None:
    add(folder, "9001_text.sql", "CREATE TABLE t AS SELECT '100 % (s) %s {x}' AS a, $$ $1; -- $$ AS b;")
    await migrate(options(empty_database, folder))
    assert await rows(empty_database, "SELECT * FROM market_data.t") == [("100 % (s) %s {x}", " $1; -- ")]


async def test_a_repeatable_file_is_applied_again_when_it_changes(empty_database: str, folder: Path) -> None:
    await migrate(options(empty_database, folder))
    view = folder / "repeatable" / "an_answer.sql"
    for answer in ("1", "2"):
        view.write_text(f"CREATE OR REPLACE VIEW an_answer AS SELECT {answer} AS n;")
        assert await migrate(options(empty_database, folder)) == ["repeatable/an_answer.sql"]
        assert await rows(empty_database, "SELECT n FROM market_data.an_answer") == [(int(answer),)]
        assert await migrate(options(empty_database, folder)) == []


@pytest.mark.parametrize(
    "make",
    [
        "CREATE TABLE market_data.klines (n int); CREATE VIEW market_data.latest AS SELECT 1",
        "CREATE TABLE market_data.klines (n int); CREATE TABLE market_data.schema_migration (id int)",
    ],
    ids=["no ledger", "another program's ledger"],
)
async def test_a_schema_of_another_program_is_refused_by_name(
    empty_database: str, make: LiteralString
) -> None:
    await rows(empty_database, "CREATE SCHEMA market_data")
    await rows(empty_database, make)
    with pytest.raises(ConfigError, match=r"schema market_data: .*klines.*KLINE_DB_SCHEMA"):
        await migrate(options(empty_database))
    with pytest.raises(ConfigError, match="klines"):
        await pending_migrations(empty_database, "market_data")
    assert not await exists(empty_database, "market_data.candles_1m")


async def test_a_lock_that_is_never_freed_is_given_up(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as other:
        await other.execute("SELECT pg_advisory_lock(%s)", [0x6D61726B65746400])
        with pytest.raises(Unavailable, match="another migration"):
            await migrate(options(empty_database, wait_s=0.2))


async def test_a_server_that_is_away_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        await migrate(options("postgresql://nobody@127.0.0.1:1/none"))
