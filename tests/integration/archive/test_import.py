"""Verified files into a real database: what is stored, counted, kept and refused, and what it leaves in the ledger."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from src.adapters.timescale.importing.job import READY, ImportJob, WorkerOptions, job_line, options_line
from src.errors import BadData, Unavailable
from src.model import MINUTE_MS, ArchiveFile, Authority, Candle, Dataset, Span, WriteResult
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import as_tuple, connect, fetch, opened, stored
from tests.support.eventually import eventually
from tests.support.zips import DAMAGED, FIRST_MS, NAME, csv_row, csv_text

from .files import DAY, LocalFile, importer, list_symbol, local_file, real_months

MINUTES = 1440


def rows(*lines: str) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def rewritten(folder: Path, text: bytes) -> LocalFile:
    """The same file, published again with another content."""
    return local_file(folder, text)


async def ledger(url: str) -> list[tuple[Any, ...]]:
    return await fetch(url, "SELECT symbol, day, have FROM coverage_days ORDER BY symbol, day")


async def known(url: str) -> list[tuple[Any, ...]]:
    return await fetch(url, "SELECT state, sha256, file_rows, revision FROM archive_files")


def archived(line: str, revision: int = 0) -> tuple[Any, ...]:
    """A CSV row as ``stored`` shows it."""
    cells = line.split(",")
    values = [float(cell) for cell in (*cells[1:6], cells[7])]
    taker = [float(cell) for cell in cells[9:11]]
    return ("BTCUSDT", int(cells[0]), *values, int(cells[8]), *taker, "binance_archive", 3, revision)


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"marketd_{name}_total", labels) or 0.0


async def test_a_day_is_stored_to_the_digit_with_its_count_and_its_file(
    database: str, tmp_path: Path
) -> None:
    await list_symbol(database, "BTCUSDT")
    local = local_file(tmp_path, csv_text())
    metrics = Metrics()
    async with importer(database, metrics) as imports:
        result = await imports.import_file(local.file, local.path, local.sha256)
    assert result == WriteResult(MINUTES, 0, 0)
    assert await stored(database) == [archived(line) for line in csv_text(header=False).decode().splitlines()]
    assert await ledger(database) == [("BTCUSDT", DAY, MINUTES)]
    assert await known(database) == [("imported", local.sha256, MINUTES, 0)]
    assert count(metrics, "rows_committed", source="binance_archive", result="inserted") == MINUTES
    assert count(metrics, "archive_imports", kind="first") == 1


async def test_a_file_is_imported_once(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT")
    local = local_file(tmp_path, csv_text())
    metrics = Metrics()
    async with importer(database, metrics) as imports:
        await imports.import_file(local.file, local.path, local.sha256)
        again = await imports.import_file(local.file, local.path, local.sha256)
    assert again == WriteResult(0, 0, MINUTES)
    assert count(metrics, "archive_imports", kind="same") == 1
    assert count(metrics, "rows_received", source="binance_archive") == MINUTES


async def test_force_compares_every_value_and_writes_no_row(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT")
    text = csv_text().replace(csv_row(5, price=105.0, trades=1).encode(), b"")
    local = local_file(tmp_path, text)
    async with importer(database) as imports:
        await imports.import_file(local.file, local.path, local.sha256)
        before = await fetch(
            database, "SELECT xmin::text, ctid::text, xmax::text FROM candles_1m ORDER BY bucket_ts"
        )
        await fetch(database, "UPDATE candles_1m SET close = low WHERE bucket_ts = '2026-02-01 00:30+00'")
        result = await imports.import_file(local.file, local.path, local.sha256, force=True)
    # Equal rank but for the values: the archive's are the larger ones, so the change is mended.
    assert result == WriteResult(0, 1, MINUTES - 2, corrected=1)
    after = await fetch(
        database, "SELECT xmin::text, ctid::text, xmax::text FROM candles_1m ORDER BY bucket_ts"
    )
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


async def test_only_what_lacks_is_added_to_a_day_that_is_not_empty(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT")
    live = [
        Candle(
            "BTCUSDT",
            FIRST_MS + n * MINUTE_MS,
            1.0,
            1.0,
            1.0,
            1.0,
            5.0,
            5.0,
            3,
            1.0,
            1.0,
            "binance_ws",
            Authority.STREAM,
        )
        for n in range(100)
    ]
    async with opened(database) as store:
        await store.write(live, [])
    local = local_file(tmp_path, csv_text())
    async with importer(database) as imports:
        result = await imports.import_file(local.file, local.path, local.sha256)
    assert result == WriteResult(MINUTES - 100, 100, 0, corrected=100)
    assert await ledger(database) == [("BTCUSDT", DAY, MINUTES)]
    assert len(await fetch(database, "SELECT 1 FROM candle_revisions")) == 100
    assert await stored(database) == [archived(line) for line in csv_text(header=False).decode().splitlines()]


async def test_rows_that_the_ledger_does_not_know_of_are_merged_all_the_same(
    database: str, tmp_path: Path
) -> None:
    await list_symbol(database, "BTCUSDT")
    local = local_file(tmp_path, csv_text())
    async with importer(database) as imports:
        await imports.import_file(local.file, local.path, local.sha256)
        async with await connect(database) as session:  # as a table from before the ledger
            await session.execute("UPDATE coverage_days SET have = 0")
        result = await imports.import_file(local.file, local.path, local.sha256, force=True)
    assert result == WriteResult(0, 0, MINUTES)
    assert await ledger(database) == [("BTCUSDT", DAY, 0)]  # a recount is the patrol's


async def test_a_republished_file_is_the_next_revision_and_its_differences_are_kept(
    database: str, tmp_path: Path
) -> None:
    await list_symbol(database, "BTCUSDT")
    old = [csv_row(minute) for minute in range(10)]
    new = [*old[:4], csv_row(4, price=150.0), *old[5:], csv_row(10)]
    async with importer(database) as imports:
        first = local_file(tmp_path, rows(*old))
        await imports.import_file(first.file, first.path, first.sha256)
        second = rewritten(tmp_path, rows(*new))
        result = await imports.import_file(second.file, second.path, second.sha256)
    # All ten rose to the next revision, one of them with other values.
    assert result == WriteResult(1, 10, 0, corrected=1)
    assert await stored(database) == [archived(line, revision=1) for line in new]
    assert await fetch(database, "SELECT open, new_revision FROM candle_revisions") == [(100.0, 1)]
    assert await known(database) == [("imported", second.sha256, 11, 1)]


async def test_an_archive_row_without_trades_gives_way_to_one_with_trades(
    database: str, tmp_path: Path
) -> None:
    await list_symbol(database, "BTCUSDT")
    traded = Candle(
        "BTCUSDT", FIRST_MS, 1.0, 1.0, 1.0, 1.0, 5.0, 5.0, 3, 1.0, 1.0, "binance_ws", Authority.STREAM
    )
    async with opened(database) as store:
        await store.write([traded], [])
    local = local_file(tmp_path, rows(csv_row(0, trades=0), csv_row(1, trades=0)))
    metrics = Metrics()
    async with importer(database, metrics) as imports:
        result = await imports.import_file(local.file, local.path, local.sha256)
    assert result == WriteResult(1, 0, 1)
    assert (await stored(database))[0] == as_tuple(traded)
    assert count(metrics, "rows_rejected", reason="archive_zero") == 1
    noted = await fetch(database, "SELECT reason, symbol, open_ms, raw_row FROM rejected_rows")
    assert [line[:3] for line in noted] == [("archive_zero", "BTCUSDT", FIRST_MS)]
    assert noted[0][3].startswith(f"{FIRST_MS},")
    assert noted[0][3].endswith(",0")


async def test_rows_outside_the_listing_are_refused_and_noted(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT", "2026-02-01 00:02:30+00", "2026-02-01 00:05+00")
    await list_symbol(database, "BTCUSDT", "2026-02-01 00:08+00")
    local = local_file(tmp_path, rows(*(csv_row(minute) for minute in range(10))))
    metrics = Metrics()
    async with importer(database, metrics) as imports:
        assert await imports.import_file(local.file, local.path, local.sha256) == WriteResult(5, 0, 0)
    assert [(row[1] - FIRST_MS) // MINUTE_MS for row in await stored(database)] == [2, 3, 4, 8, 9]
    assert count(metrics, "rows_rejected", reason="outside_listing") == 5
    assert await fetch(database, "SELECT DISTINCT reason, symbol FROM rejected_rows") == [
        ("outside_listing", "BTCUSDT")
    ]
    assert len(await fetch(database, "SELECT 1 FROM rejected_rows")) == 5


async def test_bad_rows_are_kept_word_for_word_and_blank_cells_are_null(
    database: str, tmp_path: Path
) -> None:
    await list_symbol(database, "BTCUSDT")
    cells = csv_row(1).split(",")
    cells[8] = cells[10] = ""
    bad = csv_row(2).replace("101.0", "NaN")
    local = local_file(tmp_path, rows(csv_row(0), ",".join(cells), bad))
    async with importer(database) as imports:
        assert await imports.import_file(local.file, local.path, local.sha256) == WriteResult(2, 0, 0)
        assert await imports.import_file(local.file, local.path, local.sha256, force=True) == WriteResult(
            0, 0, 2
        )
    found = await stored(database)
    assert found[0] == archived(csv_row(0))
    assert (found[1][8], found[1][10]) == (None, None)
    assert await fetch(database, "SELECT reason, raw_row, times_seen FROM rejected_rows") == [
        ("bad_number", bad.rpartition(",")[0], 2)
    ]


async def test_a_row_once_proved_absent_is_taken_back(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT")
    await fetch(
        database,
        "INSERT INTO absent_minutes (exchange, dataset, symbol, ts, archive_path, archive_sha256, rest_asked_at,"
        " next_ask_at)"
        " VALUES ('binance_futures_um', 'candles_1m', 'BTCUSDT', '2026-02-01 00:07+00', '', '', now(), now())",
    )
    await fetch(
        database,
        "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, absent)"
        " VALUES ('binance_futures_um', 'candles_1m', 'BTCUSDT', '2026-02-01', 1440, 1)",
    )
    local = local_file(tmp_path, csv_text())
    async with importer(database) as imports:
        await imports.import_file(local.file, local.path, local.sha256)
    assert await fetch(database, "SELECT have, absent, state FROM coverage_days") == [(1440, 0, "complete")]


@pytest.mark.parametrize("what", ["one bit flipped", "bomb", "two members", "parent folder"])
async def test_a_damaged_file_stores_nothing_and_the_next_one_is_imported(
    database: str, tmp_path: Path, what: str
) -> None:
    await list_symbol(database, "BTCUSDT")
    make, reason = DAMAGED[what]
    local = local_file(tmp_path, csv_text())
    async with importer(database) as imports:
        local.path.write_bytes(make())
        with pytest.raises(BadData) as refused:
            await imports.import_file(local.file, local.path, local.sha256)
        assert refused.value.reason == reason
        assert await known(database) == []
        assert await ledger(database) == []
        good = local_file(tmp_path, csv_text())
        assert (await imports.import_file(good.file, good.path, good.sha256)).inserted == MINUTES
    assert good.path.name.replace(".zip", ".csv") == NAME


async def test_files_side_by_side_and_twice_are_stored_once(database: str, tmp_path: Path) -> None:
    symbols = [f"S{number}USDT" for number in range(6)]
    for symbol in symbols:
        await list_symbol(database, symbol)
    files = [local_file(tmp_path, csv_text(), symbol) for symbol in symbols]
    async with importer(database, workers=2) as imports:
        results = await asyncio.gather(
            *(imports.import_file(one.file, one.path, one.sha256) for one in files * 2)
        )
    assert sum(result.inserted for result in results) == MINUTES * len(symbols)
    assert await ledger(database) == [(symbol, DAY, MINUTES) for symbol in symbols]
    assert await fetch(database, "SELECT count(*) FROM candles_1m") == [(MINUTES * len(symbols),)]


async def test_a_killed_worker_is_replaced_and_its_file_imported(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT")
    local = local_file(tmp_path, csv_text())
    metrics = Metrics()
    async with importer(database, metrics) as imports, await connect(database) as blocker:
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK TABLE archive_files IN ACCESS EXCLUSIVE MODE")
        task = asyncio.create_task(imports.import_file(local.file, local.path, local.sha256))
        await eventually(lambda: _waits_for_lock(database), timeout=60)
        os.kill(imports.processes[0], signal.SIGKILL)
        await blocker.execute("COMMIT")
        assert await task == WriteResult(MINUTES, 0, 0)
    assert count(metrics, "import_workers_lost") == 1
    assert await ledger(database) == [("BTCUSDT", DAY, MINUTES)]


async def test_a_hanging_worker_is_ended_and_nothing_is_stored(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT")
    local = local_file(tmp_path, csv_text())
    metrics = Metrics()
    async with importer(database, metrics, deadline_s=2.0) as imports, await connect(database) as blocker:
        await blocker.execute("BEGIN")
        await blocker.execute("LOCK TABLE archive_files IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(Unavailable) as gone:
            await imports.import_file(local.file, local.path, local.sha256)
        await blocker.execute("ROLLBACK")
        assert gone.value.reason == "worker"
        assert count(metrics, "import_workers_lost") == 3
    assert await ledger(database) == []


async def test_closing_ends_every_process(database: str, tmp_path: Path) -> None:
    await list_symbol(database, "BTCUSDT")
    local = local_file(tmp_path, csv_text())
    async with importer(database) as imports:
        await imports.import_file(local.file, local.path, local.sha256)
        (pid,) = imports.processes
        niceness = os.getpriority(os.PRIO_PROCESS, pid)
        assert niceness == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_ends_with_its_parent_also_while_it_has_answers_to_give(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-m", "src.adapters.timescale.importing.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "POLARS_MAX_THREADS": "1"},
    )
    try:
        assert worker.stdin and worker.stdout
        assert worker.stdout.readline() == READY
        # What the kernel does to both pipes when the parent is killed. More files than may wait inside the worker.
        worker.stdout.close()
        options = WorkerOptions("postgresql://127.0.0.1:1/none", "market_data", "none", "test", "none")
        worker.stdin.write(options_line(options))
        for number in range(5):
            file = ArchiveFile(f"{number}.zip", Dataset.CANDLES, "BTCUSDT", Span.DAILY, date(2026, 2, 1))
            worker.stdin.write(job_line(ImportJob(number, file, tmp_path / "none.zip", "", force=False)))
        worker.stdin.close()
        assert worker.wait(timeout=60) == 1
    finally:
        worker.kill()
        worker.wait()


async def test_a_real_month_is_stored_to_the_digit(database: str, tmp_path: Path, market_data: Path) -> None:
    await _months_to_the_digit(database, tmp_path, real_months(market_data)[:1])


@pytest.mark.slow
async def test_the_nine_real_months_are_stored_to_the_digit(
    database: str, tmp_path: Path, market_data: Path
) -> None:
    months = real_months(market_data)
    assert len(months) == 9
    await _months_to_the_digit(database, tmp_path, months)


async def _months_to_the_digit(url: str, folder: Path, months: list[tuple[str, date, bytes]]) -> None:
    files = []
    for symbol, day, text in months:
        await fetch(url, "DELETE FROM instruments WHERE symbol = %s", (symbol,))
        await list_symbol(url, symbol)
        files.append(local_file(folder, text, symbol, day, Span.MONTHLY))
    wanted = sum(text.count(b"\n") - 1 for _, _, text in months)
    async with importer(url, workers=2) as imports:
        results = await asyncio.gather(
            *(imports.import_file(one.file, one.path, one.sha256) for one in files)
        )
    assert sum(result.inserted for result in results) == wanted
    for symbol, day, text in months:
        found = await fetch(
            url,
            "SELECT (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume, quote_volume,"
            " trade_count, taker_buy_volume, taker_buy_quote_volume FROM candles_1m WHERE symbol = %s"
            " AND bucket_ts >= %s::date AND bucket_ts < %s::date + interval '1 month' ORDER BY bucket_ts",
            (symbol, day, day),
        )
        lines = [line.split(",") for line in text.decode().splitlines()[1:]]
        assert found == [
            (int(cells[0]), *map(float, cells[1:6]), float(cells[7]), int(cells[8]), *map(float, cells[9:11]))
            for cells in lines
        ]
    assert await fetch(url, "SELECT sum(have) FROM coverage_days") == [(wanted,)]


async def _waits_for_lock(url: str) -> bool:
    return bool(
        await fetch(
            url,
            "SELECT 1 FROM pg_stat_activity"
            " WHERE wait_event_type = 'Lock' AND application_name LIKE 'marketd/import/%%'"
            " AND datname = current_database()",
        )
    )
