"""Time as an argument: the venue's clock, which may run faster than the wall for the sandbox.

Minute ends are the venue's. A ``VenueClock`` counts on the monotonic clock and is set by the venue's
``/time``; the computer's own date is only its first guess, so a wall-clock step moves nothing.
"""

from __future__ import annotations

import asyncio
import time

from .errors import ConfigError


class VenueClock:
    """Venue time in epoch seconds, on a monotonic base, ``speed`` venue seconds per wall second.

    Two scales, never mixed: ``now``, ``monotonic`` and ``sleep`` are in venue seconds (minutes, roll call,
    flush window); deadlines of real input and output (connects, queries) are wall seconds and use asyncio's
    own timeouts. ``wall`` turns venue seconds into wall seconds with a floor for waits that guard real I/O.
    """

    def __init__(self, *, speed: float = 1.0, start: float | None = None) -> None:
        if not 0 < speed <= 1000:
            raise ConfigError(f"speed: must be above 0 and at most 1000, was {speed}")
        self.speed = speed
        self._base = time.monotonic()
        self._origin = time.time() if start is None else start
        self._offset = 0.0
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """True once the venue has told its time."""
        return self._is_set

    @property
    def offset(self) -> float:
        """Venue time minus what the computer's date said at construction, in venue seconds."""
        return self._offset

    def monotonic(self) -> float:
        """Venue seconds since construction; never steps."""
        return (time.monotonic() - self._base) * self.speed

    def now(self) -> float:
        """Venue time, seconds since 1970-01-01 UTC."""
        return self._origin + self._offset + self.monotonic()

    def now_ms(self) -> int:
        """Venue time, milliseconds since 1970-01-01 UTC."""
        return int(self.now() * 1000)

    def set(self, venue_now: float) -> float:
        """Adopt the venue's time, given as of this instant; returns the change in seconds."""
        change = venue_now - self.now()
        self._offset += change
        self._is_set = True
        return change

    def wall(self, seconds: float, *, at_least: float = 0.0) -> float:
        """``seconds`` of venue time in wall seconds, but not less than ``at_least`` wall seconds."""
        return max(seconds / self.speed, at_least)

    async def sleep(self, seconds: float) -> None:
        """Sleep that many venue seconds (at once if negative)."""
        await asyncio.sleep(max(seconds, 0.0) / self.speed)

    async def sleep_until(self, moment: float) -> None:
        """Sleep until venue time ``moment``; woken early by a clock correction, it sleeps again."""
        while (left := moment - self.now()) > 0:  # noqa: ASYNC110
            # no event tells of the time, and a bounded nap notices a clock that was set meanwhile
            await asyncio.sleep(min(left / self.speed, 60.0))
