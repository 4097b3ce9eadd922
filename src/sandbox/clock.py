"""The exchange's time: an anchor plus monotonic time, ``speed`` exchange seconds per wall second."""

from __future__ import annotations

import asyncio
import time


class SandboxClock:
    """Exchange time in UTC milliseconds. ``skew_ms`` is a fault: only what the exchange *says* is shifted."""

    def __init__(self, *, speed: float, start_ms: int | None, anchor: float | None) -> None:
        self.speed = speed
        self.anchor = time.monotonic() if anchor is None else anchor
        # The default start belongs to this instant, also when the anchor lies in the past.
        passed = (time.monotonic() - self.anchor) * speed
        self.start_ms = int((time.time() - passed) * 1000) if start_ms is None else start_ms
        self.skew_ms = 0

    def now_ms(self) -> int:
        """True exchange time: it decides which minute is open and when a candle is final."""
        return self.start_ms + int((time.monotonic() - self.anchor) * self.speed * 1000)

    def stated_ms(self) -> int:
        """The time that event stamps and ``/fapi/v1/time`` show."""
        return self.now_ms() + self.skew_ms

    async def sleep_until(self, moment_ms: float, *, at_least: float) -> None:
        """Sleep until the exchange time, but at least ``at_least`` wall seconds (so that a burst is batched)."""
        wall = (moment_ms - self.now_ms()) / 1000 / self.speed
        await asyncio.sleep(max(wall, at_least))
