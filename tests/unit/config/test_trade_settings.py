"""Settings of trades: symbols by name, and nothing to do without any."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from src.config import Settings
from src.wiring.roles import TRADES, everything


def make(**values: Any) -> Settings:
    return Settings(**values)


@pytest.mark.parametrize("name", ["trade_symbols", "spot_trade_symbols"])
def test_symbols_of_either_market_make_it_part_of_all(name: str) -> None:
    settings = make(**{name: "btcusdt, 币安人生USDT"})
    assert getattr(settings, name) == ("BTCUSDT", "币安人生USDT")
    assert TRADES in everything(settings)


@pytest.mark.parametrize("value", ["BTC*", "BTC?SDT", "[AB]USDT", "BTC USDT"])
def test_symbols_are_named_and_not_matched(value: str) -> None:
    with pytest.raises(ValidationError, match="trade_symbols"):
        make(trade_symbols=value)


def test_how_far_back_is_bounded() -> None:
    assert make(trades_from="2026-01-01").trades_from == "2026-01-01"
    with pytest.raises(ValidationError, match="trades_from"):
        make(trades_from="listing")


def test_at_another_speed_spot_must_be_the_sandbox_too_where_it_is_asked() -> None:
    loopback = {
        name: "http://127.0.0.1:1"
        for name in (
            "binance_rest_url",
            "binance_archive_url",
            "binance_archive_list_url",
            "binance_alpha_url",
        )
    }
    given = {**loopback, "binance_ws_url": "ws://127.0.0.1:1/market", "speed": 10}
    assert make(**given).conflicts() == []
    ((fields, text),) = make(**given, spot_trade_symbols="ETHUSDT").conflicts()
    assert "binance_spot_rest_url" in fields
    assert "BINANCE_SPOT_REST_URL" in text
