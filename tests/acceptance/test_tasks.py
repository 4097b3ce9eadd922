"""Every task each minute on two weeks of history, the daemon killed in the middle: what is stored is what the naive
twins make of the same rows.

``MARKETD_TEST_TASK_MINUTES`` (30) is how long, at speed 1.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from src.adapters.queue import JobQueue, QueueOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.adapters.timescale.task_store import TaskStore
from src.analysis.arbitrage import jobs as arbitrage_jobs
from src.analysis.jobs import Kind
from src.analysis.prices import jobs as price_jobs
from src.model import MINUTE_MS, Task, TaskState
from src.telemetry.metrics import Metrics
from tests import naive_levels
from tests.integration.analysis.level_world import LevelWorld, level_world
from tests.integration.arbitrage.world import END_MS, POOL, START_MS, SYMBOL, stored_world
from tests.integration.backfill.past import Past, open_past
from tests.integration.bars.world import Market, same
from tests.support.daemon import Daemon
from tests.support.eventually import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * 3600)]

MINUTES = int(os.environ.get("MARKETD_TEST_TASK_MINUTES", "30"))
_SCHEDULES = "Bars=* * * * * 10,Levels=* * * * * 25"
_SPAN_BARS = 2000
_HOUR_MS = 60 * MINUTE_MS
_OTHERS: tuple[tuple[Kind[Any], dict[str, Any]], ...] = (
    (
        price_jobs.KIND,
        {
            "start_date": datetime.fromtimestamp(START_MS / 1000, UTC).isoformat(),
            "end_date": datetime.fromtimestamp(END_MS / 1000, UTC).isoformat(),
            "symbol": SYMBOL,
            "pool": POOL.address,
            "overwrite": True,
        },
    ),
    (arbitrage_jobs.KIND, {"overwrite": True, "strategy": {"symbol": SYMBOL, "pool": POOL.address}}),
)


async def test_every_task_each_minute_and_a_kill_in_the_middle(database: str, tmp_path: Path) -> None:
    await stored_world(database)
    async with open_past(database, tmp_path, symbols=12, history_days=14, delisted=1, relisted=1) as past:
        daemon = Daemon(
            {
                **past.environment(tmp_path),
                "BACKFILL_FROM": past.day(0),
                "SCHEDULES": _SCHEDULES,
                "RATE_LIMIT_PER_MINUTE": "2400",
            },
            folder=tmp_path,
            arguments=("--all",),
        )
        daemon.start()
        try:
            await daemon.wait_ready(within=180)
            await eventually(lambda: _accounted(past), timeout=900, message="the history is filled")
            await _each_minute(daemon, database)
            await eventually(lambda: _levels_are_of_the_newest_bar(past), timeout=600)
            await daemon.stop()
        finally:
            await daemon.kill()
        await _bars_equal_their_twins(past)
        with level_world(database) as world:
            await _levels_equal_their_twins(past, world)


async def _each_minute(daemon: Daemon, database: str) -> None:
    """Ask for the tasks without a schedule each minute; kill -9 half-way, while one runs."""
    pool = make_pool(DatabaseOptions(database), purpose="jobs", size=2)
    await pool.open()
    queue, tasks = JobQueue(pool, Metrics(), QueueOptions()), TaskStore(pool)
    await queue.open()
    try:
        for minute in range(MINUTES):
            began = time.monotonic()
            asked = [await _ask(queue, kind, values, minute) for kind, values in _OTHERS]
            if minute == MINUTES // 2:
                await eventually(partial(_stands_still_at_work, daemon, tasks), timeout=120)
                await daemon.kill()
                daemon.start()
                await daemon.wait_ready(within=120)
            for task_id in asked:
                await eventually(partial(_succeeded, tasks, task_id), timeout=240)
            await asyncio.sleep(max(0.0, 60.0 - (time.monotonic() - began)))
        found = await tasks.newest(limit=10_000)
        assert not [task for task in found if task.state is TaskState.FAILED]
        assert max(task.attempts for task in found) > 1, "nothing was under way when it was killed"
        for name in ("Bars", "Levels", *(kind.name for kind, _ in _OTHERS)):
            done = [task for task in found if task.kind == name and task.state is TaskState.SUCCESS]
            # One may fall together with the next while the daemon is away.
            assert len(done) >= MINUTES - 3, f"{name} was done {len(done)} times"
    finally:
        await pool.close()


async def _stands_still_at_work(daemon: Daemon, tasks: TaskStore) -> bool:
    """True with the daemon stopped (SIGSTOP) in the middle of a task, so that the kill meets it there."""
    daemon.child.signal(signal.SIGSTOP)
    if await tasks.newest(state=TaskState.RUNNING):
        return True
    daemon.child.signal(signal.SIGCONT)
    return False


async def _ask(queue: JobQueue, kind: Kind[Any], values: dict[str, Any], minute: int) -> str:
    task = Task(f"{kind.name} {minute}", kind.name, values)
    assert await queue.ask(task, subject=kind.subject_of(values))
    return task.task_id


async def _succeeded(tasks: TaskStore, task_id: str) -> bool:
    task = await tasks.show(task_id)
    assert task is not None and task.state is TaskState.SUCCESS, task
    return True


async def _accounted(past: Past) -> bool:
    return await past.unaccounted() == []


async def _levels_are_of_the_newest_bar(past: Past) -> bool:
    """The runs have seen every 1h bar that is there."""
    behind = await past.sql(
        "SELECT symbol FROM analysis_results WHERE timeframe = '1h' AND known_to < ("
        " SELECT max(close_ts) FROM bars WHERE bars.symbol = analysis_results.symbol AND size = 3600000)"
    )
    return behind == []


async def _bars_equal_their_twins(past: Past) -> None:
    market = Market(past.database_url, past.core.settings.binance_ws_db_exchange)
    compared = 0
    for symbol in past.symbols():
        cuts = await past.sql(
            "SELECT (extract(epoch FROM onboard_ts) * 1000)::bigint FROM instruments WHERE symbol = %s"
            " ORDER BY onboard_ts OFFSET 1",
            [symbol],
        )
        kept = await market.bars(symbol)
        twins = await market.twins(symbol, [ms // MINUTE_MS * MINUTE_MS for (ms,) in cuts])
        assert same(kept, twins), symbol
        compared += len(kept)
    assert compared > 10 * 14 * 288


async def _levels_equal_their_twins(past: Past, world: LevelWorld) -> None:
    found = await past.sql(
        "SELECT symbol, (extract(epoch FROM known_to) * 1000)::bigint FROM analysis_results WHERE timeframe = '1h'"
    )
    assert len(found) >= 10
    for symbol, known_to in found:
        bars = await past.sql(
            "SELECT (extract(epoch FROM open_ts) * 1000)::bigint, (extract(epoch FROM close_ts) * 1000)::bigint,"
            " high, low, close, volume FROM bars WHERE symbol = %s AND kind = 'time' AND size = 3600000"
            " AND open_ts >= (SELECT max(onboard_ts) FROM instruments WHERE instruments.symbol = bars.symbol)"
            " AND close_ts <= %s ORDER BY open_ts",
            [symbol, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=known_to)],
        )
        told = naive_levels.levels(bars, _SPAN_BARS * _HOUR_MS)
        assert world.known(symbol, known_to) == told, symbol
        assert told, f"{symbol} has no level"
