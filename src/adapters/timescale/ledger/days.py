"""Arithmetic of ledger days: which rows are due, in which day, by when. All pure, times in UTC milliseconds.

A row belongs to the day in which its period begins: a candle's minute, and the five minutes before a metric's
``create_time``. Periods are [start, start + step).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from ....model import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, CoverageDay, Dataset, Gap, Listing

SETTLED_MS = 5 * MINUTE_MS
"""A row is pending, not missing, until its period has been over for this long."""

Span = tuple[int, int]
"""[from, to), both starts of periods."""

_EPOCH = date(1970, 1, 1)
_STEPS = {Dataset.CANDLES: MINUTE_MS, Dataset.METRICS: FIVE_MINUTES_MS}


def step_of(dataset: Dataset) -> int:
    """The length of a row's period. Raises ``ValueError`` for a dataset without a fixed one (funding)."""
    if dataset not in _STEPS:
        raise ValueError(f"{dataset} has no fixed number of rows a day: say what is due with expect()")
    return _STEPS[dataset]


def start_of(day: date) -> int:
    """Midnight at which ``day`` begins."""
    return (day - _EPOCH).days * DAY_MS


def day_of(ms: int) -> date:
    """The UTC day that holds ``ms``."""
    return _EPOCH + timedelta(days=ms // DAY_MS)


def utc(ms: int) -> datetime:
    """``ms`` as PostgreSQL takes it; exact to the millisecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def spans(listings: Iterable[Listing], step_ms: int, until_ms: int) -> dict[str, tuple[Span, ...]]:
    """The whole periods inside the listings of each symbol and before ``until_ms``: ordered, apart from each other."""
    found: dict[str, list[Span]] = {}
    for listing in listings:
        start = -(-listing.onboard_ms // step_ms) * step_ms
        to = min(listing.end_ms, until_ms) // step_ms * step_ms
        if start < to:
            found.setdefault(listing.symbol, []).append((start, to))
    return {symbol: merged(items) for symbol, items in found.items()}


def merged(items: Iterable[Span]) -> tuple[Span, ...]:
    """The same instants in the fewest spans, in order."""
    kept: list[Span] = []
    for start, to in sorted(items):
        if kept and start <= kept[-1][1]:
            kept[-1] = (kept[-1][0], max(kept[-1][1], to))
        else:
            kept.append((start, to))
    return tuple(kept)


def clipped(items: Iterable[Span], from_ms: int, to_ms: int) -> list[Span]:
    """The parts of ``items`` inside [from_ms, to_ms)."""
    parts = ((max(start, from_ms), min(to, to_ms)) for start, to in items)
    return [part for part in parts if part[0] < part[1]]


def first_difference(old: Sequence[Span], new: Sequence[Span]) -> int | None:
    """The earliest instant that is in one and not in the other; both as ``merged`` gives them."""
    edges_old, edges_new = ([edge for span in items for edge in span] for items in (old, new))
    for one, other in zip(edges_old, edges_new, strict=False):
        if one != other:
            return min(one, other)
    longer = max(edges_old, edges_new, key=len)
    shorter = min(len(edges_old), len(edges_new))
    return longer[shorter] if shorter < len(longer) else None


def rows_due(items: Iterable[Span], day: date, step_ms: int, now_ms: int) -> int:
    """How many rows of ``day`` must be there at ``now_ms``: their period ended at least five minutes ago."""
    start = start_of(day)
    closed = (now_ms - SETTLED_MS) // step_ms * step_ms
    return sum(to - begin for begin, to in clipped(items, start, min(start + DAY_MS, closed))) // step_ms


def pending_and_missing(line: CoverageDay, due: int) -> tuple[int, int]:
    """What is not accounted for, as (not due yet, missing); ``due`` is ``rows_due``. The two are ``unaccounted``.

    A day's line says how many rows there are, not which. In the running day rows that came early stand in for ones
    that are missing, five minutes' worth at most; those show as soon as the five minutes are over.
    """
    missing = max(0, min(line.unaccounted, due - line.have - line.absent - line.expired))
    return line.unaccounted - missing, missing


def joined(gaps: Iterable[Gap]) -> list[Gap]:
    """``gaps`` by symbol and time, those that touch made one."""
    kept: list[Gap] = []
    for gap in sorted(gaps, key=lambda gap: (gap.symbol, gap.from_ms)):
        last = kept[-1] if kept else None
        if last and last.symbol == gap.symbol and gap.from_ms <= last.to_ms:
            kept[-1] = Gap(gap.symbol, last.from_ms, max(last.to_ms, gap.to_ms), last.reason)
        else:
            kept.append(gap)
    return kept
