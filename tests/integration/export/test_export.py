"""``marketd export`` and ``marketd import --from-dir``: there and back, stopped on the way, and damaged."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import psycopg
import pytest

from src.adapters.export import manifest
from src.adapters.timescale.candles.repair import RepairStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.cli import main
from src.cli.export.command import DATASETS, Wanted
from src.errors import EXIT_CONFIG
from src.model import DAY_MS, Authority
from tests.support.eventually import eventually
from tests.support.processes import Child
from tests.support.templates import Templates

from .world import EXCHANGE, SYMBOLS, candles, contents, fill, months

_SHARDS = [f"S{number:02}USDT" for number in range(60)]


@pytest.fixture
def empty(database_templates: Templates) -> Iterator[str]:
    """Another database with our tables and no row."""
    with database_templates.clone(database_templates.migrated()) as url:
        yield url


def run(monkeypatch: pytest.MonkeyPatch, url: str, *arguments: str) -> int:
    monkeypatch.setenv("DATABASE_URL", url)
    return main(list(arguments))


def stamps(folder: Path) -> dict[Path, int]:
    """Every Parquet file below a folder, and when it was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}


def named(folder: Path) -> set[Path]:
    """The files that the manifest names."""
    return {folder / file.path for entry in manifest.read(folder).entries.values() for file in entry.files}


