"""``db_overrides`` over a real socket, from the call to the session that the task works in."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from src.adapters.kernels import KernelOptions, KernelPool
from src.adapters.queue import JobQueue, QueueOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.adapters.timescale.task_store import TaskStore
from src.analysis.prices import jobs as price_jobs
from src.analysis.runner import Runner
from src.api.grpc.service import ServiceOptions
from src.api.protos import task_pb2
from src.clock import VenueClock
from src.model import Task
from src.telemetry.metrics import Metrics
from src.wiring.desk import WorkDesk
from tests.integration.arbitrage.world import SMALL, stored_world
from tests.support.eventually import eventually
from tests.support.grpc_api import Client, grpc_served

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_task_works_with_the_settings_that_it_was_given(database: str) -> None:
    await stored_world(database)
    with psycopg.connect(database) as connection:  # one pool is left, which need not be named
        for table in ("swap_ranges", "pools"):
            connection.execute(f"DELETE FROM market_data.{table} WHERE pool = %s", [SMALL.address])
    options, metrics = DatabaseOptions(database), Metrics()
    pool = make_pool(options, purpose="jobs", size=6)
    await pool.open()
    tasks, queue = TaskStore(pool), JobQueue(pool, metrics, QueueOptions(poll_s=0.5, first_retry_s=0))
    await queue.open()
    kinds = {"ProcessPrices": price_jobs.kind(takes_overrides=True)}
    kernels = KernelPool(KernelOptions(), options)
    runner = Runner(kinds, tasks, kernels, VenueClock(), metrics, version="v1")
    worker = asyncio.create_task(queue.work(runner.do), name="worker")
    try:
        desk = WorkDesk(kinds, queue, tasks)
        async with grpc_served(desk, ServiceOptions(takes_overrides=True)) as client:
            with psycopg.connect(database) as holder:
                holder.execute("LOCK TABLE market_data.price_series")
                failed = await ended(client, tasks, "impatient", lock_timeout="100ms")
            assert "lock timeout" in failed.error, failed
            done = await ended(client, tasks, "patient", lock_timeout="5min", work_mem="8MB")
    finally:
        worker.cancel()
        await asyncio.wait({worker})
        await kernels.close()
        await pool.close()
    assert (done.state, done.error) == ("SUCCESS", "")
    assert (done.result or {})["parameters"]["db_overrides"] == {"lock_timeout": "5min", "work_mem": "8MB"}


async def ended(client: Client, tasks: TaskStore, task_id: str, **settings: str) -> Task:
    await client.tasks.ProcessPrices(
        task_pb2.ProcessPricesRequest(task_id=task_id, start_date="2025-10-01", db_overrides=settings),
        timeout=30,
    )

    async def over() -> Task | None:
        task = await tasks.show(task_id)
        return task if task is not None and task.state.over else None

    found = await eventually(over, timeout=90)
    assert found is not None
    return found
