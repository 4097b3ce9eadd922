"""Workers of the queue as processes: one is killed in the middle, and every result is there once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from src.adapters.queue import JobQueue, QueueOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.adapters.timescale.task_store import TaskStore
from src.analysis.prices import compute as price_compute
from src.analysis.prices import jobs as price_jobs
from src.model import Task, TaskState
from src.telemetry.metrics import Metrics
from tests.integration.arbitrage.world import END_MS, POOL, START_MS, SYMBOL, stored_world
from tests.support.daemon import Daemon
from tests.support.eventually import eventually

pytestmark = pytest.mark.fault

_SECONDS = {"second": 1, "minute": 60}
_SPANS = 15
_TASKS = _SPANS * len(_SECONDS)
_STEP_MS = (END_MS - START_MS) // _SPANS // 60_000 * 60_000


def _parameters(number: int, interval: str) -> dict[str, Any]:
    start = START_MS + number * _STEP_MS
    return {
        "start_date": datetime.fromtimestamp(start / 1000, UTC).isoformat(),
        "end_date": datetime.fromtimestamp((start + _STEP_MS) / 1000, UTC).isoformat(),
        "aggregation_interval": interval,
        "symbol": SYMBOL,
        "pool": POOL.address,
    }


async def test_of_two_workers_one_is_killed(database: str, tmp_path: Path) -> None:
    """Nothing is lost, every result row is there once, and what was computed is what one process computes."""
    world = await stored_world(database)
    settings = {"DATABASE_URL": database, "TASK_CONCURRENCY": "1", "BINANCE_REST_URL": "http://127.0.0.1:9"}
    workers = [Daemon(settings, folder=tmp_path, arguments=("worker",)) for _ in range(2)]
    async with _desk(database) as (queue, tasks):
        try:
            for worker in workers:
                worker.start()
            for number in range(_SPANS):
                for interval in _SECONDS:
                    parameters = _parameters(number, interval)
                    subject = price_jobs.KIND.subject_of(parameters)
                    await queue.ask(
                        Task(f"{interval} {number}", "ProcessPrices", parameters), subject=subject
                    )
            await _kill_at_work(workers, tasks)
            await eventually(lambda: _all_done(tasks), timeout=150, message="every task is done")
        finally:
            for worker in workers:
                await worker.kill()
        found = await tasks.newest(limit=_TASKS)
        assert len(found) == _TASKS
        assert max(task.attempts for task in found) == 2, "nobody was killed while at work"
    stored = await _series(database)
    for seconds in _SECONDS.values():
        world.run(
            price_compute.compute,
            exchange="binance_spot",
            symbol=SYMBOL,
            chain=None,
            pool=POOL.address,
            start_ms=START_MS,
            end_ms=START_MS + _SPANS * _STEP_MS,
            interval_seconds=seconds,
            overwrite=True,
        )
    assert stored == await _series(database)


@asynccontextmanager
async def _desk(database: str) -> AsyncIterator[tuple[JobQueue, TaskStore]]:
    pool = make_pool(DatabaseOptions(database), purpose="jobs", size=2)
    await pool.open()
    queue = JobQueue(pool, Metrics(), QueueOptions())
    await queue.open()
    yield queue, TaskStore(pool)
    await pool.close()


async def _kill_at_work(workers: list[Daemon], tasks: TaskStore) -> None:
    """kill -9 the first worker at a moment when both are at a task: they stand still while it is looked for."""

    async def both_at_work() -> bool:
        for worker in workers:
            worker.child.signal(signal.SIGSTOP)
        running = await tasks.newest(state=TaskState.RUNNING)
        if len(running) == len(workers):
            return True
        for worker in workers:
            worker.child.signal(signal.SIGCONT)
        await asyncio.sleep(0.01)
        return False

    await eventually(both_at_work, timeout=60, message="both are at work")
    await workers[0].kill()
    workers[1].child.signal(signal.SIGCONT)


async def _all_done(tasks: TaskStore) -> bool:
    found = await tasks.newest(limit=_TASKS)
    assert not [task for task in found if task.state in (TaskState.FAILED, TaskState.CANCELLED)], found
    return all(task.state is TaskState.SUCCESS for task in found)


async def _series(database: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        found = await connection.execute(
            "SELECT venue, market, interval_seconds, bucket_ts, open, high, low, close, vwap, volume, quote_volume,"
            " trade_count FROM market_data.price_series ORDER BY 1, 2, 3, 4"
        )
        return await found.fetchall()
