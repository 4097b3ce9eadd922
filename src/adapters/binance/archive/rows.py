"""One row of the archive's kline files as text, pure: what a value looks like, and why a row is refused.

This is the definition. ``klines`` takes all rows at once that are as rows should be, and asks here about
every other one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NoReturn

from ....errors import BadData
from ....model import MINUTE_MS, Authority, Candle
from .. import venue
from ..parse.messages import ParsedCandle, check_ranges, is_exact, number

COLUMNS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
)
"""In the order of files without a header; what comes after them means nothing."""

MICROSECONDS_FROM = 100_000_000_000_000
"""A larger time is in microseconds: spot files changed in 2025, and these may."""

_INTEGER = re.compile(r"[0-9]{1,18}")
_OPTIONAL = ("quote_volume", "count", "taker_buy_volume", "taker_buy_quote_volume")


def candle_of(symbol: str, cells: Sequence[str | None], *, source: str) -> ParsedCandle:
    """The candle of one row, its cells in the order of ``COLUMNS``.

        1769904000000,1.546,1.547,1.544,1.546,74137.9,1769904059999,114567.0308,340,27722.5,42850.8697,0

    A blank cell is ``None`` where a candle may lack the value. Raises ``BadData``: ``blank``, ``bad_number``,
    ``bad_time``, ``bad_price``, ``bad_volume``.
    """
    texts = dict(zip(COLUMNS, (cell or "" for cell in cells), strict=True))
    for name, text in texts.items():
        if not text and name not in _OPTIONAL:
            refuse("blank", f"{name} is blank")
    numbers = {
        name: number(text) if text else None
        for name, text in texts.items()
        if name not in ("open_time", "close_time", "count")
    }
    candle = Candle(
        symbol=symbol,
        open_ms=_open_ms(texts["open_time"], texts["close_time"]),
        open=numbers["open"] or 0.0,
        high=numbers["high"] or 0.0,
        low=numbers["low"] or 0.0,
        close=numbers["close"] or 0.0,
        volume=numbers["volume"] or 0.0,
        quote_volume=numbers["quote_volume"],
        trade_count=whole(texts["count"], "bad_number") if texts["count"] else None,
        taker_buy_volume=numbers["taker_buy_volume"],
        taker_buy_quote_volume=numbers["taker_buy_quote_volume"],
        source=source,
        authority=Authority.ARCHIVE,
    )
    check_ranges(candle)
    return ParsedCandle(candle, tuple(name for name in numbers if not is_exact(texts[name])))


def _open_ms(opened: str, closed: str) -> int:
    open_ms, close_ms = (milliseconds(text) for text in (opened, closed))
    if not venue.OLDEST_OPEN_MS <= open_ms <= venue.NEWEST_OPEN_MS or open_ms % MINUTE_MS:
        refuse("bad_time", f"open time {opened} is no minute of this market")
    if close_ms != open_ms + MINUTE_MS - 1:
        refuse("bad_time", f"open time {opened} with close time {closed}")
    return open_ms


def milliseconds(text: str) -> int:
    """A time in milliseconds or, if it is large enough, microseconds. Raises ``BadData``: ``bad_time``."""
    value = whole(text, "bad_time")
    return value // 1000 if value >= MICROSECONDS_FROM else value


def whole(text: str, reason: str) -> int:
    """Raises ``BadData`` with ``reason``."""
    if not _INTEGER.fullmatch(text):
        refuse(reason, f"no whole number: {text!r:.60}")
    return int(text)


def refuse(reason: str, detail: str) -> NoReturn:
    raise BadData(detail, reason=reason)
