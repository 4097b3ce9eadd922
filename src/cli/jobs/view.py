"""How tasks look on a terminal; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ...analysis.jobs import Kind
from ...model import Task, TaskLine

_ERROR_WIDTH = 60


def tasks_table(tasks: Sequence[Task]) -> Iterator[str]:
    """One line a task under a heading, nothing for none."""
    if not tasks:
        return
    width = max(len("TASK"), *(len(task.task_id) for task in tasks))
    yield f"{'TASK':<{width}}  {'STATE':<9}  {'DONE':>4}  {'ASKED (UTC)':<19}  {'TOOK':>9}  {'TRIES':>5}"
    for task in tasks:
        line = f"{task.task_id:<{width}}  {task.state:<9}  {_share(task):>4}  {_moment(task.created_ms):<19}"
        yield f"{line}  {_took(task):>9}  {task.attempts:>5}  {_short(task.error)}".rstrip()


def task_row(task: Task) -> str:
    """How a task ended, in one line."""
    words = [f"{task.state}", f"after {_took(task)}"]
    if task.result is not None:
        words.append(json.dumps(dict(task.result), ensure_ascii=False))
    if task.error:
        words.append(task.error)
    return "  ".join(words)


def task_lines(task: Task) -> Iterator[str]:
    """Everything about one task, but for its log."""
    yield f"{'task':<10}  {task.task_id}"
    yield f"{'kind':<10}  {task.kind}"
    yield f"{'state':<10}  {task.state}, {_share(task) or '-'} done, attempt {task.attempts}"
    yield f"{'asked':<10}  {_moment(task.created_ms)} UTC by {task.requested_by or 'somebody'}"
    if task.scheduled_ms is not None:
        yield f"{'period':<10}  {_moment(task.scheduled_ms)} UTC"
    if task.started_ms is not None:
        yield f"{'started':<10}  {_moment(task.started_ms)} UTC, took {_took(task)}"
    yield f"{'asked for':<10}  {_json(task.parameters)}"
    if task.result is not None:
        yield f"{'result':<10}  {_json(task.result)}"
    if task.error:
        yield f"{'error':<10}  {task.error}"


def log_line(line: TaskLine) -> str:
    """A line of the log with its time."""
    level = "" if line.level == "info" else f"{line.level}: "
    return f"{_moment(line.at_ms)}  {level}{line.line}"


def kind_lines(kind: Kind[Any], schedules: Mapping[str, str]) -> Iterator[str]:
    """A kind, its schedules (name to cron), what its parameters mean, and what they are when nothing is said."""
    yield f"{kind.name}: {kind.about}"
    for name, cron in schedules.items():
        yield f"    by itself: {cron} (UTC)" + ("" if name == kind.name else f" as {name}")
    for line in (kind.parameters.__doc__ or "").strip().splitlines():
        yield f"    {line.strip()}".replace("``", "").rstrip()
    for name, field in kind.parameters.model_fields.items():
        yield f"      {name}" + ("" if field.is_required() else f"={_default(field)}")
    yield ""


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return "" if value is None else str(value)


def _json(values: Any) -> str:
    return json.dumps(dict(values), ensure_ascii=False)


def _share(task: Task) -> str:
    return "" if task.share is None else f"{100 * task.share:.0f}%"


def _took(task: Task) -> str:
    if task.started_ms is None or task.finished_ms is None:
        return "-"
    return f"{(task.finished_ms - task.started_ms) / 1000:.1f} s"


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _short(text: str) -> str:
    return text if len(text) <= _ERROR_WIDTH else f"{text[: _ERROR_WIDTH - 1]}…"