async def test_there_and_back(
    database: str,
    empty: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every row of every table is the same in another database, and importing again changes nothing."""
    await fill(database)
    before = contents(database)
    assert all(before.values()), "a table has no rows to lose"
    folder = tmp_path / "export"
    assert await _there(monkeypatch, database, folder) == 0
    assert await _back(monkeypatch, empty, folder) == 0
    assert contents(empty) == before
    capsys.readouterr()
    assert await _back(monkeypatch, empty, folder) == 0
    told = capsys.readouterr().out
    assert told.count(" 0 new, 0 in place of rows") == len(DATASETS), told
    assert contents(empty) == before


async def test_the_layout_is_of_files_that_anyone_reads(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(database)
    assert await _there(monkeypatch, database, tmp_path) == 0
    files = {path.relative_to(tmp_path).as_posix() for path in stamps(tmp_path)}
    assert f"candles_1m/{EXCHANGE}/BTCUSDT/2025-12.parquet" in files
    assert f"candles_1m/{EXCHANGE}/%2E%2EUSDT/2026-01.parquet" in files
    assert f"agg_trades/{EXCHANGE}/BTCUSDT/2025-12-31.parquet" in files
    assert "agg_trades/binance_spot/BTCUSDT/2026-01-01.parquet" in files
    assert named(tmp_path) == set(stamps(tmp_path))
    frame = pl.read_parquet(tmp_path / f"candles_1m/{EXCHANGE}/BTCUSDT/2026-01.parquet")
    assert frame.schema["bucket_ts"] == pl.Datetime("us", "UTC")
    assert len(frame) == 60


async def test_repeated_it_writes_what_has_changed(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await fill(database)
    assert await _there(monkeypatch, database, tmp_path) == 0
    before = stamps(tmp_path)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "UPDATE market_data.candles_1m SET volume = volume + 1, taker_buy_volume = 0, updated_at = now()"
            " WHERE symbol = 'BTCUSDT' AND bucket_ts = '2026-01-01 00:05Z'"
        )
    capsys.readouterr()
    assert await _there(monkeypatch, database, tmp_path) == 0
    assert "1 written" in capsys.readouterr().out
    changed = {path for path, _ in stamps(tmp_path).items() ^ before.items()}
    assert changed == {tmp_path / f"candles_1m/{EXCHANGE}/BTCUSDT/2026-01.parquet"}
    assert await _there(monkeypatch, database, tmp_path) == 0
    assert "0 written" in capsys.readouterr().out


async def test_what_retention_drops_of_a_month_stays_in_the_export(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month is dropped week by week: its file is written again with what is left, and must not lose the rest."""
    session = SharedSession(DatabaseOptions(database, exchange=EXCHANGE), purpose="test")
    early = candles("BTCUSDT")
    late = [replace(row, open_ms=row.open_ms + 20 * DAY_MS) for row in early]
    await RepairStore(session).write([*early, *late])
    await session.close()
    assert await _there(monkeypatch, database, tmp_path) == 0
    january = tmp_path / f"candles_1m/{EXCHANGE}/BTCUSDT/2026-01.parquet"
    before = pl.read_parquet(january)
    assert len(before) == 180
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT market_data.expire('2026-01-15Z')")
        [left] = connection.execute("SELECT count(*) FROM market_data.candles_1m").fetchone() or [None]
    assert left == 120
    assert await _there(monkeypatch, database, tmp_path) == 0
    assert manifest.read(tmp_path).complete
    assert pl.read_parquet(january).equals(before)
    assert (tmp_path / f"candles_1m/{EXCHANGE}/BTCUSDT/2025-12.parquet").exists()


async def test_a_symbol_of_which_nothing_is_stored_does_not_end_the_export_of_others(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Retention drops the last rows of a contract that has ended, while a timer goes on naming it."""
    await fill(database)

    async def named_too(symbol: str) -> int:
        arguments = ("export", str(tmp_path), "--dataset", "agg_trades", "--symbol", f"BTCUSDT,{symbol}")
        return await asyncio.to_thread(run, monkeypatch, database, *arguments)

    assert await named_too("1000PEPEUSDT") == 0
    assert f"agg_trades/{EXCHANGE}/BTCUSDT/2025-12-31.parquet" in {
        path.relative_to(tmp_path).as_posix() for path in stamps(tmp_path)
    }
    assert await named_too("1000PEPEUSTD") != 0


async def test_killed_and_resumed(
    database: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 on the way: what the manifest names is whole and stays, an import refuses, the same command goes on."""
    session = SharedSession(DatabaseOptions(database, exchange=EXCHANGE), purpose="test")
    await RepairStore(session).write(months(_SHARDS, 3))
    await session.close()
    folder = tmp_path / "export"
    environment = {
        "DATABASE_URL": database,
        "MARKETD_ENV_FILE": os.devnull,
        "MARKETD_CONFIG_FILE": os.devnull,
    }
    child = Child(["-m", "src", "export", str(folder)], environment=environment, log=tmp_path / "export.log")

    def some() -> bool:
        assert child.exit_code is None, child.tail()
        path = folder / manifest.NAME
        return path.exists() and path.read_bytes().count(b"\n") >= 8

    await eventually(some)
    child.signal(signal.SIGKILL)
    assert await child.wait(within=60) == -signal.SIGKILL
    assert not manifest.read(folder).complete, "it had ended already"
    with (folder / manifest.NAME).open("ab") as file:
        file.write(b'{"dataset":"candles_1m","sym')
    stopped = manifest.read(folder)
    assert [text for entry in stopped.entries.values() for text in manifest.damaged(stopped, entry)] == []
    assert await _back(monkeypatch, empty, folder) == EXIT_CONFIG
    kept = {path: stamp for path, stamp in stamps(folder).items() if path in named(folder)}
    assert 5 <= len(kept) < 3 * len(_SHARDS)
    assert await _there(monkeypatch, database, folder) == 0
    assert kept.items() <= stamps(folder).items(), "what was there is written again"
    assert await _back(monkeypatch, empty, folder) == 0
    assert contents(empty)["candles_1m"] == contents(database)["candles_1m"]
    assert len(contents(empty)["candles_1m"]) == 9 * len(_SHARDS)
    assert named(folder) == set(stamps(folder))


def test_killed_inside_of_the_first_line(tmp_path: Path) -> None:
    """Nothing was exported yet, and the next run begins anew."""
    (tmp_path / manifest.NAME).write_bytes(b'{"format":"marketd-exp')
    with manifest.writing(tmp_path, exchange=EXCHANGE, version="1") as (found, writer):
        assert (found.entries, found.complete) == ({}, False)
        writer.finish(manifest.EVERYTHING, 0, 0)
    assert manifest.read(tmp_path).complete
    assert (tmp_path / manifest.NAME).read_bytes().count(b"\n") == 2


def test_what_was_begun_must_end(tmp_path: Path) -> None:
    """Of a smaller export into the folder of one that was killed nobody may conclude that all is there."""
    with manifest.writing(tmp_path, exchange=EXCHANGE, version="1") as (_, writer):
        assert not manifest.read(tmp_path).complete, "nothing was asked for"
        for scope, ends, unfinished in (
            (manifest.EVERYTHING, False, (manifest.EVERYTHING,)),
            ("BTC*", True, (manifest.EVERYTHING,)),
            ("ETH*", False, (manifest.EVERYTHING, "ETH*")),
            (manifest.EVERYTHING, True, ()),
            ("ETH*", False, ("ETH*",)),
            ("ETH*", True, ()),
        ):
            writer.begin(scope)
            if ends:
                writer.finish(scope, 0, 0)
            found = manifest.read(tmp_path)
            assert (found.unfinished, found.complete) == (unfinished, not unfinished)


@pytest.mark.parametrize(
    ("datasets", "globs", "days", "scope"),
    [
        (DATASETS, (), (None, None), manifest.EVERYTHING),
        (("funding",), (), (None, None), "funding"),
        (DATASETS, ("BTC*", "ETH*"), (None, None), "BTC*,ETH*"),
        (("funding", "candles_1m"), ("A*",), (date(2026, 1, 2), None), "candles_1m,funding A* 2026-01-02.."),
    ],
)
def test_what_is_asked_for_has_a_name(
    datasets: tuple[str, ...], globs: tuple[str, ...], days: tuple[date | None, date | None], scope: str
) -> None:
    assert Wanted(Path(), datasets, globs, *days).scope == scope


async def test_damaged_files_are_refused_by_name(
    database: str,
    empty: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One flipped bit in one file, one file gone: both are named, and nothing at all is written."""
    await fill(database)
    assert await _there(monkeypatch, database, tmp_path) == 0
    flipped = tmp_path / f"candles_1m/{EXCHANGE}/1000PEPEUSDT/2026-01.parquet"
    content = bytearray(flipped.read_bytes())
    content[len(content) // 2] ^= 1
    flipped.write_bytes(bytes(content))
    gone = tmp_path / f"funding/{EXCHANGE}/BTCUSDT/2025-12.parquet"
    gone.unlink()
    capsys.readouterr()
    assert await _back(monkeypatch, empty, tmp_path) == EXIT_CONFIG
    told = capsys.readouterr().err
    assert f"{flipped}: is damaged" in told
    assert f"{gone}: is missing" in told
    assert told.count(".parquet") == 2
    assert not any(contents(empty).values())
    # The export itself sees that one is not there, and the same export mends it.
    assert await _there(monkeypatch, database, tmp_path) == 0
    assert gone.exists()


async def test_better_rows_stay(
    database: str, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import is a source like any other: what the archive said since replaces it, and not the other way round."""
    await fill(database)
    assert await _there(monkeypatch, database, tmp_path) == 0
    session = SharedSession(DatabaseOptions(empty, exchange=EXCHANGE), purpose="test")
    better = [
        replace(
            row,
            authority=Authority.ARCHIVE,
            source="binance_archive",
            revision=9,
            close=row.low,
            quote_volume=2.0,
            trade_count=9,
        )
        for row in candles(SYMBOLS[0])
    ]
    await RepairStore(session).write(better)
    await session.close()
    kept = [row for row in contents(empty)["candles_1m"] if row[1] == SYMBOLS[0]]
    assert len(kept) == 120
    assert await _back(monkeypatch, empty, tmp_path) == 0
    assert [row for row in contents(empty)["candles_1m"] if row[1] == SYMBOLS[0]] == kept
    assert len(contents(empty)["candles_1m"]) == 120 * len(SYMBOLS)


def test_a_folder_that_is_no_export(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, database, "import", "--from-dir", str(tmp_path)) == EXIT_CONFIG
    assert manifest.NAME in capsys.readouterr().err
    (tmp_path / manifest.NAME).write_text('{"format":"other"}\n')
    assert run(monkeypatch, database, "import", "--from-dir", str(tmp_path)) == EXIT_CONFIG
    assert "line 1" in capsys.readouterr().err


async def _there(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> int:
    return await asyncio.to_thread(run, monkeypatch, url, "export", str(folder))


async def _back(monkeypatch: pytest.MonkeyPatch, url: str, folder: Path) -> int:
    # The command has a loop of its own.
    return await asyncio.to_thread(run, monkeypatch, url, "import", "--from-dir", str(folder))
