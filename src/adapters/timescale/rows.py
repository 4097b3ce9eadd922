"""Candles as rows: which of several wins, how they are copied, and how a refused one is kept as text."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ...model import Candle

# One per column of candles_incoming (sql/queries/candles.sql): binary COPY does not convert.
COLUMN_TYPES = (
    "text",
    "int8",
    *("float8",) * 5,
    "float8",
    "int8",
    "float8",
    "float8",
    "text",
    "int2",
    "int4",
)

_VALUE_NAMES = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
)
_TEXT_LIMIT = 4000


def winners(candles: Iterable[Candle]) -> list[Candle]:
    """One candle a key, the one of largest rank, ordered by key: one statement must not hold a key twice (21000)."""
    best: dict[tuple[str, int], Candle] = {}
    for candle in candles:
        key = candle.key
        other = best.setdefault(key, candle)
        if other is not candle and candle.rank > other.rank:
            best[key] = candle
    return [best[key] for key in sorted(best)]


def as_row(candle: Candle) -> tuple[object, ...]:
    """The columns of ``candles_incoming`` in order."""
    return (
        candle.symbol,
        candle.open_ms,
        *candle.values,
        candle.source,
        int(candle.authority),
        candle.revision,
    )


def printable(text: str, limit: int = _TEXT_LIMIT) -> str:
    """``text`` with what PostgreSQL cannot store (NUL, lone surrogates) escaped, cut to ``limit`` characters."""
    return text[:limit].encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def as_text(candle: Candle) -> str:
    """The whole candle as one line of JSON in ASCII; NaN and Infinity stay as they are."""
    fields: dict[str, object] = {"symbol": candle.symbol[:200], "open_ms": candle.open_ms}
    fields |= dict(zip(_VALUE_NAMES, candle.values, strict=True))
    fields |= {"source": candle.source[:200], "authority": int(candle.authority), "revision": candle.revision}
    return json.dumps(fields, ensure_ascii=True, default=repr)[:_TEXT_LIMIT]


def rejected_row(exchange: str, candle: Candle, *, reason: str, detail: str) -> dict[str, object]:
    """The columns of ``rejected_rows`` for a candle that cannot be stored."""
    return {
        "exchange": exchange,
        "reason": printable(reason, 100),
        "symbol": printable(candle.symbol, 200),
        "open_ms": candle.open_ms,
        "detail": printable(detail, 1000),
        "raw_row": as_text(candle),
    }
