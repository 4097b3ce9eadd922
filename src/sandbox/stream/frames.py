"""Bytes on the wire: WebSocket frames, which are the same for every client, and the venue's messages."""

from __future__ import annotations

import re
from typing import Any

import orjson

from ..market.candles import MINUTE_MS, Kline, decimal, symbol_key

STEPS = 240
"""An open minute changes at most every 250 ms."""

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
FINAL = 0x80

WRONG_VALUES = {
    "low_above_high": (b"h", b"0.0000000001"),
    "zero_price": (b"l", b"0"),
    "negative_volume": (b"v", b"-1"),
    "taker_above_total": (b"V", b"99999999999999"),
    "overflow": (b"q", b"1" + b"0" * 400),
    "nan": (b"c", b"NaN"),
}
"""Values that no minute can have: the field of the frame and what it then says."""


def ws_frame(payload: bytes, opcode: int = TEXT, *, final: bool = True) -> bytes:
    """One unmasked server frame."""
    return ws_header(len(payload), opcode, final=final) + payload


def ws_header(size: int, opcode: int = TEXT, *, final: bool = True) -> bytes:
    """The header of a server frame with a payload of ``size`` bytes."""
    first = opcode | (FINAL if final else 0)
    if size < 126:
        return bytes((first, size))
    if size < 65_536:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


def ws_continued(frame: bytes) -> bytes:
    """A text frame made into one more fragment of a message that does not end."""
    return b"\x00" + frame[1:]


def combined(stream: str, raw: bytes) -> bytes:
    """The envelope of combined streams: ``{"stream":"btcusdt@kline_1m","data":{...}}``."""
    return b'{"stream":"%b","data":%b}' % (stream.encode(), raw)


