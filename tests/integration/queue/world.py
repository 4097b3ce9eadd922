"""A queue on a real database, with kinds of tasks that a test can hold in its hands."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from psycopg_pool import AsyncConnectionPool

from src.adapters.kernels import KernelOptions, KernelPool
from src.adapters.queue import JobQueue, QueueOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.adapters.timescale.task_store import TaskStore
from src.analysis.jobs import Context, Kind, Parameters
from src.analysis.runner import Runner
from src.clock import VenueClock
from src.errors import BadData, Unavailable
from src.model import Task, TaskState
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually


class Asked(Parameters):
    subject: str = "one"
    fails: int = 0
    spoilt: bool = False
    waits: bool = False
    hangs_in: str = ""


@dataclass
class Desk:
    """The kind ``test``: what it is asked it does, and it keeps count of who is at it."""

    begun: list[str] = field(default_factory=list)
    now: dict[str, int] = field(default_factory=dict)
    most: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def kind(self) -> Kind[Asked]:
        return Kind("test", Asked, self.run, lambda asked: asked.subject, deadline_s=60.0, attempts=3)

    async def run(self, context: Context, asked: Asked) -> Mapping[str, Any]:
        self.begun.append(context.task.task_id)
        self.now[asked.subject] = self.now.get(asked.subject, 0) + 1
        self.most = max(self.most, self.now[asked.subject])
        try:
            return await self._work(context, asked)
        finally:
            self.now[asked.subject] -= 1

    async def _work(self, context: Context, asked: Asked) -> Mapping[str, Any]:
        await context.tell(f"attempt {context.task.attempts}", 0.25)
        if context.task.failures < asked.fails:
            raise Unavailable("the venue is away")
        if asked.spoilt:
            raise BadData("row 7 is spoilt")
        if asked.waits:
            await self.go.wait()
        if asked.hangs_in:
            await context.compute("adapters.kernels.selfcheck:hang", begun=asked.hangs_in)
        found = await context.compute("adapters.kernels.selfcheck:echo", value=asked.subject)
        return {"rows": 7, "said": found["value"]}


@dataclass
class World:
    """``work`` starts a worker, one more each time."""

    database: str
    pool: AsyncConnectionPool
    metrics: Metrics
    kernels: KernelPool
    desk: Desk
    stack: AsyncExitStack

    @property
    def store(self) -> TaskStore:
        return TaskStore(self.pool)

    async def queue(self, **options: Any) -> JobQueue:
        queue = JobQueue(
            self.pool, self.metrics, QueueOptions(**{"poll_s": 0.5, "first_retry_s": 0, **options})
        )
        await queue.open()
        return queue

    async def work(self, queue: JobQueue) -> asyncio.Task[None]:
        kind = self.desk.kind
        runner = Runner({kind.name: kind}, self.store, self.kernels, VenueClock(), self.metrics, version="v1")
        task = asyncio.create_task(queue.work(runner.do), name="worker")
        self.stack.push_async_callback(stop, task)
        return task

    async def ask(self, queue: JobQueue, task_id: str, **parameters: Any) -> bool:
        task = Task(task_id, "test", parameters, requested_by="a test")
        return await queue.ask(task, subject=f"test/{parameters.get('subject', 'one')}")

    async def until(self, task_id: str, state: TaskState) -> Task:
        async def there() -> Task | None:
            task = await self.store.show(task_id)
            assert task is not None
            assert task.state == state, task
            return task

        found = await eventually(there, timeout=60)
        assert found is not None
        return found


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel a worker and wait for its end."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def world(database: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        pool = make_pool(DatabaseOptions(database), purpose="jobs", size=6)
        await pool.open()
        stack.push_async_callback(pool.close)
        kernels = KernelPool(KernelOptions(processes=1), DatabaseOptions(database))
        stack.push_async_callback(kernels.close)
        yield World(database, pool, Metrics(), kernels, Desk(), stack)
