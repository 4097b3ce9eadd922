"""Looks at every closed candle for every alert, once, wherever the candle comes from and whoever looks."""

from __future__ import annotations

from ...model import floor_minute
from ...ports.alerts import AlertEvents
from ...ports.clock import Clock
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics

_EVERY_S = 5.0

_log = get_logger("alerts")


class AlertLooker:
    """Asks the database itself, which holds the watermarks: after a kill it goes on where the last commit was."""

    def __init__(
        self, events: AlertEvents, clock: Clock, metrics: Metrics, *, every_s: float = _EVERY_S
    ) -> None:
        self._events, self._clock, self._metrics = events, clock, metrics
        self._every_s = every_s

    async def run(self) -> None:
        """Look until cancelled; without a pause while there are days to catch up. Raises what the database raises."""
        while True:
            behind = await self.look()
            await self._clock.sleep(0 if behind else self._every_s)

    async def look(self) -> int:
        """One look; how many alerts are still more than an hour behind."""
        found = await self._events.look(floor_minute(self._clock.now_ms()))
        if found.events:
            self._metrics.alert_events.inc(found.events)
            _log.info("alerts_fired", msg=f"{found.events} events", events=found.events)
        self._metrics.alerts_behind.set(found.behind)
        return found.behind if found.moved else 0
