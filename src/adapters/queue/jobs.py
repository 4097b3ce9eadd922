"""The queue of tasks, by procrastinate: asking, doing, cancelling, and taking over from the dead.

One job of the queue belongs to one task and carries nothing but its id (docs/adr/0041-jobs.md). ``LISTEN`` and session
locks need a direct connection: a pooler in transaction mode in between breaks both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import procrastinate
from procrastinate import exceptions
from procrastinate.connector import Notify
from procrastinate.job_context import AbortReason, JobContext
from procrastinate.jobs import Job
from psycopg_pool import AsyncConnectionPool

from ...errors import Retryable, Unavailable
from ...model import Task
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..timescale import task_store
from ..timescale.errors import CLIENT_ERRORS, translate

QUEUE = "tasks"
_JOB = "marketd"
_FIRST_RETRY_S, _LAST_RETRY_S = 5, 600
_GOODBYE_S = 1.0
_HEAR_AGAIN_S = 2.0

log = get_logger("jobs")


class Doer(Protocol):
    """Does one attempt of a task: ``analysis.runner.Runner.do``."""

    async def __call__(self, task_id: str, *, is_wanted: Callable[[], bool]) -> None: ...


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """``concurrency`` tasks at a time; a worker counts as gone ``stalled_s`` after its last heartbeat.

    All in wall seconds. New jobs and cancellations are looked for every ``poll_s``; usually they are heard of at once.
    """

    concurrency: int = 2
    heartbeat_s: float = 10.0
    stalled_s: float = 30.0
    poll_s: float = 5.0
    first_retry_s: int = _FIRST_RETRY_S


class JobQueue:
    """Tasks and their jobs, on one pool. All raise ``Retryable`` or ``Misconfigured``.

    The pool is opened and closed by whoever made it.
    """

    def __init__(self, pool: AsyncConnectionPool, metrics: Metrics, options: QueueOptions) -> None:
        self._pool, self._metrics, self._options = pool, metrics, options
        self._app = procrastinate.App(connector=_Connector())
        self._doer: Doer | None = None
        self._app.task(name=_JOB, queue=QUEUE, pass_context=True, retry=_Again(options.first_retry_s))(
            self._do
        )

    async def open(self) -> None:
        """Use the pool; sends nothing."""
        await self._app.open_async(self._pool)

    async def ask(self, task: Task, *, subject: str, most_waiting: int | None = None) -> bool:
        """Write a task and its job, or neither; False when the task is there, or one of its schedule still waits.

        ``subject`` is what no two tasks work on at once. Raises ``QueueFull`` where ``most_waiting`` wait already.
        """
        with _translated():
            async with self._pool.connection() as connection:
                if not await task_store.ask(connection, task, most_waiting=most_waiting):
                    return False
                job = self._app.configure_task(_JOB, lock=subject, queue=QUEUE, connection=connection)
                await task_store.set_job(
                    connection, task.task_id, await job.defer_async(task_id=task.task_id)
                )
                return True

    async def cancel(self, task_id: str) -> bool:
        """End a task that waits, and stop one that is worked at; False when it is over, or is not there."""
        with _translated():
            async with self._pool.connection() as connection:
                job = await task_store.cancel(connection, task_id)
                if job is None:
                    return False
                manager = self._app.job_manager
                await manager.cancel_job_by_id_async(job, abort=True, delete_job=True, connection=connection)
                return True

    async def work(self, doer: Doer) -> None:
        """Do tasks until cancelled; what is worked at then goes back to the queue.

        Raises ``Unavailable`` when the worker ended by itself, which a lost connection makes it do.
        """
        self._doer = doer
        with _translated():
            await self._app.run_worker_async(
                queues=[QUEUE],
                name=QUEUE,
                concurrency=self._options.concurrency,
                install_signal_handlers=False,
                fetch_job_polling_interval=self._options.poll_s,
                abort_job_polling_interval=self._options.poll_s,
                update_heartbeat_interval=self._options.heartbeat_s,
                stalled_worker_timeout=self._options.stalled_s,
                shutdown_graceful_timeout=_GOODBYE_S,
                delete_jobs="always",
            )
        raise Unavailable("the worker of the queue has ended", reason="queue")

    async def take_over(self) -> int:
        """Give the jobs of workers that are silent back to the queue; returns how many.

        A task that was cancelled while its worker was silent, or just when its attempt failed, has nobody who would end
        it: it is ended here.
        """
        manager = self._app.job_manager
        taken = 0
        with _translated():
            stalled = await manager.get_stalled_jobs(
                queue=QUEUE, seconds_since_heartbeat=self._options.stalled_s
            )
            for job in stalled:
                if job.id is not None:
                    await manager.retry_job_by_id_async(job.id, datetime.now(UTC))
                    taken += 1
                    log.warning(
                        "task_taken_over", msg="its worker is silent", task=job.task_kwargs["task_id"]
                    )
            async with self._pool.connection() as connection:
                for task_id in await task_store.end_unwanted(connection):
                    log.warning("task_ended", msg="cancelled; nobody works at it any more", task=task_id)
        self._metrics.tasks_taken_over.inc(taken)
        return taken

    async def _do(self, context: JobContext, task_id: str) -> None:
        if self._doer is None:
            raise Unavailable("nobody does tasks here", reason="queue")

        def is_wanted() -> bool:
            return context.abort_reason() is not AbortReason.USER_REQUEST

        try:
            await self._doer(task_id, is_wanted=is_wanted)
        except asyncio.CancelledError:
            if not is_wanted():
                # What the queue wants to hear; the cancellation was its own, for this job alone.
                raise exceptions.JobAborted from None
            raise


class _Connector(procrastinate.PsycopgConnector):
    """Listens again after the database was away; the library's own listener ends then, and is never made anew."""

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        """Until cancelled. What was not heard meanwhile is found by asking, every ``poll_s``."""
        names = list(channels)
        while True:
            try:
                await super().listen_notify(on_notification, names)
            except exceptions.ConnectorException as error:
                why = error.__cause__ or error
                log.warning("queue_unheard", msg=f"new jobs are asked for, not heard of: {translate(why)}")
                await asyncio.sleep(_HEAR_AGAIN_S)


class _Again(procrastinate.BaseRetryStrategy):
    """Another attempt, later each time; at once for what a worker's end interrupted.

    Whatever is wrong with a task itself is written into the task; what comes out here is worth an attempt, or it is the
    database's, and then the task must not lose its job.
    """

    def __init__(self, first_s: int) -> None:
        self._first_s = first_s

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> procrastinate.RetryDecision:
        if isinstance(exception, asyncio.CancelledError):
            return procrastinate.RetryDecision(retry_in={"seconds": 0})
        seconds = min(self._first_s * 2 ** min(job.attempts, 10), _LAST_RETRY_S)
        if isinstance(exception, Retryable):
            seconds = max(seconds, int(exception.retry_after))
        return procrastinate.RetryDecision(retry_in={"seconds": seconds})


@contextmanager
def _translated() -> Iterator[None]:
    """The queue hides the database's errors behind its own."""
    try:
        yield
    except exceptions.ConnectorException as error:
        cause: Any = error.__cause__ or error
        raise translate(cause) from error
    except CLIENT_ERRORS as error:
        raise translate(error) from error
