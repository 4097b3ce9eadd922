"""Messages as the venue spells them, for tests to bend."""

from __future__ import annotations

from typing import Any

import orjson

OPEN_MS = 1_626_992_700_000


def kline(symbol: str = "SUSHIUSDT", **changed: Any) -> dict[str, Any]:
    """The kline event of the capture of 2021-07-22; ``changed`` are keys of its ``k``."""
    values: dict[str, Any] = {
        "t": OPEN_MS,
        "T": OPEN_MS + 59_999,
        "s": symbol,
        "i": "1m",
        "f": 126902874,
        "L": 126902986,
        "o": "7.6080",
        "c": "7.6170",
        "h": "7.6180",
        "l": "7.6070",
        "v": "3005",
        "n": 113,
        "x": True,
        "q": "22875.8590",
        "V": "1900",
        "Q": "14464.6960",
        "B": "0",
    }
    return {"e": "kline", "E": OPEN_MS + 60_203, "s": symbol, "k": values | changed}


def combined(event: dict[str, Any], stream: str | None = None) -> bytes:
    """The event in the envelope of combined streams."""
    name = stream if stream is not None else f"{str(event['s']).lower()}@kline_1m"
    return orjson.dumps({"stream": name, "data": event})


def row(**changed: Any) -> list[Any]:
    """The same candle as a REST row."""
    return [kline(**changed)["k"][key] for key in "tohlcvTqnVQB"]


CONTRACT = {
    "e": "contractInfo",
    "E": 1_669_647_330_393,
    "s": "IOTAUSDT",
    "ps": "IOTAUSDT",
    "ct": "PERPETUAL",
    "dt": 4_133_404_800_000,
    "ot": 1_569_398_400_000,
    "cs": "TRADING",
    "bks": [{"bs": 1, "bnf": 0, "bnc": 5000}],
}
