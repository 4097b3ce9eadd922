"""The ``execution`` mode: what became of an opportunity, by hand and as identities."""

from __future__ import annotations

from math import isclose, isnan, log, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.analysis.arbitrage.execution import Fill, Tokens, attempted
from src.analysis.arbitrage.terms import BUY_CEX, BUY_DEX, Strategy
from src.analysis.arbitrage.v3_math import Q96, PoolState

USDC_WETH = Tokens(base=1, decimals0=6, decimals1=18)
WETH_USDT = Tokens(base=0, decimals0=18, decimals1=6)
STRATEGY = Strategy(mode="execution", initial_investment=10_000, half_spread_rate=0.0001)


def _fill(price: float, tokens: Tokens, liquidity: float = 1e25, base_fee: int | None = 10**10) -> Fill:
    """A pool at ``price`` of a whole base token, in the middle of a range of 20 %."""
    ratio = price * tokens.quote_unit / tokens.base_unit
    root = sqrt(ratio if tokens.base == 0 else 1 / ratio)
    tick = round(2 * log(root) / log(1.0001))
    spacing = next(size for size in range(2_000, 4_000) if 800 < tick % size < size - 800)
    return Fill(100, 12_000, base_fee, PoolState(int(Q96 * root), int(liquidity), tick, 500, spacing))


@pytest.mark.parametrize("tokens", [USDC_WETH, WETH_USDT], ids=["usdc_weth", "weth_usdt"])
def test_both_directions_by_hand_in_both_orders_of_tokens(tokens: Tokens) -> None:
    """A deep pool at 2,050 with a fee of 0.05 %, the CEX at 2,000; 150,000 gas at 10 gwei are 3 USDT."""
    fill = _fill(2_050.0, tokens)
    buy_cex = attempted(BUY_CEX, 150_000, fill, 2_000.0, 2_010.0, tokens, STRATEGY)
    base = 10_000 * 0.999 / 2_000.2
    assert buy_cex.status == "filled" and isclose(buy_cex.gas_cost, 3.0)
    assert isclose(buy_cex.base_amount, base)
    assert isclose(buy_cex.dex_price, 2_050 * 0.9995, rel_tol=1e-6)
    assert isclose(buy_cex.profit, base * 2_050 * 0.9995 - 10_003, rel_tol=1e-5)
    buy_dex = attempted(BUY_DEX, 150_000, fill, 2_000.0, 2_010.0, tokens, STRATEGY)
    base = 10_000 * 0.9995 / 2_050
    assert isclose(buy_dex.base_amount, base, rel_tol=1e-6)
    assert isclose(buy_dex.cex_price, 1_999.8)
    assert isclose(buy_dex.profit, base * 1_999.8 * 0.999 - 10_003, rel_tol=1e-5)


@given(
    direction=st.sampled_from([BUY_CEX, BUY_DEX]),
    tokens=st.sampled_from([USDC_WETH, WETH_USDT]),
    price=st.floats(1_500, 2_500),
    mark=st.floats(1_500, 2_500),
    liquidity=st.floats(1e17, 1e23),
)
def test_the_two_markouts_are_the_profit_before_gas(
    direction: int, tokens: Tokens, price: float, mark: float, liquidity: float
) -> None:
    done = attempted(direction, 150_000, _fill(2_000, tokens, liquidity), price, mark, tokens, STRATEGY)
    if done.status == "filled":
        assert isclose(done.cex_markout + done.dex_markout, done.profit + done.gas_cost, abs_tol=1e-6)
    else:
        assert done.status == "beyond_range"


def test_what_would_leave_the_range_says_so_and_has_no_profit() -> None:
    shallow = _fill(2_050.0, WETH_USDT, liquidity=1e13)
    done = attempted(BUY_CEX, 150_000, shallow, 2_000.0, 2_000.0, WETH_USDT, STRATEGY)
    assert done.status == "beyond_range" and isnan(done.profit)


def test_a_large_order_gets_a_worse_price_than_the_pool_shows() -> None:
    fill = _fill(2_050.0, WETH_USDT, liquidity=1e19)
    small = attempted(BUY_CEX, 0, fill, 2_000.0, nan, WETH_USDT, STRATEGY)
    large = attempted(
        BUY_CEX, 0, fill, 2_000.0, nan, WETH_USDT, STRATEGY.model_copy(update={"initial_investment": 1e6})
    )
    assert (small.status, large.status) == ("filled", "filled")
    assert large.dex_price < small.dex_price < 2_050


@pytest.mark.parametrize(
    ("fill", "cex_price", "status"),
    [
        (None, 2_000.0, "no_block"),
        (_fill(2_000.0, WETH_USDT), nan, "no_cex_trade"),
        (_fill(2_000.0, WETH_USDT, base_fee=None), 2_000.0, "no_base_fee"),
        (_fill(2_000.0, WETH_USDT, liquidity=0), 2_000.0, "beyond_range"),
    ],
)
def test_what_was_not_filled_has_its_reason_and_no_figures(
    fill: Fill | None, cex_price: float, status: str
) -> None:
    done = attempted(BUY_DEX, 150_000, fill, cex_price, 2_000.0, WETH_USDT, STRATEGY)
    assert done.status == status and isnan(done.profit) and isnan(done.cex_markout)


def test_without_a_trade_to_value_it_by_it_is_filled_all_the_same() -> None:
    done = attempted(BUY_DEX, 0, _fill(2_000.0, WETH_USDT), 2_000.0, nan, WETH_USDT, STRATEGY)
    assert done.status == "filled" and not isnan(done.profit) and isnan(done.dex_markout)
