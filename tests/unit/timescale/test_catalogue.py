"""The migration files: named as they must be, and never edited once they are merged."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from src.adapters.timescale.schema.catalogue import Catalogue, SqlFile, read_catalogue
from src.errors import ConfigError
from src.paths import sql_root


def catalogue(*names: str) -> Catalogue:
    files = [SqlFile(name, name.encode()) for name in names]
    return Catalogue(
        tuple(file for file in files if file.name.startswith("migrations/")),
        tuple(file for file in files if file.name.startswith("repeatable/")),
    )


def ledger(of: Catalogue) -> dict[str, str]:
    return {file.name: file.sha256 for file in (*of.migrations, *of.repeatable)}


def test_frozen_lists_every_migration_with_its_hash() -> None:
    """An edit of a merged file fails here, before any database sees it; a new file is added with sha256sum."""
    folder = sql_root() / "migrations"
    lines = (folder / "frozen.txt").read_text(encoding="ascii").splitlines()
    frozen = {name: sha256 for sha256, name in (line.split() for line in lines)}
    assert {file.name: file.sha256 for file in read_catalogue().migrations} == frozen


def test_pending_are_new_files_in_order_and_then_changed_repeatable_ones() -> None:
    files = catalogue(
        "migrations/0001_a.sql", "migrations/0002_b.sql", "repeatable/x.sql", "repeatable/y.sql"
    )
    known = ledger(files)
    assert files.pending(known) == []
    del known["migrations/0002_b.sql"]
    known["repeatable/y.sql"] = "another hash"
    assert [file.name for file in files.pending(known)] == ["migrations/0002_b.sql", "repeatable/y.sql"]


def test_a_repeatable_file_may_change_and_go() -> None:
    known = ledger(catalogue("migrations/0001_a.sql", "repeatable/x.sql"))
    assert catalogue("migrations/0001_a.sql").problems({**known, "repeatable/x.sql": "old"}) == []


def test_every_problem_is_named_at_once() -> None:
    known = ledger(
        catalogue("migrations/0001_gone.sql", "migrations/0003_edited.sql", "migrations/0005_last.sql")
    )
    known["migrations/0003_edited.sql"] = "the hash it had"
    files = catalogue("migrations/0003_edited.sql", "migrations/0004_late.sql", "migrations/0005_last.sql")
    assert [problem.split(":")[0] for problem in files.problems(known)] == [
        "migrations/0001_gone.sql",
        "migrations/0003_edited.sql",
        "migrations/0004_late.sql",
    ]


@pytest.mark.parametrize(
    "name", ["1_short.sql", "0001-dash.sql", "0001_Upper.sql", "00010_long.sql", "notes.sql"]
)
def test_a_misnamed_migration_is_refused_by_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / name).write_text("SELECT 1;")
    with pytest.raises(ConfigError, match=name):
        read_catalogue(tmp_path)


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    for name in ("0001_one.sql", "0001_other.sql"):
        (tmp_path / "migrations" / name).write_text("SELECT 1;")
    with pytest.raises(ConfigError, match=r"0001_other\.sql: has the number of migrations/0001_one\.sql"):
        read_catalogue(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no migrations there"):
        read_catalogue(tmp_path)


def test_line_ends_do_not_change_the_hash() -> None:
    unix, dos = SqlFile("a", b"SELECT 1;\nSELECT 2;\n"), SqlFile("a", b"SELECT 1;\r\nSELECT 2;\r\n")
    assert unix.sha256 == dos.sha256 == hashlib.sha256(unix.text).hexdigest()


@pytest.mark.parametrize(
    ("text", "transactional"),
    [(b"-- no-transaction\nVACUUM;", False), (b"-- no-transaction\r\nVACUUM;", False), (b"VACUUM;", True)],
)
def test_the_first_line_decides_about_the_transaction(text: bytes, transactional: bool) -> None:
    assert SqlFile("a", text).transactional is transactional
