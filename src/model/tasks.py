"""Work that people or schedules ask for, as people see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class TaskState(StrEnum):
    """Where a task is. It goes from PENDING over RUNNING to one of the other three, and back to PENDING to be tried
    again."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def over(self) -> bool:
        return self not in (TaskState.PENDING, TaskState.RUNNING)


@dataclass(frozen=True, slots=True)
class Task:
    """One task. ``share`` of it is done (0 to 1, None where nobody knows); times are UTC milliseconds.

    ``scheduled_ms`` is the period that a schedule made it for. ``result`` says what was read, with which parameters,
    by which version of the code; ``error`` why it failed. ``attempts`` were begun, ``failures`` of them ended with an
    error; one that its worker's end interrupted is none.
    """

    task_id: str
    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    state: TaskState = TaskState.PENDING
    share: float | None = None
    attempts: int = 0
    failures: int = 0
    error: str = ""
    result: Mapping[str, Any] | None = None
    requested_by: str = ""
    scheduled_ms: int | None = None
    created_ms: int = 0
    started_ms: int | None = None
    finished_ms: int | None = None


@dataclass(frozen=True, slots=True)
class TaskLine:
    """One line of a task's log. ``number`` grows."""

    number: int
    at_ms: int
    level: str
    line: str
