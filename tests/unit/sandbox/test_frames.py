"""Frames of an open minute are possible candles on the way to the final one; the wire format is RFC 6455's."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.sandbox.market.candles import candle, traits
from src.sandbox.stream import frames
from src.sandbox.stream.malformed import CORPUS

MINUTE = 29_000_000
SYMBOLS = st.sampled_from(["BTCUSDT", "币安人生USDT", "AUSDT", "1000PEPEUSDT"])


def minute_of(symbol: str, minute: int = MINUTE) -> frames.Minute:
    made = traits(1, symbol, tick_size="0.10", step_size="0.001", sleeper_share=0.0)
    return frames.Minute(symbol, candle(made, minute), made.tick)


def read(raw: bytes) -> dict[str, Any]:
    message: dict[str, Any] = orjson.loads(raw)
    return message


@given(SYMBOLS, st.integers(min_value=MINUTE, max_value=MINUTE + 10_000))
def test_an_open_minute_grows_towards_its_final_candle(symbol: str, minute: int) -> None:
    made = minute_of(symbol, minute)
    final = read(made.closed_frame(1))["k"]
    before: dict[str, Any] | None = None
    for step in range(frames.STEPS):
        raw = made.open_frame(step, 1)
        if raw is None:
            continue
        now = read(raw)["k"]
        assert now["x"] is False
        assert now.keys() == final.keys()
        low, high = Decimal(now["l"]), Decimal(now["h"])
        assert Decimal(final["l"]) <= low <= min(Decimal(now["o"]), Decimal(now["c"]))
        assert Decimal(final["h"]) >= high >= max(Decimal(now["o"]), Decimal(now["c"]))
        assert Decimal(now["V"]) <= Decimal(now["v"]) < Decimal(final["v"])
        assert (now["t"], now["f"], now["o"]) == (final["t"], final["f"], final["o"])
        if before is not None:
            assert now["n"] > before["n"], "a frame that changes nothing is not pushed"
            assert Decimal(now["v"]) >= Decimal(before["v"])
            assert low <= Decimal(before["l"])
            assert high >= Decimal(before["h"])
        before = now
    assert before is not None
    assert before["n"] <= final["n"]


def test_the_closed_frame_has_the_venues_keys_and_the_candles_digits() -> None:
    made = minute_of("币安人生USDT")
    message, row = read(made.closed_frame(1_795_207_268_495)), made.kline
    assert list(message) == ["e", "E", "s", "k"]
    assert list(message["k"]) == list("tTsifLochlvnxqVQB")
    assert message["E"] == 1_795_207_268_495
    k = message["k"]
    assert k["x"] is True
    assert (
        k["t"],
        k["o"],
        k["h"],
        k["l"],
        k["c"],
        k["v"],
        k["T"],
        k["q"],
        k["n"],
        k["V"],
        k["Q"],
        k["B"],
    ) == row
    assert k["L"] - k["f"] + 1 == made.kline.trade_count


@pytest.mark.parametrize(
    ("unit", "shift_ms", "wrong"),
    [
        ("ms", 0, lambda t: t),
        ("ms", -5000, lambda t: t - 5000),
        ("us", 0, lambda t: t * 1000),
        ("s", 0, lambda t: t // 1000),
    ],
)
def test_times_can_be_wrong_and_nothing_else_changes(unit: str, shift_ms: int, wrong: Any) -> None:
    made = minute_of("BTCUSDT")
    right = read(made.closed_frame(made.kline.open_time + 60_500))
    other = read(frames.mistimed(made.closed_frame(right["E"]), made.kline, unit=unit, shift_ms=shift_ms))
    assert other["E"] == wrong(right["E"])
    assert (other["k"]["t"], other["k"]["T"]) == (wrong(right["k"]["t"]), wrong(right["k"]["T"]))
    for message in (right, other):
        del message["E"], message["k"]["t"], message["k"]["T"]
    assert other == right


@given(st.integers(min_value=0, max_value=70_000), st.booleans())
def test_headers_state_the_size(size: int, final: bool) -> None:
    header = frames.ws_header(size, final=final)
    assert header[0] == 0x01 | (0x80 if final else 0)
    assert not header[1] & 0x80, "servers do not mask"
    short = header[1]
    stated = short if short < 126 else int.from_bytes(header[2:], "big")
    assert stated == size
    assert len(header) == (2 if size < 126 else 4 if size < 65_536 else 10)


def test_the_corpus_is_wrong_in_every_frame_and_passes_a_cheap_test_for_closed() -> None:
    harmless = {"late_ack", "error", "empty"}
    for name, frame in CORPUS.items():
        assert name in harmless or b'"x":true' in frame, name
    assert len(CORPUS) > 20


def test_contract_info_has_the_documented_keys() -> None:
    info = {
        "symbol": "AUSDT", "pair": "AUSDT", "contractType": "PERPETUAL", "deliveryDate": 2, "onboardDate": 1,
        "status": "TRADING",
    }  # fmt: skip
    assert list(read(frames.contract_info(info, 5))) == ["e", "E", "s", "ps", "ct", "dt", "ot", "cs", "bks"]
