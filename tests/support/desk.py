"""The desk of tasks over a shelf in memory: for what HTTP and gRPC say, where the database has no part in it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field

from src.analysis.jobs import Context, Kind, Parameters
from src.errors import QueueFull
from src.model import Task, TaskLine, TaskState
from src.wiring.desk import WorkDesk


class Painting(Parameters):
    """What the kind of these tests takes."""

    wall: str = Field(min_length=1)
    colour: Literal["red", "blue"] = "red"
    coats: int = Field(1, ge=1, le=3)


async def _paint(context: Context, asked: Painting) -> Mapping[str, Any]:
    return {"coats": asked.coats}


PAINT = Kind("Paint", Painting, _paint, lambda asked: asked.wall, about="paints a wall")


class Shelf:
    """``ports.tasks.TaskQueue`` and what ``TaskStore`` shows of it, without a database; nothing is ever worked at."""

    def __init__(self) -> None:
        self.tasks: dict[str, Task] = {}
        self.subjects: dict[str, str] = {}
        self.log: dict[str, list[TaskLine]] = {}
        self._numbers = itertools.count(1)

    async def ask(self, task: Task, *, subject: str, most_waiting: int | None = None) -> bool:
        if task.task_id in self.tasks:
            return False
        if most_waiting is not None and (waiting := await self.waiting()) >= most_waiting:
            raise QueueFull(f"{waiting} tasks wait already", reason="queue_full", retry_after=10.0)
        self.tasks[task.task_id] = replace(task, created_ms=next(self._numbers))
        self.subjects[task.task_id] = subject
        return True

    async def cancel(self, task_id: str) -> bool:
        task = self.tasks.get(task_id)
        if task is None or task.state.over:
            return False
        self.end(task_id, TaskState.CANCELLED)
        return True

    async def show(self, task_id: str) -> Task | None:
        return self.tasks.get(task_id)

    async def newest(
        self,
        *,
        kind: str | None = None,
        state: TaskState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Task]:
        found = [
            task
            for task in reversed(self.tasks.values())
            if kind in (None, task.kind) and state in (None, task.state)
        ]
        if before is not None:
            found = [task for task in found if task.created_ms < self.tasks[before].created_ms]
        return found[:limit]

    async def lines(self, task_id: str, *, after: int = 0, limit: int = 1000) -> list[TaskLine]:
        return [line for line in self.log.get(task_id, []) if line.number > after][:limit]

    async def waiting(self) -> int:
        return sum(task.state is TaskState.PENDING for task in self.tasks.values())

    def end(self, task_id: str, state: TaskState) -> None:
        self.tasks[task_id] = replace(self.tasks[task_id], state=state, finished_ms=1)

    def tell(self, task_id: str, line: str) -> None:
        self.log.setdefault(task_id, []).append(TaskLine(next(self._numbers), 1, "info", line))


def desk_of(shelf: Shelf, *kinds: Kind[Any], most_waiting: int = 100) -> WorkDesk:
    """The desk over ``shelf``; of ``PAINT`` alone where no kinds are given."""
    return WorkDesk({kind.name: kind for kind in kinds or (PAINT,)}, shelf, shelf, most_waiting=most_waiting)
