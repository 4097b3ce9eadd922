"""Time as everybody is given it."""

from __future__ import annotations

from typing import Protocol


class Clock(Protocol):
    """Venue time; see ``clock.VenueClock`` for the two scales."""

    @property
    def speed(self) -> float: ...

    def now(self) -> float: ...

    def now_ms(self) -> int: ...

    def monotonic(self) -> float: ...

    def wall(self, seconds: float, *, at_least: float = 0.0) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    async def sleep_until(self, moment: float) -> None: ...


class SettableClock(Clock, Protocol):
    """A clock that adopts the venue's time."""

    def set(self, venue_now: float) -> float: ...
