"""The part of ``scale`` about history: patrol, tasks and queries with 1, 7 and 30 days behind them.

Each history is a schema of its own on one server, filled from the sandbox's archive. The days after it are open in all
of them, and the patrol looks at these.
"""

from __future__ import annotations

import asyncio
import http.client
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import uvloop

from benchmarks.feed import free_port
from benchmarks.live import daemon_on
from benchmarks.scale_fill import END
from src.adapters.kernels import KernelOptions, KernelPool
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.analysis.levels.jobs import market_of
from src.model import Dataset, Listing

_EXCHANGE = "binance_futures_um"
_PASSES = 15
_ASKED = 60
_FOREVER_MS = 4_133_404_800_000
_LISTED = (
    "SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint FROM instruments"
    " WHERE status = 'TRADING' AND EXISTS (SELECT FROM coverage_days AS line WHERE line.symbol = instruments.symbol)"
)


def history_costs(folder: Path, settings: dict[str, str], schema: str, days: int) -> dict[str, object]:
    """{days, patrol_ms, bars_first_s, bars_again_s, levels_s, klines_*_ms ...} of a schema with so many days."""
    _vacuum(settings["DATABASE_URL"], schema)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        patrol = runner.run(_patrol(settings["DATABASE_URL"], schema, days))
        tasks = runner.run(_tasks(settings["DATABASE_URL"], schema))
    return {
        "days": days,
        **patrol,
        **tasks,
        **_queries(folder, {**settings, "KLINE_DB_SCHEMA": schema}, days),
        "load_1m": round(os.getloadavg()[0], 2),
    }


def _vacuum(url: str, schema: str) -> None:
    """What autovacuum does by itself within minutes."""
    with psycopg.connect(url, autocommit=True, options=f"-c search_path={schema},public") as connection:
        connection.execute("VACUUM (ANALYZE) candles_1m")
        connection.execute("VACUUM (ANALYZE) coverage_days")


async def _patrol(url: str, schema: str, days: int) -> dict[str, object]:
    """What a pass asks of the ledger: keep up with the listings, which days are open, which minutes they lack."""
    session = SharedSession(DatabaseOptions(url, schema=schema), purpose="ledger")
    ledger, listings = CoverageStore(session), _listings(url, schema)
    now_ms = int(time.time() * 1000)
    since, until = (END - timedelta(days=days)).date(), (datetime.now(UTC) - timedelta(days=1)).date()
    times, found, gaps = [], 0, 0
    for number in range(_PASSES + 1):
        started = time.perf_counter()
        await ledger.follow(Dataset.CANDLES, listings, now_ms)
        open_days = await ledger.open_days(Dataset.CANDLES, since, until)
        gaps = len(await ledger.holes(Dataset.CANDLES, open_days, now_ms))
        if number:  # the first one reads every line once
            times.append((time.perf_counter() - started) * 1000)
        found = len(open_days)
    await session.close()
    return {
        "symbols": len(listings),
        "patrol_ms": round(statistics.median(times), 2),
        "open_days": found,
        "gaps": gaps,
    }


def _listings(url: str, schema: str) -> list[Listing]:
    with psycopg.connect(url, options=f"-c search_path={schema},public") as connection:
        return [
            Listing(symbol, since, _FOREVER_MS) for symbol, since in connection.execute(_LISTED).fetchall()
        ]


async def _tasks(url: str, schema: str) -> dict[str, object]:
    """Bars of everything, bars once more with nothing new, levels of 1h: each in a kernel process that is there."""
    pool = KernelPool(KernelOptions(), DatabaseOptions(url, schema=schema))
    keep = "analysis.bars.keeping:keep"
    try:
        # Compiles, and finds nothing to do.
        await pool.run(keep, deadline_s=600, exchange="nobody", days=0)
        started = time.perf_counter()
        made = await pool.run(keep, deadline_s=1800, exchange=_EXCHANGE, days=1_000_000)
        first_s = time.perf_counter() - started
        again = [await _seconds(pool, keep, exchange=_EXCHANGE, days=1_000_000) for _ in range(5)]
        levels_s = await _seconds(
            pool, "analysis.levels.compute:compute", market=market_of("1h", _EXCHANGE), symbols=None
        )
    finally:
        await pool.close()
    return {
        "bars_made": made["bars"],
        "bars_first_s": round(first_s, 2),
        "bars_again_s": round(statistics.median(again), 3),
        "levels_s": round(levels_s, 2),
    }


async def _seconds(pool: KernelPool, function: str, **arguments: Any) -> float:
    started = time.perf_counter()
    await pool.run(function, deadline_s=600, **arguments)
    return time.perf_counter() - started


def _queries(folder: Path, settings: dict[str, str], days: int) -> dict[str, object]:
    """Over HTTP, one client, each time another symbol or another end, so that no answer is one kept in memory."""
    symbols = [one.symbol for one in _listings(settings["DATABASE_URL"], settings["KLINE_DB_SCHEMA"])]
    chance = random.Random(days)
    end_ms = int(END.timestamp() * 1000)

    def minutes() -> str:
        upto = end_ms - chance.randrange(400) * 60_000
        return urlencode({"symbol": chance.choice(symbols), "interval": "1m", "limit": 1000, "end": upto})

    def hours() -> str:
        upto = end_ms - chance.randrange(12) * 3_600_000
        return urlencode({"symbol": chance.choice(symbols), "interval": "1h", "limit": 2000, "end": upto})

    with _api(folder, settings) as port:
        return {
            **_asked(port, "klines_1000_minutes", minutes),
            **_asked(port, "klines_all_hours", hours),
        }


@contextmanager
def _api(folder: Path, settings: dict[str, str]) -> Iterator[int]:
    port = free_port()
    log = folder / settings["KLINE_DB_SCHEMA"]
    log.mkdir()
    with daemon_on(log, {**settings, "API_PORT": str(port)}, "--api"):
        deadline = time.monotonic() + 60
        while not _answers(port):
            if time.monotonic() > deadline:
                raise TimeoutError("the API does not answer")
            time.sleep(0.1)
        yield port


def _answers(port: int) -> bool:
    try:
        _get(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "limit=1")
    except OSError:
        return False
    return True


def _asked(port: int, name: str, query: Callable[[], str]) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    times = []
    for _ in range(_ASKED):
        text = query()
        started = time.perf_counter()
        status, answer = _get(connection, text)
        times.append((time.perf_counter() - started) * 1000)
        if status != 200:
            raise RuntimeError(f"{text}: {status} {answer[:300]!r}")
    times.sort()
    return {
        f"{name}_p50_ms": round(statistics.median(times), 1),
        f"{name}_p95_ms": round(times[int(len(times) * 0.95)], 1),
        f"{name}_bytes": len(answer),
    }


def _get(connection: http.client.HTTPConnection, query: str) -> tuple[int, bytes]:
    connection.request("GET", f"/api/v1/klines?{query}")
    answer = connection.getresponse()
    return answer.status, answer.read()
