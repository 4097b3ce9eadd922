"""Rows of price_levels and analysis_results, to and from what they say; for kernel processes only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ...ports.tables import Tables
from .pivots import Records
from .scores import Score
from .series import Series, milliseconds, moment
from .terms import TOLERANCE, WINDOWS, Level, Market, Side, Touch
from .versions import Row, Rows


def known_rows(tables: Tables, market: Market, symbols: Sequence[str]) -> dict[str, Rows]:
    """The rows that hold, by symbol."""
    found: dict[str, Rows] = {}
    stored = tables.rows(
        "levels.holding",
        exchange=market.exchange,
        market_type=market.market_type,
        timeframe=market.timeframe,
        symbols=list(symbols),
    )
    for symbol, row_id, known_from, *values in stored:
        row = Row(level_of(*values), milliseconds(known_from), row_id)
        name = row.level.side, row.level.founded_ms
        found.setdefault(symbol, Rows()).holding[name] = row
    return found


def known_at(tables: Tables, market: Market, symbol: str, at_ms: int) -> list[Level]:
    """The levels of ``symbol`` as they were known at a time: what a run made then said."""
    stored = tables.rows(
        "levels.known_at",
        exchange=market.exchange,
        market_type=market.market_type,
        timeframe=market.timeframe,
        symbol=symbol,
        at=moment(at_ms),
    )
    return [level_of(*values) for values in stored]


def level_of(
    side: str,
    price: float,
    tests: int,
    tested_ts: Any,
    broken_ts: Any,
    pivot_ts: Sequence[Any],
    confirmed_ts: Sequence[Any],
    pivot_prices: Sequence[float],
    pivot_windows: Sequence[int],
) -> Level:
    """A level from the columns of its row."""
    touches = zip(
        map(milliseconds, pivot_ts), map(milliseconds, confirmed_ts), pivot_prices, pivot_windows, strict=True
    )
    return Level(
        side=Side(side),
        touches=tuple(Touch(*touch) for touch in touches),
        price=price,
        tests=tests,
        tested_ms=milliseconds(tested_ts),
        broken_ms=milliseconds(broken_ts),
    )


def ended_row(row: Row) -> dict[str, Any]:
    """What changes in a stored row that ended."""
    return {"id": row.row_id, **_end(row)}


def new_row(symbol: str, row: Row) -> dict[str, Any]:
    """A row to be stored."""
    level = row.level
    return {
        "symbol": symbol,
        "side": level.side.value,
        "founded_ts": _text(level.founded_ms),
        "formed_ts": _text(level.formed_ms),
        "tests": level.tests,
        "tested_ts": _text(level.tested_ms),
        "broken_ts": _text(level.broken_ms),
        "price": level.price,
        "pivot_ts": [_text(touch.pivot_ms) for touch in level.touches],
        "confirmed_ts": [_text(touch.confirmed_ms) for touch in level.touches],
        "pivot_prices": [touch.price for touch in level.touches],
        "pivot_windows": [touch.windows for touch in level.touches],
        "known_from": _text(row.known_from),
        **_end(row),
    }


def result_row(
    market: Market,
    series: Series,
    chosen: dict[Side, list[tuple[Level, Score]]],
    bars: Records,
    known_from_ms: int,
) -> dict[str, Any]:
    """The result of a symbol: the best of each side, and of which bars. ``bars`` are those of the last span."""
    return {
        "symbol": series.symbol,
        "input_limit": len(bars),
        "last_price": float(bars["close"][-1]),
        **{f"{side}_levels": [_told(level, score) for level, score in chosen[side]] for side in Side},
        "details": {
            "from": _text(int(bars["open_ts"][0])),
            "to": _text(int(bars["close_ts"][-1])),
            "span_bars": market.span_bars,
            "windows": list(WINDOWS),
            "tolerance": TOLERANCE,
        },
        "known_from": _text(known_from_ms),
        "known_to": _text(int(bars["close_ts"][-1])),
    }


def _told(level: Level, score: Score) -> dict[str, Any]:
    founder = level.touches[0].price
    low, high = sorted((level.side.broken_beyond(founder), level.side.reached_from(founder)))
    return {
        "id": f"{level.side}-{_text(level.founded_ms)}",
        "price": level.price,
        "low": low,
        "high": high,
        "score": score.total,
        "parts": {
            "touches": score.touches,
            "volume": score.volume,
            "distance": score.distance,
            "right_side": score.right_side,
        },
        "state": level.state,
        "pivots": len(level.touches),
        "founded_at": _text(level.founded_ms),
        "formed_at": _text(level.formed_ms),
        "tests": level.tests,
        "tested_at": _text(level.tested_ms),
        "broken_at": _text(level.broken_ms),
    }


def _end(row: Row) -> dict[str, Any]:
    return {"state": row.state, "known_to": _text(row.known_to) or "infinity"}


@lru_cache(
    maxsize=8192
)  # all symbols have the same bars: two thousand times, said hundreds of thousands of times
def _text(ms: int | None) -> str | None:
    return None if ms is None else moment(ms).isoformat().replace("+00:00", "Z")
