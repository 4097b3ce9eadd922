"""Raw messages to values: pure functions that return a value or raise ``BadData``, whatever they are given."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import orjson

from ....errors import BadData
from ....model import MINUTE_MS, Authority, Candle, ContractChange, ContractStatus
from .. import venue

# Plain decimals as the venue writes them: no sign but minus, no exponent, no NaN, ASCII digits only.
_DECIMAL = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
# These end a stream name, a query field or a path segment; no symbol holds one.
_NOT_IN_A_SYMBOL = frozenset("@/?&#%\\\"'")
_MAX_COUNT = 2**63 - 1
# Quote volumes are sums of products, rounded apart: takers may seem to have paid a last digit more than all.
ROUNDING = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class ParsedCandle:
    """A candle and the names of its fields that have more digits than a float keeps (to be counted)."""

    candle: Candle
    inexact: tuple[str, ...] = ()


def load(frame: bytes | str) -> Any:
    """Decode one JSON text. Raises ``BadData`` (``not_json``) for NaN, bad UTF-8, endless depth and the like."""
    try:
        return orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        raise BadData(f"not JSON: {error}", reason="not_json") from error


def payload_of(document: object) -> object:
    """What a combined envelope carries, or the document itself when it came raw.

    {"stream":"btcusdt@kline_1m","data":{"e":"kline", ...}}  ->  {"e":"kline", ...}
    """
    if isinstance(document, Mapping) and "stream" in document:
        return document.get("data")
    return document


def kline_frame(
    frame: bytes | str, *, source: str = "binance_ws", latest_ms: int = venue.NEWEST_OPEN_MS
) -> ParsedCandle | None:
    """One kline frame, combined or raw; ``None`` while its minute is open. See ``kline_event``."""
    return kline_event(payload_of(load(frame)), source=source, latest_ms=latest_ms)


def kline_event(
    event: object, *, source: str = "binance_ws", latest_ms: int = venue.NEWEST_OPEN_MS
) -> ParsedCandle | None:
    """The closed candle of a kline event; ``None`` while its minute is open.

        {"e":"kline","E":1626992760203,"s":"SUSHIUSDT","k":{"t":1626992700000,"T":1626992759999,
         "s":"SUSHIUSDT","i":"1m","f":126902874,"L":126902986,"o":"7.6080","c":"7.6170","h":"7.6180",
         "l":"7.6070","v":"3005","n":113,"x":true,"q":"22875.8590","V":"1900","Q":"14464.6960","B":"0"}}

    ``latest_ms`` is the latest end that a minute may have, UTC milliseconds. Raises ``BadData``.
    """
    kline = event.get("k") if isinstance(event, Mapping) and event.get("e") == "kline" else None
    if not isinstance(event, Mapping) or not isinstance(kline, Mapping):
        _refuse("not_kline", "no kline event")
    if kline.get("i") != venue.INTERVAL:
        _refuse("bad_interval", f"interval {kline.get('i')!r}")
    closed = kline.get("x")
    if not isinstance(closed, bool):
        _refuse("not_kline", f"closed flag {closed!r}")
    symbol = symbol_name(event.get("s"))
    if kline.get("s", symbol) != symbol:
        _refuse("bad_symbol", f"two symbols in one event: {symbol} and {kline.get('s')!r}")
    if not closed:
        return None
    values = tuple(kline.get(key) for key in "tohlcvTqnVQ")
    return _candle(symbol, values, source, Authority.STREAM, latest_ms)


def kline_row(
    symbol: str,
    row: object,
    *,
    source: str,
    authority: Authority,
    latest_ms: int = venue.NEWEST_OPEN_MS,
) -> ParsedCandle:
    """One row of ``GET /fapi/v1/klines``, closed or not: the row itself does not say.

        [1626992700000,"7.6080","7.6180","7.6070","7.6170","3005",1626992759999,"22875.8590",113,"1900",
         "14464.6960","0"]

    ``latest_ms`` as in ``kline_event``: pass the venue's time to refuse a minute that is not over.
    Raises ``BadData``.
    """
    if not isinstance(row, Sequence) or isinstance(row, str | bytes) or len(row) < 11:
        _refuse("not_kline", f"a kline row has 12 columns, not {row!r:.80}")
    return _candle(symbol_name(symbol), tuple(row[:11]), source, authority, latest_ms)


def contract_change(document: object) -> ContractChange:
    """One ``!contractInfo`` event, combined or raw; keys that are not named here may be there or not.

        {"e":"contractInfo","E":1669647330393,"s":"IOTAUSDT","ps":"IOTAUSDT","ct":"PERPETUAL",
         "dt":4133404800000,"ot":1569398400000,"cs":"TRADING","bks":[...]}

    Raises ``BadData``.
    """
    event = payload_of(document)
    if not isinstance(event, Mapping) or event.get("e") != "contractInfo":
        _refuse("not_contract", "no contractInfo event")
    kind = event.get("ct")
    if not isinstance(kind, str) or len(kind) > venue.MAX_SYMBOL_CHARS:
        _refuse("not_contract", f"contract type {kind!r:.80}")
    return ContractChange(
        symbol=symbol_name(event.get("s")),
        contract_type=kind,
        status=contract_status(event.get("cs")),
        onboard_ms=_milliseconds(event.get("ot")),
        delivery_ms=_milliseconds(event.get("dt")),
        event_ms=_milliseconds(event.get("E")),
    )


def contract_status(word: object) -> ContractStatus:
    """The venue's status word; one that is not known becomes OTHER, because the list is open."""
    try:
        return ContractStatus(str(word))
    except ValueError:
        return ContractStatus.OTHER


