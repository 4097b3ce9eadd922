"""Trades of stream and REST: real frames come out to the digit, and whatever else comes is a ``BadData``."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.binance.parse import messages as parse
from src.adapters.binance.parse.trades import trade_event, trade_row
from src.errors import BadData
from src.model import Trade

EVENT: dict[str, Any] = {
    "e": "aggTrade", "E": 1626992741575, "a": 16599292, "s": "CTKUSDT", "p": "1.01100", "q": "10", "f": 23961322,
    "l": 23961322, "T": 1626992741421, "m": False,
}  # fmt: skip


def test_an_event_says_what_was_traded() -> None:
    assert trade_event(EVENT).trade == Trade("CTKUSDT", 16599292, 1626992741421, 1.011, 10.0, False)


def test_real_frames_are_trades_with_ids_in_order(market_data: Path) -> None:
    lines = gzip.decompress((market_data / "ws" / "fstream-2021-07-22.ws.gz").read_bytes()).splitlines()
    frames = [line.partition(b": ")[2] for line in lines if b'"e":"aggTrade"' in line]
    found: dict[str, list[Trade]] = {}
    for frame in frames:
        event = parse.payload_of(parse.load(frame))
        parsed = trade_event(event)
        assert isinstance(event, dict)
        assert (parsed.trade.price, parsed.inexact) == (float(event["p"]), ())
        found.setdefault(parsed.trade.symbol, []).append(parsed.trade)
    assert sum(map(len, found.values())) == 91
    for trades in found.values():
        ids = [trade.trade_id for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids))), "the venue's ids go up by one"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"e": "trade"}, "not_trade"),
        ({"s": "BTC USDT"}, "bad_symbol"),
        ({"a": "1"}, "bad_number"),
        ({"a": -1}, "bad_number"),
        ({"a": True}, "bad_number"),
        ({"a": 2**63}, "bad_number"),
        ({"p": "0"}, "bad_price"),
        ({"p": 1.5}, "bad_number"),
        ({"p": "-1"}, "bad_price"),
        ({"q": "0.0"}, "bad_volume"),
        ({"q": None}, "bad_number"),
        ({"T": 1626992741}, "bad_time"),
        ({"T": 1626992741421000}, "bad_time"),
        ({"T": 1626992801422}, "future_time"),
        ({"m": 0}, "bad_flag"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadData) as caught:
        trade_event(EVENT | change, latest_ms=1626992801421)
    assert caught.value.reason == reason


def test_more_digits_than_a_float_keeps_are_told() -> None:
    parsed = trade_row("X", EVENT | {"q": "123456789012345.67"})
    assert parsed.inexact == ("quantity",)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("easpqTm"), inner, max_size=7)
    ),
    max_leaves=8,
)


@given(_JSON)
def test_anything_gives_a_trade_or_bad_data(value: Any) -> None:
    for row_of in (None, "BTCUSDT"):
        try:
            trade_event(value) if row_of is None else trade_row(row_of, value)
        except BadData as error:
            assert error.reason
