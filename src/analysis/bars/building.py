"""Bars on demand: any kind and size of one symbol, from its candles or its trades. Runs in a kernel process.

What is made of candles is made anew by each run, from the largest kept size that divides it. What is made of trades
goes on from ``bar_state``. Every piece of work is one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from ...errors import BadData
from ...model import MINUTE_MS
from ...ports.tables import Note, Tables
from .advance import advance
from .dtypes import CANDLE, Recipe, Records, as_candles, new_state
from .keeping import keep
from .making import as_made, missing_minutes
from .ranges import KEPT_MS, bar_range, bar_start, divides

_AT_ONCE = 57_600
"""Parts that are read for one transaction."""
_ALL_DAYS = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)

PART = np.dtype([*[(name, CANDLE[name].str) for name in CANDLE.names or ()], ("minutes", "<i8")])


@dataclass(frozen=True, slots=True)
class Build:
    """``kind`` is time, tick, volume or dollar; ``size`` is in milliseconds, trades, base asset or quote asset.

    ``since_ms`` is where it begins (None: with what is stored); ``anew`` forgets what was built before.
    """

    exchange: str
    symbol: str
    kind: str
    size: float
    since_ms: int | None
    anew: bool

    def key(self) -> dict[str, Any]:
        """Whose bars they are, for queries."""
        return {"exchange": self.exchange, "symbol": self.symbol, "kind": self.kind, "size": self.size}


def from_candles(*, tables: Tables, note: Note, **asked: Any) -> Mapping[str, Any]:
    """Bars of time from candles, as far as the kept bars are made. Raises BadData for what cannot be.

    {exchange, symbol, kind, size, part_ms, from_ms, to_ms, bars}.
    """
    build = Build(**asked)
    size = _whole_minutes(build)
    kept = keep(tables=tables, note=note, exchange=build.exchange, days=_ALL_DAYS, symbol=build.symbol)
    if not kept["symbols"]:
        raise BadData(f"there are no candles of {build.symbol} at {build.exchange}", reason="bars_nothing")
    made_to, first = tables.rows("bars.front", exchange=build.exchange, symbol=build.symbol)[0]
    if size in KEPT_MS:  # they are made now
        return {**kept, "symbol": build.symbol, "kind": "time", "size": size, "to_ms": made_to}
    if tables.rows("bars.state", **build.key()) and not build.anew:
        raise BadData(
            f"{build.symbol}: these bars were made of trades; say --anew to make them of candles",
            reason="bars_other_source",
        )
    part = max([part for part in KEPT_MS if divides(part, size)], default=MINUTE_MS)
    cuts = dict(tables.rows("bars.cuts", exchange=build.exchange)).get(build.symbol, [])
    start = bar_start(max(first, build.since_ms or 0), size)
    until = bar_range(made_to, size, cuts)[0]
    bars = 0
    for opened in range(start, until, step := -(-_AT_ONCE * part // size) * size):
        closed = min(opened + step, until)
        bars += _piece(tables, build, part, (opened, closed), cuts, forget=build.anew and opened == start)
        note(f"{bars} bars, up to {time_of(closed):%Y-%m-%d %H:%M}", (closed - start) / (until - start))
    return {**build.key(), "part_ms": part, "from_ms": start, "to_ms": max(start, until), "bars": bars}


def _whole_minutes(build: Build) -> int:
    size = int(build.size)
    if build.kind != "time" or size % MINUTE_MS:
        raise BadData(
            f"candles make bars of time, of whole minutes: {build.kind} bars of this size need trades",
            reason="bar_size",
        )
    return size


def _piece(
    tables: Tables, build: Build, part: int, span: tuple[int, int], cuts: list[int], *, forget: bool
) -> int:
    size = int(build.size)
    within = {"from": time_of(span[0]), "to": time_of(span[1])}
    with tables.transaction():
        tables.rows("bars.claim_built", **build.key())
        if part == MINUTE_MS:
            parts = tables.read("bars.minutes", PART, times=("open_ts",), **build.key(), **within)
        else:
            parts = tables.read("bars.parts", PART, times=("open_ts",), part=part, **build.key(), **within)
        state = new_state(Recipe.TIME_OF_CANDLES, size, part_ms=part)
        bars, _ = advance(state, as_candles(parts), cuts=cuts, until_ms=span[1])
        made = as_made(bars, size, missing=missing_minutes(bars, parts["open_ts"], parts["minutes"]))
        if forget:
            forget_built(tables, build)
        tables.rows("bars.clear", **build.key(), **within)
        store_built(tables, build, made)
    return len(made)


def forget_built(tables: Tables, build: Build) -> None:
    """Delete what was built of this kind and size."""
    tables.rows("bars.drop_state", **build.key())
    tables.rows("bars.clear", **build.key(), **{"from": _EARLIEST, "to": _LATEST})


def store_built(tables: Tables, build: Build, made: Records) -> None:
    """Store bars (MADE) of which none is there."""
    tables.write(
        "bars.store",
        made,
        times=("open_ts", "close_ts"),
        exchange=build.exchange,
        kind=build.kind,
        symbols=[build.symbol],
    )


def time_of(ms: int) -> datetime:
    """UTC milliseconds as the time that queries take."""
    return _EPOCH + timedelta(milliseconds=ms)
