"""One run of levels in a kernel process: bars in, levels followed to the newest bar, rows and results out at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...errors import BadData, Unavailable
from ...model.bars import VenueBar
from ...ports.tables import Note, Tables
from .fetched import with_fetched
from .pivots import Records
from .rows import ended_row, known_rows, new_row, result_row
from .scores import best
from .series import Series, find_series, milliseconds, read_bars
from .terms import Market
from .versions import Rows, follow

#: Symbols that are read at once: 15 MB of bars, with 2000 each.
_AT_ONCE = 128


@dataclass(slots=True)
class _Run:
    """What all symbols together will write, and what is said of it."""

    begun: list[dict[str, Any]] = field(default_factory=list)
    ended: list[dict[str, Any]] = field(default_factory=list)
    corrected: list[int] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    followed: dict[str, int | None] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)
    bars: int = 0


def compute(
    *,
    tables: Tables,
    note: Note,
    market: Market,
    symbols: Sequence[str] | None,
    until_ms: int | None = None,
    history: int = 0,
    fetched: Sequence[VenueBar] = (),
) -> dict[str, Any]:
    """Analyse ``symbols``, or where None every one that trades; returns what is there to say of the run.

    ``until_ms``: nothing that closed later is looked at. ``history``: so many bars before the newest are followed
    too where nothing is known of a symbol yet. ``fetched`` are bars for holes of the only symbol. A symbol that was
    asked for and cannot be analysed raises BadData; one of the universe is left out and counted.
    """
    found = find_series(tables, market, symbols, until_ms)
    run = _Run()
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        known = known_rows(tables, market, [series.symbol for series in some])
        for series, bars in read_bars(tables, market, some, history):
            bars = with_fetched(bars, fetched, series) if fetched else bars
            try:
                _analyse(run, market, series, bars, known.get(series.symbol, Rows()), history)
            except BadData as error:
                if symbols is not None:
                    raise
                run.skipped[error.reason] += 1
        done = start + len(some)
        note(f"{done} of {len(found)} symbols, {run.bars} bars", done / len(found))
    _write(tables, market, run)
    return {
        "symbols": len(run.results),
        "skipped": dict(run.skipped),
        "bars": run.bars,
        "rows_begun": len(run.begun),
        "rows_ended": len(run.ended),
        "from": min((result["details"]["from"] for result in run.results), default=None),
        "to": max((result["details"]["to"] for result in run.results), default=None),
    }


def _analyse(run: _Run, market: Market, series: Series, bars: Records, rows: Rows, history: int) -> None:
    """Raises BadData where levels cannot be told of these bars."""
    if len(bars):
        recent = bars[bars["open_ts"] >= bars["close_ts"][-1] - market.span_ms]
    if not len(bars) or len(recent) < market.least_bars:
        raise BadData(
            f"{series.symbol} {market.timeframe}: {len(bars) and len(recent)} closed bars are stored of its last"
            f" {market.span_bars} periods, levels need {market.least_bars}: fill the gaps (marketd gaps), or wait",
            reason="few_bars",
        )
    newest_ms = int(bars["close_ts"][-1])
    if series.known_to_ms is not None and newest_ms < series.known_to_ms:
        raise BadData(
            f"{series.symbol} {market.timeframe}: its levels are known up to a later bar than the last one here:"
            " ask price_levels what was known then",
            reason="known_already",
        )
    first = series.first_bar(bars, market, history)
    known_from_ms = int(bars["close_ts"][first])
    if series.followed_from(market) is not None and series.known_from_ms is not None:
        known_from_ms = series.known_from_ms
    elif series.known_to_ms is not None:
        rows.end_all(series.known_to_ms + market.period_ms, "unwatched")
    levels = follow(rows, bars, market.span_ms, first)
    run.bars += len(recent)
    run.results.append(
        result_row(market, series, best(levels, recent, market.span_ms), recent, known_from_ms)
    )
    run.followed[series.symbol] = series.known_to_ms
    _collect(run, series.symbol, rows)


def _collect(run: _Run, symbol: str, rows: Rows) -> None:
    for row in (*rows.ended, *rows.holding.values()):
        if row.row_id is None:
            run.begun.append(new_row(symbol, row))
        elif row.said_nothing:
            run.corrected.append(row.row_id)
        elif row.known_to is not None:
            run.ended.append(ended_row(row))


def _write(tables: Tables, market: Market, run: _Run) -> None:
    series = {"exchange": market.exchange, "market_type": market.market_type, "timeframe": market.timeframe}
    with tables.transaction():
        _check_still_followed(tables, run, series)
        if run.ended:
            tables.rows("levels.end", ended=json.dumps(run.ended))
        if run.corrected:
            tables.rows("levels.take_back", ids=run.corrected)
        if run.begun:
            tables.rows("levels.begin", begun=json.dumps(run.begun), **series)
        if run.results:
            tables.rows("levels.record", results=json.dumps(run.results), **series)


def _check_still_followed(tables: Tables, run: _Run, series: dict[str, str]) -> None:
    """Raises Unavailable, to be done anew, where a run that was thought to be dead has written after we read."""
    stored = tables.rows("levels.lock_watched", symbols=list(run.followed), **series)
    now = {symbol: milliseconds(known_to) for symbol, known_to in stored}
    if any(now.get(symbol) != known_to for symbol, known_to in run.followed.items()):
        raise Unavailable("levels: another run has written since this one read", reason="overtaken")
