"""Sets our clock by the venue's, again and again; the computer's own date is never asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from statistics import median

from ...errors import BadData, Retryable
from ...ports import History, SettableClock
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import OutsideEvent
from ..backoff import Backoff

_log = get_logger("clock_sync")

_INTERVAL = 60.0
"""Venue seconds between two settings; a quartz drifts by a few milliseconds in that time."""
_INTERVAL_FLOOR = 5.0
"""Wall seconds between two settings at least, however fast the clock runs."""
_POKE_PAUSE = 2.0
"""Wall seconds after a setting in which pokes are not heard; they may come with every frame."""
_SAMPLES = 3
_JUMP = 5.0
"""Venue seconds. A larger change must be told twice, and then minutes may have been misjudged."""


class ClockSync:
    """Keeps ``clock`` on the venue's time: the median of a few ``/time`` answers a minute (weight 1 each).

    ``ready`` is set after the first success; nothing that judges minutes runs before it. One wild answer moves
    nothing; a change of more than five seconds is adopted when a second median agrees, and told to ``on_jump``.
    """

    def __init__(
        self,
        history: History,
        clock: SettableClock,
        metrics: Metrics,
        *,
        interval: float = _INTERVAL,
        on_jump: Callable[[], None] | None = None,
    ) -> None:
        self.ready = OutsideEvent("the venue's time")
        self._history = history
        self._clock = clock
        self._metrics = metrics
        self._interval = interval
        self._on_jump = on_jump
        self._offset = 0.0
        self._wake = asyncio.Event()

    def poke(self) -> None:
        """Set the clock soon: something came at a time it cannot have come."""
        self._wake.set()

    async def run(self) -> None:
        """Set the clock every minute until cancelled; the venue being away is retried for ever."""
        backoff = Backoff(0.5, 30.0)
        while True:
            try:
                await self.sync()
            except (Retryable, BadData) as error:
                delay = max(backoff.next(), getattr(error, "retry_after", 0.0))
                _log.warning("clock_not_set", msg=str(error), reason=error.reason, retry_in=round(delay, 1))
                await asyncio.sleep(delay)
                continue
            backoff.reset()
            await self._rest()

    async def sync(self) -> None:
        """Set the clock once. Raises ``Retryable`` when the venue does not answer."""
        change = await self._measure()
        jumped = self.ready.is_set() and abs(change) > _JUMP
        if jumped:
            first, change = change, await self._measure()
            if abs(change - first) > _JUMP:
                _log.warning(
                    "clock_disagrees", msg="two readings differ; kept ours", first=first, second=change
                )
                return
        self._offset += self._clock.set(self._clock.now() + change)
        self._metrics.clock_offset.set(self._offset)
        self.ready.set()
        if jumped:
            _log.warning("clock_jumped", msg="the venue's clock moved", seconds=round(change, 3))
            if self._on_jump:
                self._on_jump()

    async def _measure(self) -> float:
        """Venue time minus ours, in venue seconds."""
        return median([await self._history.server_time() - self._clock.now() for _ in range(_SAMPLES)])

    async def _rest(self) -> None:
        interval = self._clock.wall(self._interval, at_least=min(_INTERVAL_FLOOR, self._interval))
        await asyncio.sleep(min(_POKE_PAUSE, interval))
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(interval):
                await self._wake.wait()
