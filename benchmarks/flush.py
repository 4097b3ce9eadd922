"""One flush of the live path: 740 symbols, one minute, through ``CandleStore.write`` into a private TimescaleDB.

fsync and synchronous_commit stay on: what is timed is what a person waits for, down to the disk. Beside it, in turn,
the same rows go into an ordinary table of the same columns, checks and key, by COPY and commit alone: ``ratio`` says
what the temporary table, the guard, the hypertable and the ledger cost, on a fast machine and on a slow one.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta

import uvloop
from psycopg import AsyncConnection

from benchmarks.database import private_database, settings_of
from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.rows import COLUMN_TYPES, as_row
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.model import MINUTE_MS, Authority, Candle, floor_minute

ROWS = 740
RUNS = 300
_WARM_UP = 30
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COPY = (
    "COPY plain (symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,"
    " taker_buy_quote_volume, source, authority, revision) FROM STDIN (FORMAT BINARY)"
)


def run() -> dict[str, object]:
    """{rows, runs, p50_ms, p95_ms, max_ms, plain_p50_ms, ratio, fsync, synchronous_commit}; takes about a minute."""
    with private_database("flush") as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        flushes, plain = runner.run(_flushes(url))
        times = sorted(flushes)
        p50, plain_p50 = statistics.median(times), statistics.median(plain)
        return {
            "rows": ROWS,
            "runs": RUNS,
            "p50_ms": round(p50, 2),
            "p95_ms": round(times[int(len(times) * 0.95)], 2),
            "max_ms": round(times[-1], 2),
            "plain_p50_ms": round(plain_p50, 2),
            "ratio": round(p50 / plain_p50, 2),
            **settings_of(url),
        }


async def _flushes(url: str) -> tuple[list[float], list[float]]:
    await migrate(MigrationOptions(url))
    options = DatabaseOptions(url)
    store = CandleStore(options)
    await store.open()
    times: list[float] = []
    plain: list[float] = []
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(
            f"CREATE TABLE plain (LIKE {options.schema}.candles_1m INCLUDING ALL)".encode()
        )
        await connection.execute("ALTER TABLE plain ALTER exchange SET DEFAULT 'binance_futures_um'")
        start_ms = floor_minute(time.time_ns() // 1_000_000)  # late rows are told to whoever makes bars
        for number in range(_WARM_UP + RUNS):
            rows = _minute(start_ms, number)
            times.append(await _timed(_flush(store, rows)))
            plain.append(await _timed(_copy(connection, rows)))
    await store.close()
    return times[_WARM_UP:], plain[_WARM_UP:]


async def _timed(work: Coroutine[None, None, None]) -> float:
    started = time.perf_counter()
    await work
    return (time.perf_counter() - started) * 1000


async def _flush(store: CandleStore, rows: list[Candle]) -> None:
    result = await store.write(rows, [])
    if result.inserted != ROWS:
        raise RuntimeError(f"stored {result.inserted} of {ROWS} rows")


async def _copy(connection: AsyncConnection, rows: list[Candle]) -> None:
    async with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
        copy.set_types(("text", "timestamptz", *COLUMN_TYPES[2:]))
        for row in rows:
            symbol, _, *values = as_row(row)
            await copy.write_row((symbol, _EPOCH + timedelta(milliseconds=row.open_ms), *values))


def _minute(start_ms: int, number: int) -> list[Candle]:
    """One candle of each symbol, with as many digits as real ones have, none equal to another."""
    rows = []
    for symbol in range(ROWS):
        price = round(1 + symbol * 7.31 + number * 0.013, 4)
        volume = round(1000.0 + symbol * 3.7 + number, 3)
        rows.append(
            Candle(
                symbol=f"S{symbol:03}USDT",
                open_ms=start_ms + number * MINUTE_MS,
                open=price,
                high=round(price * 1.001, 4),
                low=round(price * 0.999, 4),
                close=price,
                volume=volume,
                quote_volume=round(volume * price, 4),
                trade_count=symbol + number,
                taker_buy_volume=round(volume / 2, 3),
                taker_buy_quote_volume=round(volume * price / 2, 4),
                source="binance_ws",
                authority=Authority.STREAM,
            )
        )
    return rows
