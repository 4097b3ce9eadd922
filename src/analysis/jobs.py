"""The frame of analyses: what a kind of task is, and what it is given to work with (docs/adr/0041-jobs.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..errors import BadFields, MarketdError
from ..model import Task
from ..ports.tasks import Kernels, Tasks
from ..telemetry.log import get_logger

_NOTES = 256

_log = get_logger("jobs")


class Parameters(BaseModel):
    """What a kind of task can be asked; unknown names are refused. The text below a field explains it to people who
    fill in a form, so each has one."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True, slots=True)
class Kind(Generic[P]):
    """One analysis. ``run`` reads what it needs, has a kernel compute, and writes; it says what was read and written.

    ``subject`` names what two tasks must not work on at once; ``deadline_s`` and ``attempts`` bound each task;
    ``about`` is one line for people.
    """

    name: str
    parameters: type[P]
    run: Callable[[Context, P], Awaitable[Mapping[str, Any]]]
    subject: Callable[[P], str]
    deadline_s: float = 600.0
    attempts: int = 3
    about: str = ""

    def asked(self, values: Mapping[str, Any]) -> P:
        """``values`` as parameters. Raises ``BadFields`` (``parameters``): each field and what it takes."""
        try:
            return self.parameters.model_validate(dict(values))
        except ValidationError as error:
            fields = _problems(error, ", ".join(self.parameters.model_fields))
            text = "; ".join(f"{name or 'parameters'}: {message}" for name, message in fields)
            raise BadFields(f"{self.name}: {text}", fields) from None

    def subject_of(self, values: Mapping[str, Any]) -> str:
        """What a task with these parameters locks while it runs."""
        return f"{self.name}/{self.subject(self.asked(values))}"


class Context:
    """What ``Kind.run`` is given: its task, a log that people see, and a process to compute in.

    ``within`` is the timeout of the task; it stands still while others compute and this one waits for its turn.
    """

    def __init__(
        self,
        task: Task,
        tasks: Tasks,
        kernels: Kernels,
        deadline_s: float,
        within: asyncio.Timeout | None = None,
    ) -> None:
        self.task = task
        self._tasks, self._kernels, self._deadline_s, self._within = tasks, kernels, deadline_s, within

    async def tell(self, line: str, share: float | None = None) -> None:
        """Say how far it is. A log that cannot be written does not end the work."""
        try:
            await self._tasks.tell(self.task, line, share=share)
        except MarketdError as error:
            _log.warning("note_lost", msg=f"{self.task.kind}: {line!r} is not in its log: {error}")

    async def compute(self, function: str, **arguments: Any) -> Any:
        """What ``function`` (``module:name``, the module relative to this package) returns, from a process of its own.

        It is called with ``tables`` and ``note`` (``ports.tables``) besides ``arguments``; its notes go to the log.
        """
        notes: asyncio.Queue[tuple[str, float | None] | None] = asyncio.Queue(_NOTES)
        left_out = 0

        def noted(text: str, share: float | None) -> None:
            nonlocal left_out
            try:
                notes.put_nowait((text, share))
            except asyncio.QueueFull:
                left_out += 1

        async def telling() -> None:
            while note := await notes.get():
                await self.tell(*note)

        failure: Exception | None = None
        value: Any = None
        go_on = self._hold()
        async with asyncio.TaskGroup() as group:
            group.create_task(telling(), name=f"notes of {self.task.task_id}")
            try:
                value = await self._kernels.run(
                    function, deadline_s=self._deadline_s, noted=noted, began=go_on, **arguments
                )
            except Exception as error:  # raised below: the group would wrap it
                failure = error
                go_on()
            await notes.put(None)
        if left_out:
            await self.tell(f"{left_out} lines came faster than they could be written, and were left out")
        if failure is not None:
            raise failure
        return value

    def _hold(self) -> Callable[[], None]:
        """Stop the task's timeout; what is returned lets it go on."""
        within, loop = self._within, asyncio.get_running_loop()
        until = None if within is None else within.when()
        if within is None or until is None or within.expired():
            return lambda: None
        left = until - loop.time()
        within.reschedule(None)

        def go_on() -> None:
            if within.when() is None:
                within.reschedule(loop.time() + left)

        return go_on


def _problems(error: ValidationError, known: str) -> list[tuple[str, str]]:
    """Each problem with the name of its field; of all together the name is empty."""
    unknown = f"there is no such parameter; there are {known}"
    return [
        (
            ".".join(map(str, one["loc"])),
            unknown if one["type"] == "extra_forbidden" and len(one["loc"]) == 1 else one["msg"],
        )
        for one in error.errors()
    ]
