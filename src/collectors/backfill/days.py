"""Days, months and what is missing in them; pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from ...model import DAY_MS, MINUTE_MS, CoverageDay, Gap, Listing

_EPOCH = date(1970, 1, 1)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayPart:
    """The part of a UTC day that lies in one listing: how many minutes it has, and which are missing.

    ``whole`` means that every one of them is missing, and that none of them was left out by a bound.
    """

    symbol: str
    listing: Listing
    day: date
    expected: int
    gaps: tuple[Gap, ...]
    attempts: int = 0

    @property
    def missing(self) -> int:
        return sum(gap.minutes for gap in self.gaps)

    @property
    def whole(self) -> bool:
        return self.missing == self.expected


def day_of(ms: int) -> date:
    """The UTC day that holds ``ms``."""
    return datetime.fromtimestamp(ms // 1000, UTC).date()


def day_ms(day: date) -> int:
    """The first instant of a UTC day."""
    return (day - _EPOCH).days * DAY_MS


def month_of(day: date) -> date:
    """The first day of its month."""
    return day.replace(day=1)


def next_month(month: date) -> date:
    """The first day of the month after the one that begins with ``month``."""
    return month_of(month + 31 * _DAY)


def days_between(since: date, until: date) -> Iterator[date]:
    """All days from ``since`` up to and including ``until``."""
    while since <= until:
        yield since
        since += _DAY


def by_symbol(listings: Iterable[Listing]) -> dict[str, list[Listing]]:
    """The listings of each symbol, in order of time."""
    found: dict[str, list[Listing]] = {}
    for listing in sorted(listings, key=lambda item: (item.symbol, item.onboard_ms)):
        found.setdefault(listing.symbol, []).append(listing)
    return found


def split_days(gaps: Iterable[Gap]) -> dict[tuple[str, date], list[Gap]]:
    """``gaps`` cut at midnight, by symbol and day."""
    found: dict[tuple[str, date], list[Gap]] = {}
    for gap in gaps:
        start = gap.from_ms
        while start < gap.to_ms:
            day = day_of(start)
            end = min(gap.to_ms, day_ms(day) + DAY_MS)
            found.setdefault((gap.symbol, day), []).append(Gap(gap.symbol, start, end, gap.reason))
            start = end
    return found


def day_parts(
    days: Iterable[CoverageDay],
    holes: Mapping[tuple[str, date], Sequence[Gap]],
    listings: Mapping[str, Sequence[Listing]],
    since_ms: int,
    until_ms: int,
) -> Iterator[DayPart]:
    """What of ``days`` is missing in [since_ms, until_ms), one part for each listing a day has; none without a hole.

    ``holes`` are the exact holes of the days that have some rows (``split_days``); a day without any row needs none.
    """
    for day in days:
        start = day_ms(day.day)
        for listing in listings.get(day.symbol, ()):
            first, last = listing.window(start, start + DAY_MS)
            if first >= last:
                continue
            known = (
                holes.get((day.symbol, day.day), ())
                if has_rows(day)
                else (Gap(day.symbol, first, last, "day"),)
            )
            gaps = tuple(_clipped(known, max(first, since_ms), min(last, until_ms)))
            if gaps:
                expected = (last - first) // MINUTE_MS
                yield DayPart(day.symbol, listing, day.day, expected, gaps, day.attempts)


def has_rows(day: CoverageDay) -> bool:
    """Whether only a look at its rows tells what is missing."""
    return day.dirty or day.have + day.absent + day.expired > 0


def listed_days(listing: Listing, month: date) -> list[date]:
    """The days of a month on which the listing has minutes."""
    start, end = day_ms(month), day_ms(next_month(month))
    first, last = listing.window(start, end)
    return list(days_between(day_of(first), day_of(last - 1))) if first < last else []


def _clipped(gaps: Iterable[Gap], first: int, last: int) -> Iterator[Gap]:
    for gap in gaps:
        start, end = max(gap.from_ms, first), min(gap.to_ms, last)
        if start < end:
            yield Gap(gap.symbol, start, end, gap.reason)
