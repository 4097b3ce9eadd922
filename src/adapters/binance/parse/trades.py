"""Aggregate trades of stream and REST to values: pure functions that return a value or raise ``BadData``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from ....errors import BadData
from ....model import Trade
from .. import venue
from ..archive.trade_rows import OLDEST_MS, ParsedTrade
from .messages import is_exact, number, symbol_name

_LARGEST_ID = 2**63 - 1


def trade_event(event: object, *, latest_ms: int = venue.NEWEST_OPEN_MS) -> ParsedTrade:
    """The trade of an ``aggTrade`` event.

        {"e":"aggTrade","E":1626992741575,"a":16599292,"s":"CTKUSDT","p":"1.01100","q":"10","f":23961322,
         "l":23961322,"T":1626992741421,"m":false}

    ``latest_ms`` is the latest time that it may have, UTC milliseconds. Raises ``BadData``.
    """
    if not isinstance(event, Mapping) or event.get("e") != "aggTrade":
        _refuse("not_trade", "no aggTrade event")
    return trade_row(symbol_name(event.get("s")), event, latest_ms=latest_ms)


def trade_row(symbol: str, row: object, *, latest_ms: int = venue.NEWEST_OPEN_MS) -> ParsedTrade:
    """One row of ``aggTrades``; spot has a key more (``M``).

    {"a":26129,"p":"0.01633102","q":"4.70443515","f":27781,"l":27781,"T":1498793709153,"m":true}
    """
    if not isinstance(row, Mapping):
        _refuse("not_trade", f"no trade: {row!r:.80}")
    trade_id, time_ms, flag = row.get("a"), row.get("T"), row.get("m")
    if type(trade_id) is not int or not 0 <= trade_id <= _LARGEST_ID:
        _refuse("bad_number", f"no id: {trade_id!r:.40}")
    if type(time_ms) is not int or not OLDEST_MS <= time_ms <= venue.NEWEST_OPEN_MS:
        _refuse("bad_time", f"no time in milliseconds: {time_ms!r:.40}")
    if time_ms > latest_ms:
        _refuse("future_time", f"the trade at {time_ms} lies after {latest_ms}")
    if not isinstance(flag, bool):
        _refuse("bad_flag", f"no flag: {flag!r:.40}")
    price, quantity = number(row.get("p")), number(row.get("q"))
    if price <= 0:
        _refuse("bad_price", f"price {price} of trade {trade_id}")
    if quantity <= 0:
        _refuse("bad_volume", f"quantity {quantity} of trade {trade_id}")
    inexact = tuple(name for name, key in (("price", "p"), ("quantity", "q")) if not is_exact(row[key]))
    return ParsedTrade(Trade(symbol, trade_id, time_ms, price, quantity, flag), inexact)


def _refuse(reason: str, detail: str) -> NoReturn:
    raise BadData(detail, reason=reason)
