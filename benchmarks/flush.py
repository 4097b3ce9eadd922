"""One flush of the live path: 740 symbols, one minute, through ``CandleStore.write`` into a private TimescaleDB.

fsync and synchronous_commit stay on: what is timed is what a person waits for, down to the disk.
"""

from __future__ import annotations

import asyncio
import statistics
import time

import uvloop

from benchmarks.database import private_database, settings_of
from src.adapters.timescale.migrations import MigrationOptions, migrate
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.store import CandleStore
from src.model import MINUTE_MS, Authority, Candle

ROWS = 740
RUNS = 300
_WARM_UP = 30
_START_MS = 29_856_240 * MINUTE_MS


def run() -> dict[str, object]:
    """{rows, runs, p50_ms, p95_ms, max_ms, fsync, synchronous_commit}; takes about a minute."""
    with private_database("flush") as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        times = sorted(runner.run(_flushes(url)))
        return {
            "rows": ROWS,
            "runs": RUNS,
            "p50_ms": round(statistics.median(times), 2),
            "p95_ms": round(times[int(len(times) * 0.95)], 2),
            "max_ms": round(times[-1], 2),
            **settings_of(url),
        }


async def _flushes(url: str) -> list[float]:
    await migrate(MigrationOptions(url))
    store = CandleStore(DatabaseOptions(url))
    await store.open()
    times: list[float] = []
    for number in range(_WARM_UP + RUNS):
        rows = _minute(number)
        started = time.perf_counter()
        result = await store.write(rows, [])
        times.append((time.perf_counter() - started) * 1000)
        if result.inserted != ROWS:
            raise RuntimeError(f"stored {result.inserted} of {ROWS} rows")
    await store.close()
    return times[_WARM_UP:]


def _minute(number: int) -> list[Candle]:
    """One candle of each symbol, with as many digits as real ones have, none equal to another."""
    rows = []
    for symbol in range(ROWS):
        price = round(1 + symbol * 7.31 + number * 0.013, 4)
        volume = round(1000.0 + symbol * 3.7 + number, 3)
        rows.append(
            Candle(
                symbol=f"S{symbol:03}USDT",
                open_ms=_START_MS + number * MINUTE_MS,
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
