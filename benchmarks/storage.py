"""What a row costs on disk: real months written as the archive brings them and as the live path does, and the ledger.

Everything goes through the stores of the daemon into a private TimescaleDB. Needs the real data of
``MARKETD_TEST_DATA``; takes about three minutes.
"""

from __future__ import annotations

import asyncio
import csv
import gzip
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import LiteralString

import psycopg
import uvloop

from benchmarks.database import private_database, settings_of
from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.history.expiry import Expiry
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.metrics.store import MetricStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import (
    DAY_MS,
    FIVE_MINUTES_MS,
    METRIC_COLUMNS,
    MINUTE_MS,
    Authority,
    Candle,
    Dataset,
    FuturesMetric,
    Listing,
)
from tests.fixtures.data import data_folder

SYMBOLS = 740
_BATCH = 10_000
_DAY = 1440
_YEAR = 365
_LEDGER_DAYS = 2_000
_MAPS: LiteralString = (
    "SELECT sum(table_bytes), sum(index_bytes), sum(total_bytes) FROM chunks_detailed_size(%s)"
)


def run() -> dict[str, object]:
    """Bytes a row with everything that belongs to it, and gigabytes a year of 740 symbols."""
    with private_database("storage") as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(migrate(MigrationOptions(url)))
        found: dict[str, object] = {"symbols": SYMBOLS}
        runner.run(_write_candles(url, _archive_order()))
        found |= _sizes(url, "candles_1m", "candles_archive", SYMBOLS * _DAY * _YEAR)
        _empty(url)
        runner.run(_write_candles(url, _live_order()))
        found |= _sizes(url, "candles_1m", "candles_live", SYMBOLS * _DAY * _YEAR)
        runner.run(_write_metrics(url))
        found |= _sizes(url, "binance_futures_metrics_5m", "metrics", SYMBOLS * 288 * _YEAR)
        _empty(url)
        found |= runner.run(_fill_ledger(url))
        return {**found, **settings_of(url)}


def real_months() -> Iterator[tuple[str, list[Candle]]]:
    """Each real month of candles, and whose it is."""
    for path in sorted((data_folder() / "klines_1m").glob("*.csv.gz")):
        symbol = path.name.split("-")[0]
        with gzip.open(path, "rt") as file:
            yield symbol, [_candle(symbol, row) for row in csv.reader(file) if row[0].isdigit()]


def _candle(symbol: str, row: Sequence[str]) -> Candle:
    opened, high, low, closed, volume = map(float, row[1:6])
    quote, trades, taker, taker_quote = float(row[7]), int(row[8]), float(row[9]), float(row[10])
    return Candle(
        symbol, int(row[0]), opened, high, low, closed, volume, quote, trades, taker, taker_quote,
        "binance_archive", Authority.ARCHIVE,
    )  # fmt: skip


def _archive_order() -> Iterator[list[Candle]]:
    """Month after month, as files are imported."""
    for _, candles in real_months():
        for start in range(0, len(candles), _BATCH):
            yield candles[start : start + _BATCH]


def _live_order() -> Iterator[list[Candle]]:
    """Minute after minute of all symbols for a day; the values are those of the real months in turn."""
    days = [candles[:_DAY] for _, candles in real_months()]
    start_ms = days[0][0].open_ms
    for minute in range(_DAY):
        yield [
            replace(
                day[minute],
                symbol=f"S{number:03}USDT",
                open_ms=start_ms + minute * MINUTE_MS,
                source="binance_ws",
                authority=Authority.STREAM,
            )
            for number, day in zip(range(SYMBOLS), itertools.cycle(days), strict=False)
        ]


async def _write_candles(url: str, batches: Iterator[list[Candle]]) -> None:
    store = CandleStore(DatabaseOptions(url))
    await store.open()
    for batch in batches:
        await store.write(batch, [])
    await store.close()


async def _write_metrics(url: str) -> None:
    """A day of 740 symbols, period after period; the values are those of the real rows in turn."""
    [path] = (data_folder() / "metrics").glob("BTCUSDT-metrics-*.csv")
    with path.open(encoding="utf-8") as file:
        real = [[Decimal(value) for value in row[2:]] for row in csv.reader(file) if row[1] == "BTCUSDT"]
    store = MetricStore(SharedSession(DatabaseOptions(url), purpose="storage"))
    start_ms = int(datetime(2026, 2, 2, tzinfo=UTC).timestamp() * 1000)
    values = itertools.cycle(real)
    for period in range(1, 289):
        end_ms = start_ms + period * FIVE_MINUTES_MS
        rows = [
            FuturesMetric.of(
                f"S{number:03}USDT",
                end_ms,
                dict(zip(METRIC_COLUMNS, next(values), strict=True)),
                "binance_rest",
                Authority.REST,
            )
            for number in range(SYMBOLS)
        ]
        await store.write(rows)
    await store.close()


async def _fill_ledger(url: str) -> dict[str, object]:
    """The ledger of 2,000 days, and how long it takes to let three quarters of it expire."""
    options = DatabaseOptions(url)
    session = SharedSession(options, purpose="storage")
    ledger = CoverageStore(session)
    until_ms = int(datetime.now(UTC).timestamp() * 1000) // DAY_MS * DAY_MS
    since_ms = until_ms - _LEDGER_DAYS * DAY_MS
    listings = [Listing(f"S{number:03}USDT", since_ms, until_ms) for number in range(SYMBOLS)]
    await ledger.follow(Dataset.CANDLES, listings, until_ms - 1)
    await session.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE market_data.coverage_days")
        row = connection.execute(
            "SELECT pg_total_relation_size('market_data.coverage_days'), count(*) FROM market_data.coverage_days"
        ).fetchone()
    size, lines = row or (0, 1)
    clock = asyncio.get_running_loop()
    began = clock.time()
    [done, *_] = await Expiry(options).expire(until_ms - _LEDGER_DAYS // 4 * DAY_MS)
    first = clock.time() - began
    began = clock.time()
    await Expiry(options).expire(until_ms - _LEDGER_DAYS // 4 * DAY_MS)
    return {
        "ledger_lines": int(lines),
        "ledger_bytes_per_line": round(size / lines, 1),
        "ledger_gb_per_year": round(size / lines * SYMBOLS * _YEAR / 1e9, 3),
        "expire_lines": done.lines,
        "expire_first_s": round(first, 2),
        "expire_again_s": round(clock.time() - began, 2),
    }


def _sizes(url: str, table: str, name: str, rows_per_year: int) -> dict[str, object]:
    options = "-c search_path=market_data,public"
    with psycopg.connect(url, autocommit=True, options=options) as connection:
        connection.execute(psycopg.sql.SQL("VACUUM ANALYZE {}").format(psycopg.sql.Identifier(table)))
        count = psycopg.sql.SQL("SELECT count(*) FROM {}").format(psycopg.sql.Identifier(table))
        rows = int((connection.execute(count).fetchone() or (1,))[0])
        heap, index, whole = map(int, connection.execute(_MAPS, [table]).fetchone() or (0, 0, 0))
    return {
        f"{name}_rows": rows,
        f"{name}_row_bytes": round(heap / rows, 1),
        f"{name}_key_bytes": round(index / rows, 1),
        f"{name}_bytes_per_row": round(whole / rows, 1),
        f"{name}_gb_per_year": round(whole / rows * rows_per_year / 1e9, 1),
    }


def _empty(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE market_data.candles_1m, market_data.coverage_days")
