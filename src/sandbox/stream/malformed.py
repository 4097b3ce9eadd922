"""Frames that a client must survive: each is whole on the wire (unless its name says otherwise) and wrong inside.

Every one that looks like a candle says ``"x":true``, so that a cheap byte test lets it through to the parser,
and names a symbol or a minute that does not exist, so that storing it shows as a spurious row.
"""

from __future__ import annotations

from .frames import BINARY, combined, ws_frame

LONG_AGO_MS = 1_262_304_000_000
"""2010-01-01: before any listing."""

HUGE_BYTES = 100 * 1024 * 1024


def _kline(
    symbol: str = "BTCUSDT",
    *,
    time: object = LONG_AGO_MS,
    close: str = '"1.5"',
    volume: str = '"10"',
    low: str = '"1"',
) -> bytes:
    raw = (
        f'{{"e":"kline","E":{LONG_AGO_MS},"s":"{symbol}","k":{{"t":{time},"T":{LONG_AGO_MS + 59_999},'
        f'"s":"{symbol}","i":"1m","f":1,"L":2,"o":"1.5","c":{close},"h":"2","l":{low},"v":{volume},"n":2,'
        f'"x":true,"q":"15","V":"5","Q":"7","B":"0"}}}}'
    )
    return combined(f"{symbol.lower()}@kline_1m", raw.encode())


_TEXTS: dict[str, bytes] = {
    "empty": b"",
    "not_json": b'<html>"x":true</html>',
    "truncated_json": _kline().partition(b'"V"')[0],
    "nan": _kline(close="NaN"),
    "infinity": _kline(close="1e999"),
    "long_number": _kline(close='"' + "9" * 400 + '"'),
    "empty_number": _kline(close='""'),
    "missing_key": _kline().replace(b'"q":"15",', b""),
    "wrong_type": b'{"stream":"btcusdt@kline_1m","data":{"e":"kline","E":1,"s":"BTCUSDT","k":["x",{"x":true}]}}',
    "null_data": b'{"stream":"btcusdt@kline_1m","data":null,"x":true}',
    "text_time": _kline(time='"yesterday"'),
    "negative_volume": _kline(volume='"-10"'),
    "low_above_high": _kline(low='"3"'),
    "non_utf8": _kline().replace(b"BTCUSDT", b"BTC\xff\xfeUSDT"),
    "lone_surrogate": _kline("\\ud800USDT"),
    "nul_symbol": _kline("BTC\\u0000USDT"),
    "unknown_symbol": _kline("NOSUCHUSDT"),
    "deep": b'{"x":true,"data":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "unknown_event": b'{"stream":"btcusdt@somethingNew","data":{"e":"somethingNew","E":1,"s":"BTCUSDT","x":true}}',
    "unknown_envelope": b'[{"e":"kline","x":true},1,null]',
    "late_ack": b'{"result":null,"id":987654321}',
    "error": b'{"error":{"code":2,"msg":"Invalid request: unknown variant \\"x\\":true"},"id":987654321}',
}

CORPUS: dict[str, bytes] = {name: ws_frame(text) for name, text in _TEXTS.items()} | {
    "binary": ws_frame(_kline(), BINARY)
}
"""Frames by name, complete with their WebSocket header."""

BREAKING = ("huge", "unfinished", "cut")
"""Wrong at the level of the WebSocket, so the connection cannot go on: one frame of ``HUGE_BYTES``, a message
whose fragments never end, a frame cut mid-byte by the end of the connection."""
