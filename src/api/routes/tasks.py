"""Tasks: what can be asked for, asking, looking, cancelling, and the log of each."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ...model import Task, TaskState
from ..answers import Json
from ..asking import BIGGEST_ID, TASK_ID, TaskView, accept, ask, view
from ..parts import Given, Parts
from ..problems import ProblemError, problem
from ..security import Caller, Scope, needs

router = APIRouter(prefix="/api/v1/tasks", tags=["tasks"], dependencies=[needs(Scope.READ)])

TaskId = Annotated[str, Path(min_length=1, max_length=200)]


class KindOfTask(BaseModel):
    """A kind of task. `schema` is the JSON schema of its parameters, as a form needs it."""

    model_config = ConfigDict(serialize_by_alias=True, populate_by_name=True)

    name: str
    about: str
    parameters: dict[str, Any] = Field(alias="schema")


class NewTask(BaseModel):
    """A task to be done. The same `task_id` twice is one task: send it again when an answer was lost."""

    model_config = ConfigDict(extra="forbid")

    kind: str = Field(min_length=1, max_length=80, description="One of `/api/v1/tasks/kinds`.")
    parameters: dict[str, Any] = Field(default={}, description="As the schema of the kind says.")
    task_id: str | None = Field(default=None, pattern=TASK_ID)


class Tasks(BaseModel):
    """The newest first; `next` is the `before` of the next piece, null behind the last."""

    data: list[TaskView]
    next: str | None


class Line(BaseModel):
    """One line of a log. `number` grows."""

    number: int
    at_ms: int
    level: Literal["info", "warning", "error"]
    line: str


class Lines(BaseModel):
    """Lines in order; `next` is the `after` of the next piece, null where there were no more."""

    data: list[Line]
    next: int | None


@router.get("/kinds", response_model=list[KindOfTask])
async def kinds(given: Given) -> Json:
    """Every kind of task that can be asked for, with the schema of its parameters."""
    return Json([{"name": one.name, "about": one.about, "schema": one.schema} for one in given.desk.kinds()])


@router.post(
    "",
    status_code=202,
    response_model=TaskView,
    responses={200: {"model": TaskView, "description": "It was asked for before."}},
    dependencies=[needs(Scope.TASK)],
)
async def create(asked: NewTask, given: Given, caller: Caller, response: Response) -> dict[str, Any]:
    """Ask for a task; it is done later. 429 where too many wait already."""
    task, is_new = await ask(
        given, caller, asked.kind, asked.parameters, task_id=asked.task_id, under="body.parameters"
    )
    accept(response, is_new)
    return view(task)


@router.get("", response_model=Tasks)
async def newest(
    given: Given,
    kind: Annotated[str | None, Query(min_length=1, max_length=80)] = None,
    state: TaskState | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[str | None, Query(min_length=1, max_length=200)] = None,
) -> Json:
    """The newest tasks, of one kind or state where they are given. 404 for a kind or a `before` that nobody knows."""
    found = await given.desk.newest(kind=kind, state=state, limit=limit, before=before)
    if not found:  # there is none, or something was typed wrong
        if kind is not None and kind not in (names := [one.name for one in given.desk.kinds()]):
            detail = f"there is no kind {kind}; there are {', '.join(names)}"
            raise problem(404, "Unknown kind", detail, field="query.kind")
        if before is not None:
            await _known(given, before)
    return Json(
        {"data": [view(task) for task in found], "next": found[-1].task_id if len(found) == limit else None}
    )


@router.get("/{task_id}", response_model=TaskView)
async def show(task_id: TaskId, given: Given) -> Json:
    """One task as it is now."""
    return Json(view(await _known(given, task_id)))


@router.post("/{task_id}/cancel", response_model=TaskView, dependencies=[needs(Scope.TASK)])
async def cancel(task_id: TaskId, given: Given) -> Json:
    """End a task that waits, stop one that is worked at (within seconds). 409 where it is over."""
    if not await given.desk.cancel(task_id):
        task = await _known(given, task_id)
        raise problem(409, "The task is over", f"task {task.task_id} is over: {task.state}")
    return Json(view(await _known(given, task_id)))


@router.get("/{task_id}/logs", response_model=Lines)
async def logs(
    task_id: TaskId,
    given: Given,
    after: Annotated[
        int, Query(ge=0, le=BIGGEST_ID, description="The number of the last line that is known.")
    ] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> Json:
    """The log of a task. `/api/v1/live` tells it as it grows."""
    found = await given.desk.lines(task_id, after=after, limit=limit)
    if not found:
        await _known(given, task_id)
    data = [{"number": one.number, "at_ms": one.at_ms, "level": one.level, "line": one.line} for one in found]
    return Json({"data": data, "next": found[-1].number if len(found) == limit else None})


async def _known(given: Parts, task_id: str) -> Task:
    task = await given.desk.show(task_id)
    if task is None:
        raise _missing(task_id)
    return task


def _missing(task_id: str) -> ProblemError:
    return problem(404, "Unknown task", f"there is no task {task_id}")
