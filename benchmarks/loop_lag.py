"""``loop_lag``: how late the daemon's event loop is while it does everything at once.

``--all`` with 740 symbols, from the moment it is ready: it reads the last 24 h over REST, fills 30 days with two
workers, does every kind of task each minute (bars, levels, price series, the analysis of a market against a pool),
and is scraped every 5 s. The daemon's own beat (every 0.1 s) is what is measured; of a histogram only the bounds
are known, so each figure is the upper bound of its bucket.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.live import (
    MINUTES,
    SYMBOLS,
    Process,
    children_mb,
    daemon_on,
    database_in,
    sandbox_in,
    settings_of,
    usage,
)
from benchmarks.market_and_pool import END_S, POOL, START_S, fill
from src.adapters.queue import JobQueue, QueueOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.analysis.arbitrage import jobs as arbitrage_jobs
from src.analysis.jobs import Kind
from src.analysis.prices import jobs as price_jobs
from src.model import Task
from src.telemetry.metrics import Metrics

_EVERY_S = 5.0
_NAME = "marketd_event_loop_lag_seconds_bucket"
_LOAD = {
    "BACKFILL_FROM": "30d",
    "BACKFILL_WORKERS": "2",
    "SCHEDULES": "Bars=* * * * * 10,Levels=* * * * * 25",
}


_TRADES, _SWAPS = 1_000_000, 10_000
_ASKED: tuple[tuple[Kind[Any], dict[str, Any]], ...] = (
    (
        price_jobs.KIND,
        {
            "start_date": datetime.fromtimestamp(START_S, UTC).isoformat(),
            "end_date": datetime.fromtimestamp(END_S, UTC).isoformat(),
            "overwrite": True,
        },
    ),
    (arbitrage_jobs.KIND, {"overwrite": True, "strategy": {"pool": POOL}}),
)
"""The tasks that no schedule asks for."""


async def run() -> dict[str, object]:
    """{p99_ms, max_ms, beats, minutes, ...}; ``MARKETD_LIVE_MINUTES`` (10) whole minutes."""
    folder = Path(tempfile.mkdtemp(prefix="marketd-lag-"))
    try:
        with (
            database_in(folder / "pg") as url,
            sandbox_in(folder) as venue,
        ):
            fill(url, trades=_TRADES, swaps=_SWAPS)
            with daemon_on(folder, settings_of(folder, url, venue) | _LOAD, "--all") as daemon:
                _wait_ready(daemon.port)
                async with _queue(url) as queue:
                    return await _measured(daemon, queue)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def _queue(url: str) -> AsyncIterator[JobQueue]:
    pool = make_pool(DatabaseOptions(url), purpose="jobs", size=2)
    await pool.open()
    try:
        queue = JobQueue(pool, Metrics(), QueueOptions())
        await queue.open()
        yield queue
    finally:
        await pool.close()


async def _measured(daemon: Process, queue: JobQueue) -> dict[str, object]:
    before = after = _read(daemon.port)
    resident, began = [0.0], time.monotonic()
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(_ask_each_minute(queue), name="asking")
        while time.monotonic() < began + MINUTES * 60:
            await asyncio.sleep(_EVERY_S)
            after = await asyncio.to_thread(_read, daemon.port)
            resident.append(usage(daemon.pid).rss_mb + children_mb(daemon.pid))
        asking.cancel()
    return _result(before, after) | {"rss_with_children_mb": round(max(resident), 1)}


async def _ask_each_minute(queue: JobQueue) -> None:
    for minute in range(MINUTES + 1):
        for kind, values in _ASKED:
            task = Task(f"{kind.name} {minute}", kind.name, values)
            await queue.ask(task, subject=kind.subject_of(values))
        await asyncio.sleep(60)


def _result(before: dict[str, float], after: dict[str, float]) -> dict[str, object]:
    grown = {name: value - before.get(name, 0.0) for name, value in after.items()}
    buckets = sorted(
        (float(name.partition('le="')[2].rstrip('"}')), count)
        for name, count in grown.items()
        if name.startswith(_NAME)
    )
    beats = buckets[-1][1]
    return {
        "symbols": SYMBOLS,
        "minutes": MINUTES,
        "beats": int(beats),
        "p99_ms": _first(buckets, 0.99 * beats),
        "max_ms": _first(buckets, beats),
        "rows_stored": int(_total(grown, "marketd_rows_committed_total")),
        "tasks_done": int(_total(grown, "marketd_tasks_total", 'outcome="success"')),
        "tasks_failed": int(_total(grown, "marketd_tasks_total", 'outcome="failed"')),
    }


def _first(buckets: list[tuple[float, float]], beats: float) -> float:
    """Milliseconds: the first bound that so many beats lie under."""
    return next(1000 * bound for bound, count in buckets if count >= beats)


def _total(grown: dict[str, float], name: str, label: str = "") -> float:
    return sum(value for key, value in grown.items() if key.startswith(name) and label in key)


def _read(port: int) -> dict[str, float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in lines) if name[:1] != "#"
    }


def _wait_ready(port: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=10):
                return
        except urllib.error.HTTPError:
            time.sleep(1)
    raise TimeoutError("the daemon was not ready within 5 min")
