"""``marketd jobs``: what can be done, what is done, what came of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any, TypeVar
from uuid import uuid4

from ...adapters.timescale.options import DatabaseOptions
from ...analysis.jobs import Kind
from ...config import Settings
from ...config.schedules import named
from ...errors import EXIT_FAILURE, EXIT_OK, BadData
from ...model import Task, TaskLine, TaskState
from ...telemetry.metrics import Metrics
from ...wiring.core import Core
from ...wiring.desk import MOST_WAITING
from ...wiring.jobs import Desk
from ...wiring.jobs import kinds as all_kinds
from ...wiring.options import database_options
from ...wiring.roles import JOBS
from .. import output
from ..context import Context
from ..coverage.command import reader_options
from .view import kind_lines, log_line, task_lines, task_row, tasks_table

T = TypeVar("T")

_POLL_S = 0.5
_AT_ONCE = 1000


def list_tasks(
    context: Context, *, kind: str | None, state: TaskState | None, limit: int, as_json: bool
) -> int:
    """Print the newest. Raises ``ConfigError``, ``Retryable`` or ``Misconfigured``."""

    async def work(desk: Desk) -> int:
        found = await desk.tasks.newest(kind=kind, state=state, limit=limit)
        if as_json:
            output.as_json([asdict(task) for task in found])
            return EXIT_OK
        for text in tasks_table(found):
            output.line(text)
        if not found:
            output.note("no such task; `marketd jobs kinds` says what can be asked for")
        return EXIT_OK

    return _looking(context, work)


def list_kinds(context: Context, *, as_json: bool) -> int:
    """Print every kind of task, its parameters and its schedule."""
    settings = context.settings()
    known = _kinds(settings)
    if as_json:
        output.as_json(
            [
                {
                    "kind": kind.name,
                    "about": kind.about,
                    "schedules": _crons(settings, kind.name),
                    "parameters": kind.parameters.model_json_schema(),
                }
                for kind in known.values()
            ]
        )
        return EXIT_OK
    for kind in known.values():
        for text in kind_lines(kind, _crons(settings, kind.name)):
            output.line(text)
    return EXIT_OK


def _crons(settings: Settings, kind: str) -> dict[str, str]:
    return {name: cron for name, cron in settings.schedules.items() if named(name)[0] == kind}


def ask(context: Context, kind: str, assignments: Sequence[str], *, task_id: str | None, follow: bool) -> int:
    """Put a task into the queue. Raises ``BadData`` (kind or parameter) before anything is written."""
    settings = context.settings("DATABASE_URL")
    known = _kinds(settings)
    if kind not in known:
        raise BadData(
            f"there is no task called {kind}; there are {', '.join(known) or 'none'}", reason="kind"
        )
    values = _values(assignments)
    subject = known[kind].subject_of(values)
    task = Task(task_id or f"{kind}-{uuid4().hex[:12]}", kind, values, requested_by="command line")

    async def work(desk: Desk) -> int:
        if not await desk.queue.ask(task, subject=subject, most_waiting=MOST_WAITING):
            output.note(f"{task.task_id} was asked for before")
        output.line(task.task_id)
        if not await desk.tasks.workers():
            output.note("nobody works at tasks now: start `marketd --jobs` or `marketd worker`")
        return await _follow(desk, task.task_id) if follow else EXIT_OK

    return _working(settings, work)


def show_task(context: Context, task_id: str, *, follow: bool, as_json: bool) -> int:
    """Print one task and its log."""

    async def work(desk: Desk) -> int:
        task = await desk.tasks.show(task_id)
        if task is None:
            output.note(f"there is no task {task_id}; `marketd jobs` lists the newest")
            return EXIT_FAILURE
        if as_json:
            lines = [line async for line in _log(desk, task_id)]
            output.as_json({**asdict(task), "log": [asdict(line) for line in lines]})
            return _code(task)
        for text in task_lines(task):
            output.line(text)
        if follow:
            return await _follow(desk, task_id)
        async for line in _log(desk, task_id):
            output.line(log_line(line))
        return _code(task)

    return _looking(context, work)


def cancel_task(context: Context, task_id: str) -> int:
    """End or stop a task."""

    async def work(desk: Desk) -> int:
        if await desk.queue.cancel(task_id):
            output.note(f"{task_id} is cancelled; if somebody works at it, it is stopped within seconds")
            return EXIT_OK
        task = await desk.tasks.show(task_id)
        output.note(f"there is no task {task_id}" if task is None else f"{task_id} is over: {task.state}")
        return EXIT_FAILURE

    return _working(context.settings("DATABASE_URL"), work)


async def _follow(desk: Desk, task_id: str) -> int:
    """Print the log as it grows, until the task is over."""
    number = 0
    while True:
        # Read before the lines: what was told before the end is not left out.
        task = await desk.tasks.show(task_id)
        async for line in _log(desk, task_id, after=number):
            output.line(log_line(line))
            number = line.number
        if task is None or task.state.over:
            break
        await asyncio.sleep(_POLL_S)
    if task is not None:
        output.line(task_row(task))
    return EXIT_FAILURE if task is None else _code(task)


async def _log(desk: Desk, task_id: str, *, after: int = 0) -> AsyncIterator[TaskLine]:
    while lines := await desk.tasks.lines(task_id, after=after, limit=_AT_ONCE):
        for line in lines:
            yield line
        after = lines[-1].number


def _code(task: Task) -> int:
    return EXIT_FAILURE if task.state in (TaskState.FAILED, TaskState.CANCELLED) else EXIT_OK


def _kinds(settings: Settings) -> dict[str, Kind[Any]]:
    """Constructing does no I/O."""
    return dict(sorted(all_kinds(Core(settings, Metrics(), run_id="command")).items()))


def _values(assignments: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` as parameters; the kind knows their types. Raises ``BadData``."""
    values: dict[str, Any] = {}
    for item in assignments:
        name, equals, text = item.partition("=")
        if not equals or not name:
            raise BadData(f"{item!r} is not NAME=VALUE", reason="parameters")
        values[name] = json.loads(text) if text[:1] in ("[", "{") and _is_json(text) else text
    return values


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _looking(context: Context, work: Callable[[Desk], Awaitable[int]]) -> int:
    settings = context.settings("DATABASE_URL")
    return _run(settings, reader_options(settings), work)


def _working(settings: Settings, work: Callable[[Desk], Awaitable[int]]) -> int:
    return _run(settings, database_options(settings, "command", JOBS), work)


def _run(settings: Settings, database: DatabaseOptions, work: Callable[[Desk], Awaitable[int]]) -> int:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Desk]:
        desk = Desk.of(settings, database, Metrics())
        await desk.open()
        try:
            yield desk
        finally:
            await desk.close()

    async def run() -> int:
        async with opened() as desk:
            return await work(desk)

    return asyncio.run(run())
