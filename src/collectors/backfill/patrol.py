"""Keeps history complete: looks at what is not, as often as it makes sense, and fills it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from ...errors import Misconfigured, Retryable
from ...model import MINUTE_MS, CoverageDay, floor_minute
from ...ports import Clock, CoverageAudit, CoverageNotes, Priority
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from ..backoff import Backoff
from ..listings.selection import Selection
from .absent import AbsentWork
from .announce import Announcement
from .campaign import Campaign, Result
from .progress import Progress
from .scope import Scope

_log = get_logger("patrol")

_LOOP_FLOOR = 1.0
"""Wall seconds at least between two passes."""


class Patrol:
    """The daemon's own filling: everything since ``since(now_ms)`` up to ``recent_ms`` ago, and nothing beyond.

    The minutes after that are somebody else's (``HoleRepair``'s 25 h); where nobody is, ``recent_ms`` is five
    minutes. A pass looks only at days that are not complete or are dirty. A day that could not be completed is
    looked at again after 1, 2, 4 .. 60 min; rows that exist nowhere are asked for again when they are due; a small
    share of all days is counted anew. The first pass says what it will cost. A pass ends when its time is over or
    somebody else wants to fill; what is left is in the ledger.
    """

    def __init__(
        self,
        campaign: Campaign,
        notes: CoverageNotes,
        audit: CoverageAudit,
        absent: AbsentWork,
        selection: Selection,
        clock: Clock,
        metrics: Metrics,
        *,
        since: Callable[[int], int],
        recent_ms: int,
        interval: float = 600.0,
        ready: asyncio.Event | None = None,
        announcement: Announcement | None = None,
    ) -> None:
        self._campaign = campaign
        self._notes = notes
        self._audit = audit
        self._absent = absent
        self._selection = selection
        self._clock = clock
        self._metrics = metrics
        self._since = since
        self._recent_ms = recent_ms
        self._interval = interval
        self._ready = ready
        self._announcement = announcement
        self._wake = asyncio.Event()
        self._backoff = Backoff(1.0, 60.0)
        self._next_look_ms: int | None = None

    def trigger(self) -> None:
        """Look now, or again when the present pass is over: a listing came or went, or minutes were lost."""
        self._wake.set()

    async def run(self) -> None:
        """Patrol until cancelled. ``ready`` holds the first pass back until the venue's time is known."""
        if self._ready:
            await self._ready.wait()
        while True:
            self._wake.clear()
            try:
                again = await self.look()
            except (Retryable, Misconfigured) as error:
                delay = max(self._backoff.next(), getattr(error, "retry_after", 0.0))
                _log.warning("patrol_failed", msg=str(error), reason=error.reason, retry_in=round(delay, 1))
                await asyncio.sleep(delay)
            else:
                self._backoff.reset()
                await self._wait(0.0 if again else self._pause())

    async def look(self) -> bool:
        """One pass; whether there is more to do at once. Raises what the ledger raises."""
        now_ms = self._clock.now_ms()
        scope = Scope(
            self._selection,
            self._since(now_ms),
            floor_minute(now_ms - self._recent_ms),
            patient=True,
            priority=Priority.REPAIR,
        )
        if scope.since_ms >= scope.until_ms:
            return False
        if self._announcement:
            await self._announcement.tell(scope)
            self._announcement = None
        # Behind the announcement: to plan everything since listing may take as long as a pass.
        deadline = self._clock.now() + self._interval
        result = await self._campaign.run(
            scope,
            Progress(),
            stop=lambda: self._campaign.wanted or self._clock.now() >= deadline,
        )
        await self._looked(result)
        self._tell(result)
        await self._absent.run(self._clock.now_ms())
        await self._audit.audit(self._clock.now_ms())
        # Whoever is away, or a folder that cannot be used, is given the pause of a pass.
        return result.stopped and result.tasks > 0

    async def _looked(self, result: Result) -> None:
        now_ms = self._clock.now_ms()
        by_attempts: dict[int, list[CoverageDay]] = {}
        for day in result.looked:
            by_attempts.setdefault(day.attempts, []).append(day)
        next_looks = [day.next_look_ms for day in result.waiting]
        for attempts, group in sorted(by_attempts.items()):
            at_ms = now_ms + wait_minutes(attempts) * MINUTE_MS
            await self._notes.looked(group, at_ms)
            next_looks.append(at_ms)
        self._next_look_ms = min(next_looks, default=None)

    def _tell(self, result: Result) -> None:
        self._metrics.history_open_days.set(len(result.looked) + len(result.waiting))
        level = _log.warning if result.trouble else _log.info
        level(
            "patrolled",
            msg=f"{result.tasks} tasks done, {result.left} minutes cannot be had now",
            tasks=result.tasks,
            left=result.left,
            unanswered=result.unanswered,
            trouble=result.trouble or "",
        )

    def _pause(self) -> float:
        """Venue seconds to the next pass: the interval, or sooner when a day is due."""
        if self._next_look_ms is None:
            return self._interval
        return min(self._interval, max(self._next_look_ms - self._clock.now_ms(), 0) / 1000)

    async def _wait(self, seconds: float) -> None:
        # BINANCE_WS_GAP_INTERVAL may be a day.
        with suppress(TimeoutError), outside("the next pass"):
            async with asyncio.timeout(self._clock.wall(seconds, at_least=_LOOP_FLOOR)):
                await self._wake.wait()


def wait_minutes(attempts: int) -> int:
    """How long a day is left alone after ``attempts`` earlier looks in vain: 1, 2, 4 .. 60 min."""
    return min(60, 1 << min(attempts, 6))
