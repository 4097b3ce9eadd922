"""Signs of life for whoever started us: ready, what goes on, still alive, stopping."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from ...ports.service import ServiceManager
from ...telemetry.health import Health
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import Pulse

_log = get_logger("watchdog")

STUCK_S = 1800.0
"""Wall seconds. A collector none of whose tasks went on for so long hangs inside: every request, statement and file has
a deadline far below, and what has none (sleep, things outside) does not count."""
_LOOK_S = 5.0
_READY_LOOK_S = 0.2


class Watchdog:
    """Tells ``manager`` READY=1 once ``is_up``, STATUS= when it changes, WATCHDOG=1 in time, STOPPING=1 at the end.

    WATCHDOG=1 needs the loop to turn and no collector to be stuck. A database or a venue that is away stops none of it:
    that is what ``status`` tells, and readiness and alerts are for. Stuck collectors are counted and logged also where
    no manager listens.

    A standby that waits for the lock ``is_up``: waiting is what it was started for, and a manager that heard nothing
    would end it (``TimeoutStartSec``). The status says that it stands by, ``/readyz`` that it is not ready.
    """

    def __init__(
        self,
        manager: ServiceManager,
        pulses: Sequence[Pulse],
        metrics: Metrics,
        *,
        is_up: Callable[[], bool],
        status: Callable[[], str],
        stuck_s: float = STUCK_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._manager, self._pulses, self._metrics = manager, pulses, metrics
        self._is_up, self._status = is_up, status
        self._stuck_s, self._monotonic = stuck_s, monotonic
        self._stuck: list[str] = []
        self._looked_at = monotonic()
        self._told = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Until cancelled; also while the daemon drains."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_after(), name="look after collectors")
            if not self._manager.listens:
                return
            group.create_task(self._be_ready(), name="tell ready")
            group.create_task(self._say_stopping(stop), name="tell stopping")
            if self._manager.watchdog_s is not None:
                group.create_task(self._beat(self._manager.watchdog_s / 2), name="tell alive")

    def look(self) -> list[str]:
        """Look at every collector; the names of those that are stuck."""
        now = self._monotonic()
        if now - self._looked_at > self._stuck_s / 2:
            # We stood still ourselves (SIGSTOP, a suspended machine, a loop that hung): nobody could have gone on.
            for pulse in self._pulses:
                pulse.beat()
        self._looked_at = now
        stuck = [pulse.name for pulse in self._pulses if pulse.still_for(now) >= self._stuck_s]
        for name in stuck:
            if name not in self._stuck:
                _log.error(
                    "collector_stuck",
                    msg=f"nothing in {name} has gone on for {self._stuck_s:.0f} s, and it waits for nothing outside",
                    collector=name,
                )
        self._stuck = stuck
        self._metrics.collectors_stuck.set(len(stuck))
        return stuck

    async def _be_ready(self) -> None:
        while not self._is_up():  # noqa: ASYNC110 - made of many things, none of which is an event
            await asyncio.sleep(_READY_LOOK_S)
        self._told = self._text()
        while not self._manager.tell("READY=1", f"STATUS={self._told}"):  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)

    async def _look_after(self) -> None:
        while True:
            self.look()
            text = self._text()
            if text != self._told and self._manager.tell(f"STATUS={text}"):
                self._told = text
            await asyncio.sleep(_LOOK_S)

    async def _beat(self, every_s: float) -> None:
        while True:
            if not self.look():
                self._manager.tell("WATCHDOG=1")
            await asyncio.sleep(every_s)

    async def _say_stopping(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._manager.tell("STOPPING=1", "STATUS=stopping: storing what is in memory")

    def _text(self) -> str:
        return f"stuck: {', '.join(self._stuck)}" if self._stuck else self._status()


def status_line(health: Health, now: float, *, roles: Sequence[str], leads: bool) -> str:
    """One line for ``systemctl status``: what runs, and what is wrong with it at venue time ``now``."""
    runs = ", ".join(roles)
    if health.stopping:
        return "stopping: storing what is in memory"
    if not leads:
        return f"standby for {runs}: another instance has the lock, or the database has not answered yet"
    reasons = health.not_ready_reasons(now)
    return f"{runs}: {'; '.join(reasons)}" if reasons else f"{runs}: ready"
