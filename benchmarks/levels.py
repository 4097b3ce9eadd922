"""``levels``: one run over the whole universe, as the scheduled task makes it.

That is a new kernel process, bars from the table ``bars`` by COPY, levels, and everything written in one transaction.

The first run finds nothing known and writes every level; the next one comes after one more bar of each symbol, which is
what a task does every hour. Prices are random walks. The bars lie in the order in which they come: hour by hour.
"""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta

import psycopg
import uvloop

from benchmarks.database import private_database, settings_of
from src.adapters.kernels import KernelOptions, KernelPool
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.schema.migrations import MigrationOptions, migrate
from src.analysis.levels.terms import Market

SYMBOLS = int(os.environ.get("MARKETD_LEVELS_SYMBOLS", "740"))
BARS = 2000
_SOURCE = "binance_futures_um"
_HOUR_MS = 3_600_000
_END = datetime(2026, 10, 7, 12, tzinfo=UTC)


def run() -> dict[str, object]:
    """{symbols, bars, seconds, levels; next_seconds, next_rows: after one more bar}; takes about two minutes."""
    with private_database("levels") as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return {"symbols": SYMBOLS, "bars": BARS, **runner.run(_measure(url)), **settings_of(url)}


async def _measure(url: str) -> dict[str, object]:
    await migrate(MigrationOptions(url))
    _fill(url)
    pool = KernelPool(KernelOptions(), DatabaseOptions(url))
    try:
        _made_to(url, _END)
        seconds, first = await _run(pool)
        _made_to(url, _END + timedelta(hours=1))
        next_seconds, later = await _run(pool)
    finally:
        await pool.close()
    if first["symbols"] != SYMBOLS or first["bars"] != SYMBOLS * BARS:
        raise RuntimeError(f"not all was analysed: {first}")
    return {
        "seconds": round(seconds, 2),
        "levels": first["rows_begun"],
        "next_seconds": round(next_seconds, 2),
        "next_rows": later["rows_begun"],
    }


async def _run(pool: KernelPool) -> tuple[float, dict[str, int]]:
    market = Market("binance", "future", "1h", _HOUR_MS, _SOURCE)
    started = time.perf_counter()
    said = await pool.run("analysis.levels.compute:compute", deadline_s=600, market=market, symbols=None)
    return time.perf_counter() - started, said


def _fill(url: str) -> None:
    """BARS + 1 bars of each symbol; steps of 0.6 % and wicks of a third of a percent, as of a lively coin."""
    with psycopg.connect(url, options="-c search_path=market_data,public -c TimeZone=UTC") as connection:
        connection.execute("SELECT setseed(0.4)")
        connection.execute(
            "INSERT INTO instruments (exchange, symbol, onboard_ts, contract_type, status, base, quote, archive_symbol,"
            " origin) SELECT %s, 'S' || number || 'USDT', '2020-01-01', 'PERPETUAL', 'TRADING', '', 'USDT',"
            " 'S' || number || 'USDT', 'exchange_info' FROM generate_series(1, %s) AS number",
            [_SOURCE, SYMBOLS],
        )
        connection.execute(
            "INSERT INTO bars (exchange, symbol, kind, size, open_ts, close_ts, open, high, low, close, volume)"
            " SELECT %s, symbol, 'time', 3600000, ts, ts + interval '1 hour', price, price * (1 + random() * 0.0035),"
            " price * (1 - random() * 0.0035), price, random() * 1000 FROM ("
            " SELECT symbol, ts, 100 * exp(sum((random() - 0.5) * 0.0208)"
            " OVER (PARTITION BY symbol ORDER BY ts)) AS price"
            " FROM instruments, generate_series(%s - make_interval(hours => %s), %s, interval '1 hour') AS ts"
            ") AS walk ORDER BY ts, symbol",
            [_SOURCE, _END, BARS, _END],
        )
    with psycopg.connect(url, autocommit=True, options="-c search_path=market_data,public") as connection:
        connection.execute("VACUUM (ANALYZE) bars")


def _made_to(url: str, made_to: datetime) -> None:
    with psycopg.connect(url, options="-c search_path=market_data,public") as connection:
        connection.execute(
            "INSERT INTO bar_fronts (exchange, symbol, made_to) SELECT exchange, symbol, %s FROM instruments"
            " ON CONFLICT (exchange, symbol) DO UPDATE SET made_to = excluded.made_to",
            [made_to],
        )
