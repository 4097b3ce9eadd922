"""Tasks and their logs in the database: what people see of the work that the queue does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from ...errors import QueueFull
from ...model import Task, TaskLine, TaskState
from .errors import CLIENT_ERRORS, translate
from .ledger.days import utc
from .queries import query
from .rows import printable

_ERROR_LIMIT = 4000
_LINE_LIMIT = 1000
_AGAIN_S = 10.0
Rows = list[tuple[Any, ...]]


class TaskStore:
    """``ports.Tasks`` on a pool. Raises ``Unavailable``, ``BadData`` or ``Misconfigured``."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def begin(self, task_id: str) -> Task | None:
        """Mark it RUNNING, one attempt more; None when it is over, or is not there."""
        for is_unwanted, kind, parameters, attempts, failures, scheduled in await self._rows(
            query("tasks", "begin"), task_id=task_id
        ):
            if not is_unwanted:
                return Task(
                    task_id,
                    kind,
                    parameters,
                    TaskState.RUNNING,
                    attempts=attempts,
                    failures=failures,
                    scheduled_ms=scheduled,
                )
        return None

    async def end(
        self, task: Task, state: TaskState, *, error: str = "", result: Mapping[str, Any] | None = None
    ) -> bool:
        """Say how this attempt ended; False when it is not the one that is running any more."""
        found = await self._rows(
            query("tasks", "end"),
            task_id=task.task_id,
            attempt=task.attempts,
            state=state.value,
            error=printable(error, _ERROR_LIMIT),
            result=None if result is None else Jsonb(dict(result)),
        )
        return bool(found)

    async def tell(self, task: Task, line: str, *, share: float | None = None, level: str = "info") -> None:
        """Add a line to the log, and the share done; nothing for an attempt that is not running any more."""
        await self._rows(
            query("tasks", "tell"),
            task_id=task.task_id,
            attempt=task.attempts,
            share=share,
            level=level,
            line=printable(line, _LINE_LIMIT),
        )

    async def show(self, task_id: str) -> Task | None:
        """The task as it is now."""
        return next(map(_task, await self._rows(query("tasks", "show"), task_id=task_id)), None)

    async def newest(
        self,
        *,
        kind: str | None = None,
        state: TaskState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Task]:
        """The newest tasks first; with the id of a task those that were made ``before`` it."""
        rows = await self._rows(
            query("tasks", "newest"),
            kind=kind,
            state=None if state is None else state.value,
            limit=limit,
            before=before,
        )
        return [_task(row) for row in rows]

    async def waiting(self) -> int:
        """How many tasks nobody works at yet, or again."""
        return int((await self._rows(query("tasks", "waiting")))[0][0])

    async def lines(self, task_id: str, *, after: int = 0, limit: int = 1000) -> list[TaskLine]:
        """The lines of its log behind number ``after``, in order."""
        rows = await self._rows(query("tasks", "lines"), task_id=task_id, after=after, limit=limit)
        return [TaskLine(*row) for row in rows]

    async def workers(self) -> int:
        """How many workers were heard of within the last minute."""
        return int((await self._rows(query("tasks", "workers")))[0][0])

    async def prune(self, days: int) -> None:
        """Forget what was over ``days`` days ago."""
        await self._rows(query("tasks", "prune"), days=days)

    async def _rows(self, statement: LiteralString, **parameters: object) -> Rows:
        try:
            async with self._pool.connection() as connection:
                return await fetch(connection, statement, parameters)
        except CLIENT_ERRORS as error:
            raise translate(error) from error


async def ask(connection: AsyncConnection, task: Task, *, most_waiting: int | None = None) -> bool:
    """Write a new task within the caller's transaction; False when its id is taken.

    Raises ``QueueFull`` where ``most_waiting`` tasks wait already. That holds for all processes together: they count
    and write one after the other.
    """
    if most_waiting is not None:
        await fetch(connection, query("tasks", "turn"), {})
    given = {
        "most": most_waiting,
        "task_id": task.task_id,
        "kind": task.kind,
        "parameters": Jsonb(dict(task.parameters)),
        "requested_by": printable(task.requested_by, 200),
        "scheduled_for": None if task.scheduled_ms is None else utc(task.scheduled_ms),
    }
    [(is_new, is_there, waiting)] = await fetch(connection, query("tasks", "ask"), given)
    if most_waiting is not None and waiting >= most_waiting and not is_there:
        raise QueueFull(
            f"{waiting} tasks wait already, {most_waiting} are the most; ask again when some are done",
            reason="queue_full",
            retry_after=_AGAIN_S,
        )
    return bool(is_new)


async def cancel(connection: AsyncConnection, task_id: str) -> int | None:
    """Note within the caller's transaction that nobody wants it; the queue's job, None when it is over already."""
    for (job_id,) in await fetch(connection, query("tasks", "cancel"), {"task_id": task_id}):
        return int(job_id)
    return None


async def end_unwanted(connection: AsyncConnection) -> list[str]:
    """End the tasks that nobody wants and whose jobs nobody will do any more; their ids."""
    return [str(task_id) for (task_id,) in await fetch(connection, query("tasks", "end_unwanted"), {})]


async def set_job(connection: AsyncConnection, task_id: str, job_id: int) -> None:
    """Note within the caller's transaction which job of the queue does it."""
    await connection.execute(query("tasks", "set_job"), {"task_id": task_id, "job_id": job_id})


async def fetch(
    connection: AsyncConnection, statement: LiteralString, parameters: Mapping[str, object]
) -> Rows:
    """The rows of ``statement``, none when it gives none."""
    cursor = await connection.execute(statement, parameters)
    return await cursor.fetchall() if cursor.description else []


def _task(row: Sequence[Any]) -> Task:
    task_id, kind, parameters, state, *others = row
    return Task(task_id, kind, parameters, TaskState(state), *others)
