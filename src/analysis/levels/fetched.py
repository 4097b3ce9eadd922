"""Bars that are not ours: what to ask the venue for, and what becomes of what it said; for kernel processes only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...model.bars import VenueBar
from ...ports.tables import Note, Tables
from .pivots import LEVEL_BAR, Records
from .series import Series, find_series, milliseconds, moment
from .terms import Market

_ROW = np.dtype(
    [("open_ts", "<i8"), ("close_ts", "<i8")]
    + [(name, "<f8") for name in ("open", "high", "low", "close", "volume", "quote_volume")]
    + [("trade_count", "<i8"), ("buy_volume", "<f8")]
)


def wanted_since(
    *, tables: Tables, note: Note, market: Market, symbol: str, until_ms: int, history: int
) -> int:
    """From when on bars are needed that were not asked for yet: each range is asked for once.

    What lies before the close up to which levels are known was asked for by the run that made them known.
    """
    (series,) = find_series(tables, market, [symbol], until_ms)
    known_to = series.followed_from(market)
    return series.since_ms(market, history) if known_to is None else known_to


def keep(*, tables: Tables, note: Note, market: Market, symbol: str, bars: Sequence[VenueBar]) -> int:
    """Store what the venue gave where there is no bar; how many were new."""
    if not bars:
        return 0
    rows = np.array(bars, _ROW)
    stored = tables.write(
        "levels.keep_bars",
        rows,
        times=("open_ts", "close_ts"),
        exchange=market.source,
        symbol=symbol,
        period=float(market.period_ms),
    )
    return len(stored)


def missing(
    *, tables: Tables, note: Note, market: Market, symbol: str, until_ms: int | None, history: int
) -> list[tuple[int, int]]:
    """The ranges of the span without a bar, of days of which the ledger misses minutes, that were never asked for."""
    (series,) = find_series(tables, market, [symbol], until_ms)
    period_ms = market.period_ms
    found = tables.rows(
        "levels.missing",
        source=market.source,
        symbol=symbol,
        period=float(period_ms),
        since=moment(-(-series.since_ms(market, history) // period_ms) * period_ms),
        until=moment(series.made_to_ms),
    )
    ranges: list[tuple[int, int]] = []
    for (open_ts,) in found:
        open_ms = milliseconds(open_ts)
        if ranges and ranges[-1][1] == open_ms:
            ranges[-1] = ranges[-1][0], open_ms + period_ms
        else:
            ranges.append((open_ms, open_ms + period_ms))
    return ranges


def remember(
    *,
    tables: Tables,
    note: Note,
    market: Market,
    symbol: str,
    from_ms: int,
    to_ms: int,
    bars: Sequence[VenueBar],
) -> None:
    """Keep what the venue said of [from_ms, to_ms), so that it is not asked again: also where it had nothing."""
    given = {bar.open_ms: bar for bar in bars}
    period_ms = market.period_ms
    nothing = (float("nan"),) * 6
    rows = [
        tuple(given[open_ms])
        if open_ms in given
        else (open_ms, open_ms + period_ms, *nothing, 0, float("nan"))
        for open_ms in range(from_ms, to_ms, period_ms)
    ]
    tables.write(
        "levels.remember",
        np.array(rows, _ROW),
        times=("open_ts", "close_ts"),
        source=market.source,
        symbol=symbol,
        period=float(period_ms),
    )


def remembered(
    *, tables: Tables, note: Note, market: Market, symbol: str, until_ms: int | None, history: int
) -> list[VenueBar]:
    """What the venue said when it was asked, of the span that a run reads."""
    (series,) = find_series(tables, market, [symbol], until_ms)
    found = tables.rows(
        "levels.fetched",
        source=market.source,
        symbol=symbol,
        period=float(market.period_ms),
        since=moment(series.since_ms(market, history)),
        until=moment(series.made_to_ms),
    )
    return [VenueBar(*row) for row in found]


def with_fetched(bars: Records, fetched: Sequence[VenueBar], series: Series) -> Records:
    """``bars`` and those of ``fetched`` that fill a hole of theirs, in order of time."""
    rows = np.array(
        [(bar.open_ms, bar.close_ms, bar.high, bar.low, bar.close, bar.volume) for bar in fetched], LEVEL_BAR
    )
    new = ~np.isin(rows["open_ts"], bars["open_ts"]) & (rows["close_ts"] <= series.made_to_ms)
    together = np.concatenate([bars, rows[new & (rows["open_ts"] >= series.listed_ms)]])
    return together[np.argsort(together["open_ts"])]
