"""Rows that are not missing although they are not there: not due yet, or about to be filled by a request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from fnmatch import fnmatchcase
from typing import NamedTuple

from ...model import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, Dataset, Listing
from ..parts import Parts
from .instants import MOST_MS, utc
from .ledger_days import day_of, start_of

GRACE_MS = FIVE_MINUTES_MS
"""A row is due this long after its period ended; until then it is pending."""
STEP_MS = {Dataset.CANDLES: MINUTE_MS, Dataset.METRICS: FIVE_MINUTES_MS}
"""The time that a row stands for, where it is always the same."""


class Waiting(NamedTuple):
    """So many rows of a symbol's UTC day."""

    symbol: str
    day: date
    rows: int


def first_not_due(dataset: Dataset, now_ms: int) -> int:
    """The beginning (UTC ms) of the first period that is not due yet; now, for rows without periods."""
    step = STEP_MS.get(dataset)
    return now_ms if step is None else (now_ms - GRACE_MS) // step * step


async def waiting(
    given: Parts, dataset: Dataset, symbols: Sequence[str], first: date, now_ms: int
) -> list[Waiting]:
    """What is waited for from the day ``first`` on; a day may come twice."""
    since_ms = first_not_due(dataset, now_ms)
    listings = await read_listings(given, symbols)
    late = list(_not_due(dataset, listings, since_ms, now_ms))
    if late:
        stored = await _stored_early(given, dataset, symbols, since_ms, now_ms)
        late = [one._replace(rows=one.rows - stored.get((one.symbol, one.day), 0)) for one in late]
    if dataset is Dataset.CANDLES:
        late += await _planned(given, symbols, first, since_ms)
    return [one for one in late if one.rows > 0]


async def read_listings(given: Parts, symbols: Sequence[str]) -> dict[str, list[Listing]]:
    """The listing intervals of symbols."""
    found: dict[str, list[Listing]] = {}
    for symbol, onboard_ms, end_ms in await given.reader.rows(
        "sight.listings", exchange=given.exchange, symbols=list(symbols)
    ):
        listing = Listing(symbol, onboard_ms, MOST_MS if end_ms is None else end_ms)
        found.setdefault(symbol, []).append(listing)
    return found


class Request(NamedTuple):
    """A filling that was asked for and is not done: [from_ms, to_ms) of the symbols that one of the globs means."""

    number: int
    globs: tuple[str, ...]
    from_ms: int
    to_ms: int

    def means(self, symbol: str) -> bool:
        return any(fnmatchcase(symbol, glob) for glob in self.globs)


async def read_requests(given: Parts) -> list[Request]:
    """Requests of `marketd backfill` that wait or run."""
    return [
        Request(number, tuple(globs), from_ms, to_ms)
        for number, globs, from_ms, to_ms in await given.reader.rows(
            "sight.requests", exchange=given.exchange
        )
    ]


def _not_due(
    dataset: Dataset, listings: dict[str, list[Listing]], since_ms: int, now_ms: int
) -> Iterator[Waiting]:
    step = STEP_MS.get(dataset)
    if step is None:
        return
    for symbol, known in listings.items():
        day_ms = since_ms // DAY_MS * DAY_MS
        while day_ms <= now_ms:
            rows = 0
            for listing in known:
                first, end = listing.window(max(since_ms, day_ms), day_ms + DAY_MS)
                rows += max(0, (end - -(-first // step) * step) // step)
            yield Waiting(symbol, day_of(day_ms), rows)
            day_ms += DAY_MS


async def _stored_early(
    given: Parts, dataset: Dataset, symbols: Sequence[str], since_ms: int, now_ms: int
) -> dict[tuple[str, date], int]:
    day_end_ms = (now_ms // DAY_MS + 1) * DAY_MS
    values = {"exchange": given.exchange, "symbols": list(symbols), "until": utc(day_end_ms)}
    if dataset is Dataset.CANDLES:
        rows = await given.reader.rows("sight.recent_candles", since=utc(since_ms), **values)
    else:  # named by the end of its period
        rows = await given.reader.rows(
            "sight.recent_metrics", since=utc(since_ms + STEP_MS[dataset]), **values
        )
    return {(symbol, day): stored for symbol, day, stored in rows}


async def _planned(given: Parts, symbols: Sequence[str], first: date, since_ms: int) -> list[Waiting]:
    # The running day is told apart to the minute by what is not due yet.
    before_ms = since_ms // DAY_MS * DAY_MS
    plans = [
        (
            symbol,
            day_of(-(-request.from_ms // DAY_MS) * DAY_MS),
            day_of(min(request.to_ms, before_ms) - DAY_MS),
        )
        for request in await read_requests(given)
        for symbol in symbols
        if request.means(symbol)
    ]
    if not plans:
        return []
    rows = await given.reader.rows(
        "sight.planned",
        exchange=given.exchange,
        dataset=Dataset.CANDLES.value,
        first=first,
        last=day_of(before_ms),
        days=1,
        planned=[symbol for symbol, _, _ in plans],
        planned_from=[begin for _, begin, _ in plans],
        planned_to=[last for _, _, last in plans],
    )
    return [Waiting(symbol, day_of(start_of(first) + cell * DAY_MS), count) for symbol, cell, count in rows]
