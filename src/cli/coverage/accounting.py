"""The arithmetic of ``marketd coverage``: parts that add up to what was due, and shares that add up to 100 %; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from ...model import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, Dataset, Listing

GRACE_MS = FIVE_MINUTES_MS
"""A row is due this long after its period ended; until then it is pending."""
_STEP_MS = {Dataset.CANDLES: MINUTE_MS, Dataset.METRICS: FIVE_MINUTES_MS}
_THOUSANDTHS = 100_000
"""Of a per cent: shares have three decimals."""


@dataclass(frozen=True, slots=True)
class Account:
    """Rows due, and what became of them. The five parts add up to ``expected``; ``beyond`` are rows nobody expected."""

    expected: int = 0
    have: int = 0
    pending: int = 0
    absent: int = 0
    expired: int = 0
    beyond: int = 0

    @property
    def missing(self) -> int:
        return self.expected - self.have - self.pending - self.absent - self.expired

    @property
    def parts(self) -> dict[str, int]:
        return {
            "have": self.have,
            "pending": self.pending,
            "absent": self.absent,
            "expired": self.expired,
            "missing": self.missing,
        }

    def with_pending(self, rows: int) -> Account:
        """The same with ``rows`` more of what is missing called pending, all of it at most."""
        return replace(self, pending=self.pending + max(min(rows, self.missing), 0))


def total(accounts: Iterable[Account]) -> Account:
    """All of them in one."""
    expected = have = pending = absent = expired = beyond = 0
    for one in accounts:
        expected += one.expected
        have += one.have
        pending += one.pending
        absent += one.absent
        expired += one.expired
        beyond += one.beyond
    return Account(expected, have, pending, absent, expired, beyond)


def shares(parts: Mapping[str, int]) -> dict[str, float]:
    """Per cent of each part, in thousandths that add up to exactly 100 (largest remainders); all 0 without any."""
    whole = sum(parts.values())
    if not whole:
        return dict.fromkeys(parts, 0.0)
    floors = {name: rows * _THOUSANDTHS // whole for name, rows in parts.items()}
    left = _THOUSANDTHS - sum(floors.values())
    by_remainder = sorted(parts, key=lambda name: -(parts[name] * _THOUSANDTHS % whole))
    return {name: (floors[name] + (name in by_remainder[:left])) / 1000 for name in parts}


def first_not_due(dataset: Dataset, now_ms: int) -> int:
    """The time of the first row (UTC ms) that is not due yet at ``now_ms``: it ended less than ``GRACE_MS`` ago.

    A candle is named by the start of its minute, a metric by the end of its period.
    """
    step = _STEP_MS.get(dataset, MINUTE_MS)
    ended_by = now_ms - GRACE_MS
    last_due = ended_by // step * step - (step if dataset is Dataset.CANDLES else 0)
    return last_due + step


def not_due(dataset: Dataset, listings: Sequence[Listing], now_ms: int) -> dict[date, int]:
    """Rows that are not due yet, by UTC day: the rest of today, and right after midnight the end of yesterday; pure."""
    step = _STEP_MS.get(dataset)
    if step is None:
        return {}
    # The last row of a day of metrics carries the next midnight: its day is that of the period's start.
    shift = 0 if dataset is Dataset.CANDLES else step
    since = first_not_due(dataset, now_ms) - shift
    day_ms, today_ms = since // DAY_MS * DAY_MS, now_ms // DAY_MS * DAY_MS
    found: dict[date, int] = {}
    while day_ms <= today_ms:
        rows = sum(_rows(listing, max(since, day_ms), day_ms + DAY_MS, step) for listing in listings)
        if rows:
            found[day_of(day_ms)] = rows
        day_ms += DAY_MS
    return found


def _rows(listing: Listing, since_ms: int, until_ms: int, step: int) -> int:
    first, end = listing.window(since_ms, until_ms)
    first = -(-first // step) * step
    return max(0, (end - first) // step)


def day_of(ms: int) -> date:
    """The UTC day that holds ``ms``."""
    return datetime.fromtimestamp(ms / 1000, UTC).date()