class Minute:
    """The frames of one symbol and minute: what the open candle shows on its way to the final one.

    Prices go from open over one extreme to the other and on to close, volumes grow with the trades; the
    last step is still short of the final values, which only the closed frame and REST have.
    """

    __slots__ = ("_head", "_n", "_path", "_places", "_quote", "_tail", "_taker", "_volume", "kline", "shown")

    def __init__(self, symbol: str, kline: Kline, tick: int) -> None:
        self.kline = kline
        self.shown = 0
        """Trades in the frame pushed last; a frame without a new one is not pushed."""
        start = kline.open_time
        self._n = kline.trade_count
        first = symbol_key(0, symbol) % 1_000_000 + start // MINUTE_MS * 100_000
        self._head = f'"s":"{symbol}","k":{{"t":{start},"T":{kline.close_time},"s":"{symbol}","i":"1m","f":{first},"L":'
        self._tail = first - 1
        opening, low, high, closing = map(units, (kline.open, kline.low, kline.high, kline.close))
        turns = (high, low) if start // MINUTE_MS & 1 else (low, high)
        self._path = (opening, *turns, closing, tick)
        self._volume, self._quote = units(kline.volume), units(kline.quote_volume)
        self._taker = units(kline.taker_buy_volume), units(kline.taker_buy_quote_volume)
        self._places = tuple(map(places, (kline.open, kline.volume, kline.quote_volume)))

    def open_frame(self, step: int, event_ms: int) -> bytes | None:
        """The candle as of quarter second ``step`` (0 to 239); None when no trade came since the last frame."""
        trades = max(1, self._n * (step + 1) // (STEPS + 1))
        if trades <= self.shown:
            return None
        self.shown = trades
        return self._encode(self.partial(step), event_ms, "false").encode()

    def closed_frame(self, event_ms: int) -> bytes:
        """The one frame with ``"x":true``, in the file's or the generator's own digits."""
        return self._encode(self.kline, event_ms, "true").encode()

    def partial(self, step: int) -> Kline:
        """The unfinished candle at ``step``, as REST's last row shows it."""
        prices, volumes, quotes = self._places
        trades = max(1, self._n * (step + 1) // (STEPS + 1))
        price, high, low = self._prices(step)
        volume = self._volume * trades // (self._n + 1)
        quote = self._quote * trades // (self._n + 1)
        taker, taker_quote = (one * trades // (self._n + 1) for one in self._taker)
        return Kline(
            self.kline.open_time,
            self.kline.open,
            decimal(high, prices),
            decimal(low, prices),
            decimal(price, prices),
            decimal(volume, volumes),
            self.kline.close_time,
            decimal(quote, quotes),
            trades,
            decimal(taker, volumes),
            decimal(taker_quote, quotes),
        )

    def _prices(self, step: int) -> tuple[int, int, int]:
        """(price, high so far, low so far), in units of the last place."""
        opening, first, second, closing, tick = self._path
        third, place = divmod(step, STEPS // 3)
        start, goal = ((opening, first), (first, second), (second, closing))[third]
        price = start + (goal - start) * place // (STEPS // 3) // tick * tick
        seen = (opening, price, first, second)[: 2 + third]
        return price, max(seen), min(seen)

    def _encode(self, row: Kline, event_ms: int, closed: str) -> str:
        return (
            f'{{"e":"kline","E":{event_ms},{self._head}{self._tail + row.trade_count},"o":"{row.open}",'
            f'"c":"{row.close}","h":"{row.high}","l":"{row.low}","v":"{row.volume}","n":{row.trade_count},'
            f'"x":{closed},"q":"{row.quote_volume}","V":"{row.taker_buy_volume}",'
            f'"Q":"{row.taker_buy_quote_volume}","B":"0"}}}}'
        )


def units(number: str) -> int:
    return int(number.replace(".", "", 1))


def places(number: str) -> int:
    return len(number) - 1 - number.find(".") if "." in number else 0


def mistimed(raw: bytes, kline: Kline, *, unit: str, shift_ms: int) -> bytes:
    """A kline frame whose times are off by ``shift_ms``, or in another unit (``us``, ``s``; ``ms`` is right)."""
    scale = {"us": 1000, "s": 0.001}.get(unit, 1)
    event = int(raw[raw.index(b'"E":') + 4 : raw.index(b",", raw.index(b'"E":'))])
    for name, time_ms in ((b"E", event), (b"t", kline.open_time), (b"T", kline.close_time)):
        wrong = int((time_ms + shift_ms) * scale)
        raw = raw.replace(b'"%b":%d,' % (name, time_ms), b'"%b":%d,' % (name, wrong), 1)
    return raw


def misvalued(raw: bytes, mode: str) -> bytes:
    """A closed kline frame with one value that no minute can have; ``mode`` is a key of ``WRONG_VALUES``."""
    key, wrong = WRONG_VALUES[mode]
    return re.sub(b'"%b":"[^"]*"' % key, b'"%b":"%b"' % (key, wrong), raw, count=1)


def mark_price(symbol: str, price: str, event_ms: int) -> bytes:
    """``<s>@markPrice@1s``."""
    eight_hours = 8 * 3_600_000
    due = (event_ms // eight_hours + 1) * eight_hours
    return orjson.dumps(
        {
            "e": "markPriceUpdate",
            "E": event_ms,
            "s": symbol,
            "p": price,
            "i": price,
            "P": price,
            "r": "0.00010000",
            "T": due,
            "st": 1,
        }
    )


def contract_info(info: dict[str, Any], event_ms: int) -> bytes:
    """``!contractInfo``: a listing, settlement or status change."""
    bracket = {"bs": 1, "bnf": 0, "bnc": 5_000, "mmr": 0.01, "cf": 0, "mi": 21, "ma": 50}
    return orjson.dumps(
        {
            "e": "contractInfo",
            "E": event_ms,
            "s": info["symbol"],
            "ps": info["pair"],
            "ct": info["contractType"],
            "dt": info["deliveryDate"],
            "ot": info["onboardDate"],
            "cs": info["status"],
            "bks": [bracket],
        }
    )
