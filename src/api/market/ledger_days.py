"""UTC days, as the ledger counts them; pure."""

from __future__ import annotations

from datetime import date, timedelta

from ...model import DAY_MS

_EPOCH = date(1970, 1, 1)


def day_of(ms: int) -> date:
    """The UTC day that holds a moment; the first or the last that there is for one beyond them."""
    days = max((date.min - _EPOCH).days, min(ms // DAY_MS, (date.max - _EPOCH).days))
    return _EPOCH + timedelta(days=days)


def start_of(day: date) -> int:
    """UTC ms of the midnight at which a day begins."""
    return (day - _EPOCH).days * DAY_MS
