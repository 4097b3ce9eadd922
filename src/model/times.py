"""Lengths of time in milliseconds, and the minute that holds a moment."""

from __future__ import annotations

MINUTE_MS = 60_000
FIVE_MINUTES_MS = 300_000
DAY_MS = 86_400_000


def floor_minute(ms: float) -> int:
    """The start of the minute that holds ``ms``."""
    return int(ms) // MINUTE_MS * MINUTE_MS
