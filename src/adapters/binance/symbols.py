"""The venue's list of contracts: an exchangeInfo answer to ``Instrument`` values, pure.

Which of them are collected is decided in ``collectors/universe``; nothing is left out here but entries that
cannot be used, and one such entry never costs the list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from ...errors import BadData, Unavailable
from ...model import Instrument
from .parse.messages import contract_status, symbol_name

# 2010 to 2286 in milliseconds: catches seconds and microseconds. Perpetuals end at 4133404800000.
_OLDEST_MS, _NEWEST_MS = 1_262_304_000_000, 9_999_999_999_999
_MAX_DECIMALS = 30


@dataclass(frozen=True, slots=True)
class ExchangeInfo:
    """What one answer said. ``weight_limit`` is the venue's REQUEST_WEIGHT a minute, ``None`` if not said."""

    instruments: tuple[Instrument, ...]
    rejected: tuple[BadData, ...]
    weight_limit: int | None


def parse_exchange_info(answer: object) -> ExchangeInfo:
    """Every usable entry of ``symbols``, in the venue's order.

        {"rateLimits":[{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":2400}],
         "symbols":[{"symbol":"BTCUSDT","contractType":"PERPETUAL","status":"TRADING","baseAsset":"BTC",
           "quoteAsset":"USDT","onboardDate":1569398400000,"deliveryDate":4133404800000,"pricePrecision":2,
           "filters":[{"filterType":"PRICE_FILTER","tickSize":"0.10"},
                      {"filterType":"LOT_SIZE","stepSize":"0.001"}]}]}

    Unknown keys, filters and statuses are tolerated; a contract type may be empty (seen before a listing).
    Raises ``Unavailable`` when the answer as a whole is not an exchangeInfo answer: an empty list would read
    as "everything is delisted".
    """
    symbols = answer.get("symbols") if isinstance(answer, Mapping) else None
    if not isinstance(answer, Mapping) or not isinstance(symbols, list) or not symbols:
        raise Unavailable("exchangeInfo: the answer has no list of symbols", reason="bad_json")
    found: dict[str, Instrument] = {}
    rejected: list[BadData] = []
    for entry in symbols:
        try:
            instrument = _instrument(entry)
        except BadData as error:
            rejected.append(error)
            continue
        if instrument.symbol in found:
            rejected.append(BadData(f"{instrument.symbol} is listed twice", reason="duplicate_symbol"))
        else:
            found[instrument.symbol] = instrument
    if not found:
        raise Unavailable("exchangeInfo: no entry of the list is usable", reason="bad_json")
    return ExchangeInfo(tuple(found.values()), tuple(rejected), _weight_limit(answer.get("rateLimits")))


def _instrument(entry: object) -> Instrument:
    if not isinstance(entry, Mapping):
        raise BadData("entry is no object", reason="bad_symbol")
    symbol = symbol_name(entry.get("symbol"))
    filters = {item.get("filterType"): item for item in _mappings(entry.get("filters"))}
    return Instrument(
        symbol=symbol,
        base=_text(entry, "baseAsset", symbol),
        quote=_text(entry, "quoteAsset", symbol),
        contract_type=_text(entry, "contractType", symbol, may_be_empty=True),
        status=contract_status(entry.get("status")),
        onboard_ms=_milliseconds(entry, "onboardDate", symbol),
        delivery_ms=_milliseconds(entry, "deliveryDate", symbol),
        tick_size=_size(filters.get("PRICE_FILTER", {}).get("tickSize"), entry.get("pricePrecision"), symbol),
        step_size=_size(filters.get("LOT_SIZE", {}).get("stepSize"), entry.get("quantityPrecision"), symbol),
    )


def _text(entry: Mapping[str, Any], key: str, symbol: str, *, may_be_empty: bool = False) -> str:
    value = entry.get(key)
    if not isinstance(value, str) or not (value or may_be_empty) or not value.isprintable():
        raise BadData(f"{symbol}: {key} is {value!r:.60}", reason="bad_field")
    return value


def _milliseconds(entry: Mapping[str, Any], key: str, symbol: str) -> int:
    value = entry.get(key)
    if type(value) is not int or not _OLDEST_MS <= value <= _NEWEST_MS:
        raise BadData(f"{symbol}: {key} is {value!r:.60}", reason="bad_time")
    return value


def _size(value: object, decimals: object, symbol: str) -> str:
    """The filter's decimal text, else the step that the precision implies; "0" is seen before a listing."""
    if value is None and type(decimals) is int and 0 <= decimals <= _MAX_DECIMALS:
        return f"{Decimal(1).scaleb(-decimals):f}"
    try:
        size = Decimal(value) if isinstance(value, str) else Decimal("NaN")
    except InvalidOperation:
        size = Decimal("NaN")
    if not size.is_finite() or size < 0:
        raise BadData(f"{symbol}: tick or step size is {value!r:.60}", reason="bad_field")
    return str(value)


def _weight_limit(limits: object) -> int | None:
    for limit in _mappings(limits):
        is_weight = limit.get("rateLimitType") == "REQUEST_WEIGHT"
        is_minute = limit.get("interval") == "MINUTE" and limit.get("intervalNum") == 1
        value = limit.get("limit")
        if is_weight and is_minute and type(value) is int and value > 0:
            return value
    return None


def _mappings(value: object) -> Iterable[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []
