"""Whether the tasks of one collector still move, or what outside the process they wait for.

A process that hangs inside itself is mended by a restart, one whose database or venue is away is not. So a collector
counts as stuck only when none of its tasks has gone on for a long time, none of them sleeps, and none has said that it
waits for something outside (``outside``). What is watched is the future each task waits for: no task need report.

A task that only looks at others from time to time would excuse them all: it is made ``aside``, and says ``beat`` where
it sees them work. Work that must go on whatever its neighbours do is a ``part``, and judged by itself.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any
from weakref import WeakSet

_current: ContextVar[Pulse | None] = ContextVar("pulse", default=None)

_AnyTask = asyncio.Task[Any]


class Pulse:
    """One collector's tasks: its own, and all that were started inside it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.runs = False
        """Whether the collector is inside ``watched`` now."""
        self._tasks: WeakSet[_AnyTask] = WeakSet()
        self._causes: Counter[str] = Counter()
        # The futures are kept until the next look, so that no new one can have the identity of an old one.
        self._waits: dict[_AnyTask, object] = {}
        self._parts: list[Pulse] = []
        self._beaten = False
        self._moved_at = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """What the running task and its children do inside the block belongs to this collector."""
        token = _current.set(self)
        if task := asyncio.current_task():
            self.follow(task)
        self.runs = True
        try:
            yield
        finally:
            self.runs = False
            _current.reset(token)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """The tasks that are made inside the block, and theirs, are judged by themselves until they have ended."""
        part = Pulse(name)
        part.runs = True
        self._parts.append(part)
        token = _current.set(part)
        try:
            yield
        finally:
            _current.reset(token)

    def follow(self, task: _AnyTask) -> None:
        self._tasks.add(task)

    def beat(self) -> None:
        """Something has gone on that no waiting task shows: frames were taken, or nobody could have looked."""
        self._beaten = True
        for part in self._parts:
            part.beat()

    @contextmanager
    def waiting(self, cause: str) -> Iterator[None]:
        self._causes[cause] += 1
        try:
            yield
        finally:
            self._causes[cause] -= 1

    def still_for(self, now: float) -> float:
        """Look, and say for how many seconds of ``now`` nothing has moved without a reason; 0 while something does.

        Of several parts the one that has been still for longest counts.
        """
        self._parts = [part for part in self._parts if part.lives]
        return max(self._own_stillness(now), *(part.still_for(now) for part in self._parts), 0.0)

    @property
    def lives(self) -> bool:
        """Whether one of its tasks has not ended."""
        return not all(task.done() for task in self._tasks)

    def _own_stillness(self, now: float) -> float:
        before, self._waits = (
            self._waits,
            {task: getattr(task, "_fut_waiter", None) for task in self._tasks if not task.done()},
        )
        if not self.runs or self._beaten or any(self._causes.values()) or self._moved(before):
            self._moved_at = now
        self._beaten = False
        return now - self._moved_at

    def _moved(self, before: dict[_AnyTask, object]) -> bool:
        if before.keys() != self._waits.keys():
            return True
        # One that waits for nothing is about to go on.
        if any(future is None or before[task] is not future for task, future in self._waits.items()):
            return True
        return any(_sleeps(task) for task in self._waits)


def current() -> Pulse:
    """The running task's collector; one that nobody looks at where there is none."""
    return _current.get() or Pulse("")


@contextmanager
def aside() -> Iterator[None]:
    """Tasks that are made inside the block belong to no collector: that their timers go on says nothing of its work."""
    token = _current.set(None)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def outside(cause: str) -> Iterator[None]:
    """The running collector waits for something that no restart brings: the venue, a listener, a trade."""
    pulse = _current.get()
    if pulse is None:
        yield
        return
    with pulse.waiting(cause):
        yield


class OutsideEvent(asyncio.Event):
    """An event that is set when something outside the process has answered; whoever waits for it names ``cause``."""

    def __init__(self, cause: str) -> None:
        super().__init__()
        self._cause = cause

    async def wait(self) -> Any:
        with outside(self._cause):
            return await super().wait()


def follow_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """From now on every task belongs to the collector in whose context it was made."""
    loop.set_task_factory(_made)


def _made(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[Any, Any, Any] | Any,
    *,
    context: Context | None = None,
    **options: Any,
) -> _AnyTask:
    task: _AnyTask = asyncio.Task(work, loop=loop, context=context, **options)
    if pulse := _current.get() if context is None else context.get(_current):
        pulse.follow(task)
    return task


def _sleeps(task: _AnyTask) -> bool:
    """Whether its timer will wake it, however far away that is: a ban may last for days."""
    found = task.get_coro()
    while inspect.iscoroutine(inner := getattr(found, "cr_await", None)):
        found = inner
    return getattr(found, "cr_code", None) is asyncio.sleep.__code__
