"""The desk at which HTTP and gRPC ask for tasks: the kinds there are, the queue, and a bound on what waits in it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import uuid4

from ..analysis.jobs import Kind
from ..analysis.schedules import Schedule
from ..errors import BadFields
from ..model import Task, TaskLine, TaskState
from ..ports.tasks import TaskQueue
from ..ports.work import JobView, KindView

MOST_WAITING = 100
"""Tasks that wait at a time, whoever asked for them, in whichever process; what schedules ask for is taken all the
same."""
_TASK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")


class TaskBook(Protocol):
    """What ``TaskStore`` shows of tasks. All raise ``Retryable`` or ``Misconfigured``."""

    async def show(self, task_id: str) -> Task | None: ...

    async def newest(
        self,
        *,
        kind: str | None = None,
        state: TaskState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Task]: ...

    async def lines(self, task_id: str, *, after: int = 0, limit: int = 1000) -> list[TaskLine]: ...

    async def waiting(self) -> int: ...


class WorkDesk:
    """``ports.work.TaskDesk``. Whoever makes it opens and closes the pool behind ``queue`` and ``tasks``."""

    def __init__(
        self,
        kinds: Mapping[str, Kind[Any]],
        queue: TaskQueue,
        tasks: TaskBook,
        *,
        schedules: Sequence[Schedule] = (),
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._kinds = dict(sorted(kinds.items()))
        self._queue, self._tasks = queue, tasks
        self._schedules = schedules
        self._most_waiting = most_waiting
        self._views = tuple(
            KindView(kind.name, kind.about, kind.parameters.model_json_schema())
            for kind in self._kinds.values()
        )

    def kinds(self) -> Sequence[KindView]:
        """In the order of their names."""
        return self._views

    def change(self, schedules: Sequence[Schedule]) -> None:
        """Show these from now on."""
        self._schedules = schedules

    def jobs(self, now_ms: int) -> Sequence[JobView]:
        """In the order of their names."""
        return [
            JobView(one.name, one.kind, one.parameters, one.cron, one.next_ms(now_ms))
            for one in self._schedules
        ]

    async def ask(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        *,
        task_id: str | None = None,
        requested_by: str = "",
    ) -> tuple[Task, bool]:
        """See ``ports.work.TaskDesk``. What is wrong with the request is said before the database is asked."""
        subject = self._subject(kind, parameters)
        wanted = _id(kind, task_id)
        if task_id is not None and (there := await self._tasks.show(wanted)) is not None:
            return there, False
        task = Task(wanted, kind, parameters, requested_by=requested_by)
        is_new = await self._queue.ask(task, subject=subject, most_waiting=self._most_waiting)
        return await self._tasks.show(wanted) or task, is_new

    async def show(self, task_id: str) -> Task | None:
        return await self._tasks.show(task_id)

    async def newest(
        self,
        *,
        kind: str | None = None,
        state: TaskState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Task]:
        return await self._tasks.newest(kind=kind, state=state, limit=limit, before=before)

    async def lines(self, task_id: str, *, after: int = 0, limit: int = 1000) -> list[TaskLine]:
        return await self._tasks.lines(task_id, after=after, limit=limit)

    async def cancel(self, task_id: str) -> bool:
        return await self._queue.cancel(task_id)

    async def waiting(self) -> int:
        return await self._tasks.waiting()

    def _subject(self, kind: str, parameters: Mapping[str, Any]) -> str:
        if kind not in self._kinds:
            message = f"there is no task called {kind[:80]}; there are {', '.join(self._kinds)}"
            raise BadFields(message, [("kind", message)], reason="kind")
        return self._kinds[kind].subject_of(parameters)


def _id(kind: str, task_id: str | None) -> str:
    """The id that was given, or a new one. Raises ``BadFields``: an id with @ is a schedule's, and nobody else's."""
    if task_id is None:
        return f"{kind}-{uuid4().hex[:12]}"
    if not _TASK_ID.fullmatch(task_id):
        message = "letters, digits and . _ : - only, 128 at most, a letter or digit first"
        raise BadFields(f"task_id: {message}", [("task_id", message)], reason="task_id")
    return task_id
