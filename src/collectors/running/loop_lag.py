"""How late the event loop is, and whether the process stood still."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ...ports import Clock
from ...telemetry.health import Health
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics

_log = get_logger("loop")

_PERIOD = 0.1
"""Wall seconds between two beats: a standstill that is longer is never missed."""
_SUSPENDED = 5.0
"""Wall seconds. A beat this late is not a busy loop but a process that was stopped or a machine that slept."""


class LoopLag:
    """Measures the lag of a timer, keeps ``Health.loop_beat`` fresh, and tells ``on_suspended`` after a standstill.

    Sleep of the whole machine stops the monotonic clock, so the computer's date is compared too: a jump of it
    against the monotonic clock may be that or a corrected date, and both are worth a look for holes.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        health: Health,
        *,
        on_suspended: Callable[[], None] | None = None,
        period: float = _PERIOD,
    ) -> None:
        self._clock = clock
        self._metrics = metrics
        self._health = health
        self._on_suspended = on_suspended
        self._period = period

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            before, date = time.monotonic(), time.time()
            await asyncio.sleep(self._period)
            lag = max(time.monotonic() - before - self._period, 0.0)
            self.beat(lag, abs(time.time() - date - self._period - lag))
            self._metrics.event_loop_tasks.set(len(asyncio.all_tasks()))

    def beat(self, lag: float, step: float) -> None:
        """Note one beat that came ``lag`` wall seconds late while the date stepped by ``step`` seconds."""
        self._health.loop_beat = self._clock.now()
        self._metrics.event_loop_lag.observe(lag)
        if lag < _SUSPENDED and step < _SUSPENDED:
            return
        _log.warning(
            "process_stood_still", msg="looking for what was missed", lag=round(lag, 1), step=round(step, 1)
        )
        if self._on_suspended:
            self._on_suspended()
