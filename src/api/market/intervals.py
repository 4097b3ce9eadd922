"""Intervals by their names, and of what the bars of each are read; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from ...model import DAY_MS, MINUTE_MS

_HOUR_MS = 60 * MINUTE_MS
_WEEK_MS = 7 * DAY_MS
_MONDAY_MS = 4 * DAY_MS
"""1970-01-05: weeks begin on Monday, as the kept bars do (docs/adr/0040-bars.md)."""

IntervalName = Literal["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"]


@dataclass(frozen=True, slots=True)
class Interval:
    """``part_ms`` is the size of the stored rows that a bar is made of: its own, where bars of it are kept."""

    name: str
    length_ms: int
    part_ms: int

    @property
    def origin_ms(self) -> int:
        return _MONDAY_MS if self.length_ms % _WEEK_MS == 0 else 0

    def floor(self, ms: int) -> int:
        """The start of the bar that holds ``ms``."""
        return (ms - self.origin_ms) // self.length_ms * self.length_ms + self.origin_ms

    def ceiling(self, ms: int) -> int:
        """The start of the first bar that begins at ``ms`` or later."""
        return self.floor(ms + self.length_ms - 1)


_PARTS: Final[dict[IntervalName, tuple[int, int]]] = {
    "1m": (MINUTE_MS, MINUTE_MS),
    "3m": (3 * MINUTE_MS, MINUTE_MS),
    "5m": (5 * MINUTE_MS, 5 * MINUTE_MS),
    "15m": (15 * MINUTE_MS, 15 * MINUTE_MS),
    "30m": (30 * MINUTE_MS, 15 * MINUTE_MS),
    "1h": (_HOUR_MS, _HOUR_MS),
    "2h": (2 * _HOUR_MS, _HOUR_MS),
    "4h": (4 * _HOUR_MS, 4 * _HOUR_MS),
    "6h": (6 * _HOUR_MS, _HOUR_MS),
    "8h": (8 * _HOUR_MS, 4 * _HOUR_MS),
    "12h": (12 * _HOUR_MS, 4 * _HOUR_MS),
    "1d": (DAY_MS, DAY_MS),
    "3d": (3 * DAY_MS, DAY_MS),
    "1w": (_WEEK_MS, DAY_MS),
}

INTERVALS: Final[dict[str, Interval]] = {
    name: Interval(name, length_ms, part_ms) for name, (length_ms, part_ms) in _PARTS.items()
}
