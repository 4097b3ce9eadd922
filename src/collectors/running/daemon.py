"""Starts writers before readers and stops them after: nothing that was read is lost on the way out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from ...telemetry.health import Health
from ...telemetry.log import get_logger
from ..live.buffer import CandleBuffer
from ..unwrap import first_error
from .turn import Turn

_log = get_logger("daemon")

DRAIN_SECONDS = 20.0
"""Wall seconds for the last flush, within the 30 s that stopping may take in all."""
_CANCEL_SECONDS = 4.0
"""Wall seconds for the collectors to say goodbye (close frames); after half of it they are asked again."""
_CLOSE_SECONDS = 3.0
"""Wall seconds for each resource to close."""


@dataclass(frozen=True, slots=True)
class Part:
    """Something that runs until cancelled; ``name`` is the task's name and stands in logs.

    A collector runs in the turns of its role; None stands for the writer's.
    """

    name: str
    run: Callable[[], Coroutine[Any, Any, None]]
    turn: Turn | None = None


class Keeper(Protocol):
    """Whoever holds the daemon's first lock: the candles' writer, or a ``LockKeeper`` where no candles are written."""

    @property
    def settled(self) -> Turn: ...

    async def run(self) -> None: ...

    async def drain(self, seconds: float) -> int: ...


@dataclass(frozen=True, slots=True)
class Closer:
    """Something to let go of at the very end."""

    name: str
    close: Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended: rows and minutes that were not stored and are read again from the venue at the next start."""

    rows_left: int
    gap_minutes_left: int


class Daemon:
    """Two nested task groups: outside the writer and the services, inside the collectors.

    Stopping cancels the collectors, closes the buffer, lets the writer drain, then ends the services. A collector
    is expected to be supervised; a writer or a service that fails ends everything. Errors leave ``run``
    unwrapped: the first ``MarketdError`` of a group stands for it and carries the exit code.
    """

    def __init__(
        self,
        buffer: CandleBuffer,
        writer: Keeper,
        health: Health,
        *,
        collectors: Sequence[Part],
        services: Sequence[Part] = (),
        closers: Sequence[Closer] = (),
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self._buffer = buffer
        self._writer = writer
        self._health = health
        self._collectors = collectors
        self._services = services
        self._closers = closers
        self._drain_seconds = drain_seconds

    async def run(self, stop: asyncio.Event) -> Summary:
        """Run until ``stop`` is set; returns what could not be stored."""
        try:
            return await self._run(stop)
        except BaseExceptionGroup as group:
            raise first_error(group) from group
        finally:
            await self._close()

    async def _run(self, stop: asyncio.Event) -> Summary:
        failure: Exception | None = None
        async with asyncio.TaskGroup() as outer:
            services = [_start(outer, part.name, part.run) for part in self._services]
            _start(outer, "writer", self._writer.run)
            try:
                await self._collect(stop)
            except Exception as error:
                # A setting that no restart mends: what was read so far is stored first, then it is raised.
                failure = error
            self._health.stopping = True
            self._buffer.close()
            await self._writer.drain(self._drain_seconds)
            for task in services:
                task.cancel()
        if failure:
            raise failure
        return self._summary()

    async def _collect(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as inner:
            tasks = [
                _start(inner, part.name, partial(self._run_collector, part)) for part in self._collectors
            ]
            await stop.wait()
            _log.info(
                "stopping", msg="collectors end, then the buffer drains", rows_waiting=len(self._buffer)
            )
            self._health.stopping = True
            if await _cancel(tasks):
                # They hold no rows; the rows we have are worth more than waiting for them.
                self._buffer.close()
                await self._writer.drain(self._drain_seconds)

    async def _run_collector(self, part: Part) -> None:
        async def collect() -> None:
            _log.info("collecting", msg=f"{part.name} starts", collector=part.name)
            await part.run()

        await (part.turn or self._writer.settled).run(collect)

    def _summary(self) -> Summary:
        summary = Summary(len(self._buffer), self._buffer.gap_minutes)
        level = _log.warning if summary.rows_left or summary.gap_minutes_left else _log.info
        level(
            "stopped",
            msg=f"{summary.rows_left} rows left, to be read again from the venue at the next start",
            rows_left=summary.rows_left,
            gap_minutes_left=summary.gap_minutes_left,
        )
        return summary

    async def _close(self) -> None:
        for closer in self._closers:
            try:
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await closer.close()
            except Exception as error:
                # Every row is stored or counted as left by now; a failing goodbye must not hide how the run ended.
                _log.warning("close_failed", msg=str(error) or type(error).__name__, part=closer.name)


def _start(
    group: asyncio.TaskGroup, name: str, run: Callable[[], Coroutine[Any, Any, None]]
) -> asyncio.Task[None]:
    return group.create_task(run(), name=name)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> bool:
    """Cancel and wait; a task hanging in its goodbye is cancelled again. True if some still will not end."""
    pending = set(tasks)
    for _ in range(2):
        for task in pending:
            task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=_CANCEL_SECONDS / 2)
    if pending:
        _log.error(
            "will_not_stop", msg="cancelled twice, still running", tasks=[t.get_name() for t in pending]
        )
    return bool(pending)
