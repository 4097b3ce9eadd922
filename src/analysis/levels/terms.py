"""What levels are made of and what they are; the numbers of ADR 0044 stand here and nowhere else. Without numpy.

Times are UTC milliseconds, prices in the quote asset. A bar is known when it has closed, so what is said "at" a time is
what the bars say that had closed by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

#: Bars on each side that a pivot must exceed. Whoever is a pivot of one of them is one of all smaller ones.
WINDOWS: Final = (5, 10, 20, 30)
#: As far from a level's founder is still the same level, and a close farther beyond it breaks the level.
TOLERANCE: Final = 0.005
#: So many periods a run looks back; what lies before is forgotten.
SPAN_BARS: Final = 2000
#: Fewer bars say too little.
LEAST_BARS: Final = 100
#: So many levels of each side are results.
BEST: Final = 5


class Side(StrEnum):
    """Supports come from lows, resistances from highs."""

    SUPPORT = "support"
    RESISTANCE = "resistance"

    @property
    def sign(self) -> int:
        """1 where the price should be above the level, -1 where below."""
        return 1 if self is Side.SUPPORT else -1

    def broken_beyond(self, price: float) -> float:
        """The close that a level founded at ``price`` just survives."""
        return price * (1 - self.sign * TOLERANCE)

    def reached_from(self, price: float) -> float:
        """Where the zone of a level founded at ``price`` begins for a price that comes back to it."""
        return price * (1 + self.sign * TOLERANCE)


@dataclass(frozen=True, slots=True)
class Touch:
    """A pivot of a level: its first bar's open, the close that confirmed it, and for how many windows it is one."""

    pivot_ms: int
    confirmed_ms: int
    price: float
    windows: int


@dataclass(frozen=True, slots=True)
class Level:
    """A level as it is known at some time; ``touches`` are its pivots, the oldest first.

    The oldest is the founder: its time and side name the level, its price draws the zone (TOLERANCE to each side).
    ``tests`` counts the returns into the zone after the price had left it, without a close beyond; ``tested_ms`` is the
    close of the last. ``broken_ms`` is the first close beyond the zone since the newest pivot.
    """

    side: Side
    touches: tuple[Touch, ...]
    price: float
    tests: int
    tested_ms: int | None
    broken_ms: int | None = None

    @property
    def founded_ms(self) -> int:
        return self.touches[0].pivot_ms

    @property
    def formed_ms(self) -> int:
        return self.touches[0].confirmed_ms

    @property
    def state(self) -> str:
        """``broken``; else ``tested`` if the price came back to it, else ``formed``."""
        return "broken" if self.broken_ms is not None else "tested" if self.tests else "formed"

    @property
    def strength(self) -> int:
        return sum(touch.windows for touch in self.touches)


@dataclass(frozen=True, slots=True)
class Market:
    """Which levels: the words of the result tables, and where the bars are (``source`` is their exchange)."""

    exchange: str
    market_type: str
    timeframe: str
    period_ms: int
    source: str
    span_bars: int = SPAN_BARS
    least_bars: int = LEAST_BARS
    #: Whether the symbols are those of ``instruments`` and their bars are kept; else the bars are fetched when asked.
    kept: bool = True

    @property
    def span_ms(self) -> int:
        """How far a run looks back."""
        return self.span_bars * self.period_ms
