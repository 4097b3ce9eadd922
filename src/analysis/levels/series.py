"""Which symbols a run of levels looks at, and which of their bars; for kernel processes only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ...errors import BadData
from ...model import MINUTE_MS
from ...ports.tables import Tables
from .pivots import LEVEL_BAR, Records
from .terms import Market

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLACED_BAR = np.dtype([("place", "<i8"), *LEVEL_BAR.descr])
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Series:
    """A symbol: since when it is listed, up to when its bars are made, between when its levels are known already."""

    symbol: str
    listed_ms: int
    made_to_ms: int
    known_from_ms: int | None = None
    known_to_ms: int | None = None

    def followed_from(self, market: Market) -> int | None:
        """The close up to which levels are known and can be followed: of this listing, not more than a span ago."""
        known_to = self.known_to_ms
        if known_to is None or known_to <= self.listed_ms or self.made_to_ms - known_to > market.span_ms:
            return None
        return known_to

    def since_ms(self, market: Market, history: int) -> int:
        """The open of the first bar that is needed."""
        known_to = self.followed_from(market)
        newest = self.made_to_ms - history * market.period_ms
        if known_to is not None:
            newest = min(known_to, self.made_to_ms)
        return max(newest - market.span_ms, self.listed_ms)

    def first_bar(self, bars: Records, market: Market, history: int) -> int:
        """The bar from which levels are followed; the last one where nothing is new, for bars may have been mended.

        A time with too few bars is left out, for a run made then would have found nothing either.
        """
        last, known_to = len(bars) - 1, self.followed_from(market)
        if known_to is not None:
            return min(int(np.searchsorted(bars["close_ts"], known_to, side="right")), last)
        return min(max(last - history, market.least_bars - 1), last)


def find_series(
    tables: Tables, market: Market, symbols: Sequence[str] | None, until_ms: int | None
) -> list[Series]:
    """``symbols``, or where None every one that trades. Raises BadData for one that is not known."""
    series = {"exchange": market.exchange, "market_type": market.market_type, "timeframe": market.timeframe}
    if not market.kept:
        known = {
            row[0]: row[1:] for row in tables.rows("levels.watched", symbols=list(symbols or ()), **series)
        }
        return [
            Series(
                symbol, 0, until_ms or 0, *(milliseconds(time) for time in known.get(symbol, (None, None)))
            )
            for symbol in symbols or ()
        ]
    rows = tables.rows(
        "levels.series",
        source=market.source,
        symbols=None if symbols is None else list(symbols),
        until=None if until_ms is None else moment(until_ms),
        **series,
    )
    found = [
        Series(
            symbol, milliseconds(onboard) // MINUTE_MS * MINUTE_MS, *(milliseconds(time) for time in times)
        )
        for symbol, onboard, *times in rows
    ]
    unknown = set(symbols or ()) - {one.symbol for one in found}
    if unknown:
        raise BadData(
            f"{', '.join(sorted(unknown))}: {market.source} has no bars of {market.timeframe} of it;"
            " see marketd symbols --listings",
            reason="unknown_symbol",
        )
    return found


def read_bars(
    tables: Tables, market: Market, found: Sequence[Series], history: int
) -> Iterator[tuple[Series, Records]]:
    """The bars of each of ``found``, in order of time, by one read."""
    since = [series.since_ms(market, history) for series in found]
    until = [series.made_to_ms for series in found]
    bars = tables.read(
        "levels.bars",
        _PLACED_BAR,
        times=("open_ts", "close_ts"),
        source=market.source,
        period=float(market.period_ms),
        symbols=[series.symbol for series in found],
        since=[moment(ms) for ms in since],
        until=[moment(ms) for ms in until],
        earliest=moment(min(since)),
        latest=moment(max(until)),
    )
    bars = bars[np.lexsort((bars["open_ts"], bars["place"]))]
    edges = np.searchsorted(bars["place"], np.arange(1, len(found) + 2)).tolist()
    names = list(LEVEL_BAR.names or ())
    for series, begin, end in zip(found, edges, edges[1:], strict=False):
        some = np.empty(end - begin, LEVEL_BAR)
        for name in names:
            some[name] = bars[name][begin:end]
        yield series, some


def moment(ms: int) -> datetime:
    """A time for the database."""
    return _EPOCH + timedelta(milliseconds=ms)


def milliseconds(time: Any) -> Any:
    """A time of the database as UTC milliseconds; None stays None."""
    return None if time is None else (time - _EPOCH) // _MILLISECOND