def symbol_name(text: object) -> str:
    """A symbol as the venue writes it, which may be Chinese. Raises ``BadData`` for what cannot be one."""
    if not isinstance(text, str) or not 1 <= len(text) <= venue.MAX_SYMBOL_CHARS or not text.isprintable():
        _refuse("bad_symbol", f"symbol {text!r:.80}")
    if " " in text or not _NOT_IN_A_SYMBOL.isdisjoint(text):
        _refuse("bad_symbol", f"symbol {text!r}")
    return text


def number(text: object) -> float:
    """A plain decimal text as float. Raises ``BadData`` for NaN, Infinity, exponents and all that is no text."""
    if not isinstance(text, str) or not _DECIMAL.fullmatch(text):
        _refuse("bad_number", f"no decimal: {text!r:.80}")
    return float(text) + 0.0  # -0.0 becomes 0.0


def is_exact(text: str) -> bool:
    """True if a float keeps every digit of the decimal text: at most 15 that are significant."""
    if len(text) <= venue.SIGNIFICANT_DIGITS:  # nearly all are so short
        return True
    digits = text.lstrip("-").replace(".", "").lstrip("0")
    if len(digits) <= venue.SIGNIFICANT_DIGITS:
        return True
    return len(digits.rstrip("0")) <= venue.SIGNIFICANT_DIGITS


_NUMBERS = {
    "open": 1,
    "high": 2,
    "low": 3,
    "close": 4,
    "volume": 5,
    "quote_volume": 7,
    "taker_buy_volume": 9,
    "taker_buy_quote_volume": 10,
}


def _candle(
    symbol: str, row: tuple[Any, ...], source: str, authority: Authority, latest_ms: int
) -> ParsedCandle:
    """``row`` is in the order of a REST row, without its last column, which means nothing."""
    candle = Candle(
        symbol=symbol,
        open_ms=_open_time(row[0], row[6], latest_ms),
        open=number(row[1]),
        high=number(row[2]),
        low=number(row[3]),
        close=number(row[4]),
        volume=number(row[5]),
        quote_volume=number(row[7]),
        trade_count=_count(row[8]),
        taker_buy_volume=number(row[9]),
        taker_buy_quote_volume=number(row[10]),
        source=source,
        authority=authority,
    )
    check_ranges(candle)
    return ParsedCandle(candle, tuple(name for name, column in _NUMBERS.items() if not is_exact(row[column])))


def _open_time(opened: object, last: object, latest_ms: int) -> int:
    open_ms = _milliseconds(opened)
    if open_ms < venue.OLDEST_OPEN_MS or open_ms % MINUTE_MS:
        _refuse("bad_time", f"open time {open_ms} is no minute of this market")
    if last != open_ms + MINUTE_MS - 1 or isinstance(last, bool):
        _refuse("bad_time", f"open time {open_ms} with close time {last!r:.40}")
    if open_ms + MINUTE_MS > latest_ms:
        _refuse("future_time", f"the minute of {open_ms} ends after {latest_ms}")
    return open_ms


def _milliseconds(value: object) -> int:
    if type(value) is not int or value < 0:
        _refuse("bad_time", f"no time in milliseconds: {value!r:.40}")
    if value > venue.NEWEST_OPEN_MS:
        _refuse("time_unit", f"{value} is not in milliseconds")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_COUNT:
        _refuse("bad_number", f"no count: {value!r:.40}")
    return value


def check_ranges(candle: Candle) -> None:
    """Raise ``BadData`` (``bad_price``, ``bad_volume``) for values that no minute can have."""
    lowest, highest = min(candle.open, candle.close), max(candle.open, candle.close)
    if candle.low <= 0 or candle.low > lowest or candle.high < highest:
        _refuse("bad_price", f"o h l c {candle.values[:4]} at {candle.key}")
    volume, taker = candle.volume, candle.taker_buy_volume
    if not 0 <= (taker or 0) <= volume:
        _refuse("bad_volume", f"{taker} bought by takers of {volume} at {candle.key}")
    quote_volume, taker_quote = candle.quote_volume, candle.taker_buy_quote_volume
    most = math.inf if quote_volume is None else quote_volume * ROUNDING
    if not 0 <= (taker_quote or 0) <= most or (quote_volume or 0) < 0:
        _refuse("bad_volume", f"{taker_quote} paid by takers of {quote_volume} at {candle.key}")


def _refuse(reason: str, detail: str) -> NoReturn:
    raise BadData(detail, reason=reason)
