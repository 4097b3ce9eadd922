"""Tasks as people ask for them and look at them, over HTTP and gRPC alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..model import BackfillRequest, Task, TaskLine, TaskState


@dataclass(frozen=True, slots=True)
class KindView:
    """A kind of task: its name, one line for people, and the JSON schema of its parameters."""

    name: str
    about: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JobView:
    """What is done by itself: ``name`` as the configuration has it, the kind and parameters of its tasks, ``cron`` in
    UTC, and when the next one is due (UTC ms)."""

    name: str
    kind: str
    parameters: Mapping[str, Any]
    cron: str
    next_ms: int


class TaskDesk(Protocol):
    """Where tasks are asked for and looked at. All but ``kinds`` and ``jobs`` raise ``Retryable`` or ``Misconfigured``.

    ``ask`` returns the task, and whether it is new: the same ``task_id`` twice is one task, whatever the second asks
    for. It raises ``BadFields`` that names the fields, the kind that there is not among them, and ``QueueFull``.
    ``newest`` gives the newest first, those made before ``before`` (a task's id) where it is given. ``lines`` are those
    behind number ``after``, in order. ``cancel`` is False for a task that is over or not there. ``waiting`` is how many
    nobody works at yet, or again.
    """

    def kinds(self) -> Sequence[KindView]: ...

    def jobs(self, now_ms: int) -> Sequence[JobView]: ...

    async def ask(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        *,
        task_id: str | None = None,
        requested_by: str = "",
    ) -> tuple[Task, bool]: ...

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

    async def cancel(self, task_id: str) -> bool: ...

    async def waiting(self) -> int: ...


class Batches(Protocol):
    """Batches of opportunities. ``add`` makes one; None where the name is taken. Raises ``Retryable``."""

    async def add(self, name: str) -> int | None: ...


@dataclass(frozen=True, slots=True)
class BackfillCost:
    """What filling would cost: ``rows`` to fill, ``files`` and ``requests`` to ask for, bytes to download and to store,
    request ``weight``, ``seconds`` at the budget; ``left`` minutes nobody can be asked for now."""

    rows: int
    files: int
    requests: int
    download_bytes: int
    stored_bytes: int
    weight: int
    seconds: float
    left: int


class Backfills(Protocol):
    """History to be filled. All raise ``BadFields`` for a range that cannot be, ``QueueFull`` or ``Retryable``.

    ``estimate`` plans and does nothing. ``start`` returns the request as it is kept, and whether it is new: what asks
    for just the same and is not over yet is one. ``cancel`` ends one that waits, and has one that runs ended.
    """

    async def estimate(self, wanted: BackfillRequest) -> BackfillCost: ...

    async def start(self, wanted: BackfillRequest, *, requested_by: str) -> tuple[BackfillRequest, bool]: ...

    async def cancel(self, number: int) -> None: ...
