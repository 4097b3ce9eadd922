"""Which markets and pools are compared at all."""

from __future__ import annotations

import pytest

from src.analysis.arbitrage.fit import check_fit, fee_note
from src.errors import BadData


@pytest.mark.parametrize(
    ("chain", "base", "market"),
    [
        ("ethereum", "WETH", "ETHUSDT"),
        ("ethereum", "weth", "ETHUSDC"),
        ("arbitrum", "WETH", "ETHUSDT"),
        ("bsc", "WBNB", "BNBUSDT"),
        ("polygon", "WMATIC", "POLUSDT"),
        ("chain_31337", "WBTC", "BTCUSDT"),
    ],
)
def test_a_pool_of_the_coin_that_pays_gas_is_compared_with_its_market(
    chain: str, base: str, market: str
) -> None:
    check_fit(chain, base, market)


@pytest.mark.parametrize(
    ("chain", "base", "market", "reason"),
    [
        ("ethereum", "WBTC", "BTCUSDT", "gas_coin"),
        ("ethereum", "USDC", "ETHUSDT", "gas_coin"),
        ("bsc", "WETH", "ETHUSDT", "gas_coin"),
        ("ethereum", "WETH", "BTCUSDT", "market"),
        ("ethereum", "WETH", "ETHFIUSDT", "market"),
        ("polygon", "WPOL", "POLYXUSDT", "market"),
    ],
)
def test_what_would_be_wrong_numbers_is_refused(chain: str, base: str, market: str, reason: str) -> None:
    with pytest.raises(BadData) as raised:
        check_fit(chain, base, market)
    assert raised.value.reason == reason


def test_another_fee_than_the_pools_is_told() -> None:
    assert fee_note(0.0005, 500) is None
    assert "the pool takes 0.003" in str(fee_note(0.0005, 3_000))
