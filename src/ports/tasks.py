"""Tasks: who keeps them, who computes for them, who is told to do them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ..model import Task, TaskState

Noted = Callable[[str, float | None], None]
"""Told a line for people, and the share done where it is known."""


class Tasks(Protocol):
    """The tasks as people see them. All raise ``Retryable`` or ``Misconfigured``.

    ``begin`` marks one RUNNING, an attempt more, None when it is over; ``end`` says how this attempt ended, False when
    another one has been begun since; ``tell`` adds a line to its log.
    """

    async def begin(self, task_id: str) -> Task | None: ...

    async def end(
        self, task: Task, state: TaskState, *, error: str = "", result: Mapping[str, Any] | None = None
    ) -> bool: ...

    async def tell(
        self, task: Task, line: str, *, share: float | None = None, level: str = "info"
    ) -> None: ...


class TaskQueue(Protocol):
    """Who shall do what. Raises ``Retryable`` or ``Misconfigured``.

    ``ask`` writes a task and puts it into the queue, or neither; False where it is there already, or where one of the
    same schedule still waits for its first attempt. No two tasks of one ``subject`` are worked at once. With
    ``most_waiting`` it raises ``QueueFull`` where so many wait, whichever processes asked for them. ``cancel`` ends or
    stops one; False where it is over.
    """

    async def ask(self, task: Task, *, subject: str, most_waiting: int | None = None) -> bool: ...

    async def cancel(self, task_id: str) -> bool: ...


class Kernels(Protocol):
    """Calls a function (``module:name``) in a process of its own; cancelling the call kills it.

    Raises what the function raises, and ``Unavailable`` (``kernel``) when the process ended. ``began`` is called once
    the call has a place: until then it waits for other calls to end, and its deadline has not begun.
    """

    async def run(
        self, function: str, *, deadline_s: float, noted: Noted, began: Callable[[], None], **arguments: Any
    ) -> Any: ...
