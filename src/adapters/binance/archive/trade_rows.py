"""One row of the archive's trade files as text, pure: what a value looks like, and why a row is refused.

This is the definition. ``trades`` takes all rows at once that are as rows should be, and asks here about
every other one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ....model import Trade
from .. import venue
from ..parse.messages import is_exact, number
from .rows import milliseconds, refuse, whole

COLUMNS = (
    "agg_trade_id",
    "price",
    "quantity",
    "first_trade_id",
    "last_trade_id",
    "transact_time",
    "is_buyer_maker",
)
"""In the order of files without a header; what comes after them (spot: is_best_match) means nothing."""
USED = ("agg_trade_id", "price", "quantity", "transact_time", "is_buyer_maker")
"""What a trade is made of."""

OLDEST_MS = 1_498_867_200_000
"""2017-07-01 UTC, when the spot market opened: nothing is older."""

_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ParsedTrade:
    """A trade and the names of its fields that have more digits than a float keeps (to be counted)."""

    trade: Trade
    inexact: tuple[str, ...] = ()


def trade_of(symbol: str, cells: Sequence[str | None]) -> ParsedTrade:
    """The trade of one row, its cells in the order of ``USED``.

        1000,43000.10,0.5,2000,2003,1769904000123,true          (futures)
        1000,43000.10,0.5,2000,2003,1769904000123456,True,True  (spot since 2025: microseconds, floored)

    Raises ``BadData``: ``blank``, ``bad_number``, ``bad_time``, ``bad_price``, ``bad_volume``, ``bad_flag``.
    """
    texts = dict(zip(USED, (cell or "" for cell in cells), strict=True))
    for name, text in texts.items():
        if not text:
            refuse("blank", f"{name} is blank")
    price, quantity = number(texts["price"]), number(texts["quantity"])
    if price <= 0:
        refuse("bad_price", f"price {texts['price']}")
    if quantity <= 0:
        refuse("bad_volume", f"quantity {texts['quantity']}")
    flag = _FLAGS.get(texts["is_buyer_maker"].lower())
    if flag is None:
        refuse("bad_flag", f"is_buyer_maker {texts['is_buyer_maker']!r:.60}")
    trade = Trade(
        symbol,
        whole(texts["agg_trade_id"], "bad_number"),
        _time(texts["transact_time"]),
        price,
        quantity,
        flag,
    )
    return ParsedTrade(trade, tuple(name for name in ("price", "quantity") if not is_exact(texts[name])))


def _time(text: str) -> int:
    time_ms = milliseconds(text)
    if not OLDEST_MS <= time_ms <= venue.NEWEST_OPEN_MS:
        refuse("bad_time", f"time {text} is none of this market")
    return time_ms
