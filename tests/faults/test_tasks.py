"""Workers of the queue as processes: one is lost in the middle, and every result is there once."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
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
from tests.support.cluster import Cluster
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.machines import PREPARE, let_machines_in, machine, machines_can_be_made
from tests.support.namespaces import inside, run_inside

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
    workers = [_worker(database, tmp_path) for _ in range(2)]
    async with _computed_once(database) as (queue, tasks), _running(workers, tasks):
        await _ask_for_all(queue)
        await _at_work(workers, tasks, workers[0].kill)
        await eventually(lambda: _all_done(tasks, _TASKS), timeout=150, message="every task is done")


@pytest.mark.root
async def test_of_two_worker_machines_one_loses_its_link(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The server still has its sessions and the queue its jobs; what it did in the dark counts for nothing."""
    if not inside():
        if not machines_can_be_made():
            pytest.skip("needs a /proc/sys that can be written")
        await run_inside(request, "--net", prepare=PREPARE)
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    await let_machines_in(cluster)
    async with machine() as lonely, machine() as other, _computed_once(cluster.url) as (queue, tasks):
        workers = [_worker(cluster.url, tmp_path).on(place) for place in (lonely, other)]
        async with _running(workers, tasks):
            await _ask_for_all(queue)
            await _at_work(workers, tasks, lonely.pull_the_cable)
            await eventually(lambda: _all_done(tasks, _TASKS), timeout=150, message="every task is done")
            assert workers[0].child.exit_code is None
            await workers[1].kill()
            await lonely.plug_it_in()
            await _ask(queue, "one more", _parameters(0, "second"))
            await eventually(lambda: _all_done(tasks, _TASKS + 1), timeout=120, message="it works again")


def _worker(database: str, folder: Path) -> Daemon:
    settings = {"DATABASE_URL": database, "TASK_CONCURRENCY": "1", "BINANCE_REST_URL": "http://127.0.0.1:9"}
    return Daemon(settings, folder=folder, arguments=("worker",))


@asynccontextmanager
async def _running(workers: Sequence[Daemon], tasks: TaskStore) -> AsyncIterator[None]:
    """All of them ask for work inside the block: one that came late would find all of it done."""

    async def all_there() -> bool:
        return await tasks.workers() == len(workers)

    try:
        for worker in workers:
            worker.start()
        await eventually(all_there, timeout=120, message="all ask for work")
        yield
    finally:
        for worker in workers:
            await worker.kill()


@asynccontextmanager
async def _computed_once(database: str) -> AsyncIterator[tuple[JobQueue, TaskStore]]:
    """A database with something to compute; at the end it must have been, one task a second time, by whomever."""
    world = await stored_world(database)
    async with _desk(database) as (queue, tasks):
        yield queue, tasks
        found = await tasks.newest(limit=_TASKS + 1)
        assert max(task.attempts for task in found) == 2, "nobody was at work when it happened"
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


async def _ask_for_all(queue: JobQueue) -> None:
    for number in range(_SPANS):
        for interval in _SECONDS:
            await _ask(queue, f"{interval} {number}", _parameters(number, interval))


async def _ask(queue: JobQueue, task_id: str, parameters: dict[str, Any]) -> None:
    subject = price_jobs.KIND.subject_of(parameters)
    await queue.ask(Task(task_id, "ProcessPrices", parameters), subject=subject)


@asynccontextmanager
async def _desk(database: str) -> AsyncIterator[tuple[JobQueue, TaskStore]]:
    pool = make_pool(DatabaseOptions(database), purpose="jobs", size=2)
    await pool.open()
    queue = JobQueue(pool, Metrics(), QueueOptions())
    await queue.open()
    yield queue, TaskStore(pool)
    await pool.close()


async def _at_work(
    workers: Sequence[Daemon], tasks: TaskStore, break_off: Callable[[], Awaitable[None]]
) -> None:
    """``break_off`` at a moment when all are at a task: they stand still while it is looked for."""

    async def all_at_work() -> bool:
        for worker in workers:
            worker.child.signal(signal.SIGSTOP)
        running = await tasks.newest(state=TaskState.RUNNING)
        if len(running) == len(workers):
            return True
        for worker in workers:
            worker.child.signal(signal.SIGCONT)
        await asyncio.sleep(0.01)
        return False

    await eventually(all_at_work, timeout=60, message="all are at work")
    await break_off()
    for worker in workers:
        worker.child.signal(signal.SIGCONT)


async def _all_done(tasks: TaskStore, number: int) -> bool:
    found = await tasks.newest(limit=number + 1)
    assert len(found) == number
    assert not [task for task in found if task.state in (TaskState.FAILED, TaskState.CANCELLED)], found
    return all(task.state is TaskState.SUCCESS for task in found)


async def _series(database: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(database) as connection:
        found = await connection.execute(
            "SELECT venue, market, interval_seconds, bucket_ts, open, high, low, close, vwap, volume, quote_volume,"
            " trade_count FROM market_data.price_series ORDER BY 1, 2, 3, 4"
        )
        return await found.fetchall()
