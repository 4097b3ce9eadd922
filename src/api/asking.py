"""How routes ask for tasks: one way for all of them, with the same answers to the same mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from ..errors import BadFields
from ..model import Task, TaskState
from .parts import Parts
from .problems import problem
from .security import Principal

MOST_PAGES = 100_000
TASK_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$"
BIGGEST_ID = 2**63 - 1

PageNumber = Annotated[int, Query(ge=1, le=MOST_PAGES, description="From 1 on.")]
PageSize = Annotated[int, Query(alias="pageSize", ge=1, le=100)]


class TaskView(BaseModel):
    """A task as it is now. Times are UTC ms; `share` is how much of it is done, 0 to 1, null where nobody knows."""

    task_id: str
    kind: str
    parameters: dict[str, Any]
    state: TaskState
    share: float | None
    attempts: int = Field(description="How often it was begun.")
    failures: int = Field(description="How many of these ended with an error.")
    error: str
    result: dict[str, Any] | None
    requested_by: str
    scheduled_ms: int | None = Field(description="The period that a schedule made it for.")
    created_ms: int
    started_ms: int | None
    finished_ms: int | None


def view(task: Task) -> dict[str, Any]:
    """A task as ``TaskView`` has it."""
    return {name: getattr(task, name) for name in TaskView.model_fields}


def page_of(rows: list[Any], total: int, page: int, page_size: int) -> dict[str, Any]:
    """One page of a set, in the shape that the issue's callers know."""
    pages = -(-total // page_size)
    return {"data": rows, "total": total, "page": page, "pageSize": page_size, "totalPages": pages}


async def ask(
    given: Parts,
    caller: Principal,
    kind: str,
    parameters: Mapping[str, Any],
    *,
    task_id: str | None = None,
    under: str = "body",
) -> tuple[Task, bool]:
    """The task, and whether it is new. Raises ``BadFields`` whose names begin with ``under``, ``QueueFull``, or
    ``ProblemError`` 409 where the id belongs to a task that was asked for something else.

    ``under`` is where the parameters stand in the body; empty for a request without one.
    """
    head = "body." if under else ""
    try:
        task, is_new = await given.desk.ask(
            kind, parameters, task_id=task_id, requested_by=caller.name or "somebody"
        )
    except BadFields as error:
        names = [
            (f"{head}{name}" if name in ("kind", "task_id") else f"{under}.{name}".strip("."), message)
            for name, message in error.fields
        ]
        raise BadFields(str(error), names, reason=error.reason) from None
    if not is_new and (task.kind != kind or dict(task.parameters) != dict(parameters)):
        detail = f"task {task.task_id} was asked for with something else"
        raise problem(409, "Another task has this id", detail, field=f"{head}task_id")
    return task, is_new


def accept(response: Response, is_new: bool) -> None:
    """202 for a task that was taken, 200 for one that was there."""
    response.status_code = 202 if is_new else 200
