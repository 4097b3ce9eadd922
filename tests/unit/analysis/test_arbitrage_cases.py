"""What was decided about the screen (docs/adr/0046), case by case."""

from __future__ import annotations

from math import inf, isclose, nan

import numpy as np
import pytest
from pydantic import ValidationError

from src.analysis.arbitrage.dtypes import PRICED, SWAP
from src.analysis.arbitrage.screen import Tally, screened
from src.analysis.arbitrage.terms import Strategy
from src.errors import BadData
from tests.naive_arbitrage import Opportunity, Priced, Swap

SECOND = 1000


def _swap(second: int, price: float = 2000.0, *, gas: float = 100_000.0, liquid: bool = True) -> Swap:
    return (second * SECOND, 100 + second, 7, price, 10e9, gas, liquid)


def _found(
    trades: list[Priced], swaps: list[Swap], strategy: Strategy, tally: Tally | None = None
) -> list[Opportunity]:
    pieces = screened(
        [np.array(trades, PRICED)], [np.array(swaps, SWAP)], strategy, Tally() if tally is None else tally
    )
    return [row.item() for piece in pieces for row in piece]


ANY = Strategy(profit_threshold=-1e9)


def test_both_directions_by_hand() -> None:
    """10,000 USDT, a swap at 2,050 against 2,000 on the CEX; gas of 100,000 at 10 gwei is 0.001 ETH, 2.05 USDT."""
    found = _found([(2_500, 1_990.0, 1.0), (3_000, 2_010.0, 3.0)], [_swap(10, 2_050.0)], ANY)
    buy_cex, buy_dex = found
    assert (buy_cex[3], buy_dex[3]) == (0, 1)
    assert buy_cex[4:6] == buy_dex[4:6] == (2_000.0, 2_050.0)
    assert isclose(buy_cex[6], 4.995) and isclose(buy_cex[7], 4.995 * 2_050 * 0.9995 - 10_000 - 2.05)
    assert isclose(buy_dex[6], 9_995 / 2_050)
    assert isclose(buy_dex[7], 9_995 / 2_050 * 2_000 * 0.999 - 10_000 - 2.05)
    assert isclose(buy_cex[9], 2.05) and buy_cex[8] == 100_000
    assert isclose(buy_cex[10], 20 / 1_990) and buy_cex[11:] == (4.0, 2)


@pytest.mark.parametrize(
    ("ts", "inside"), [(1_999, False), (2_000, True), (6_999, True), (7_000, False), (9_999, False)]
)
def test_the_window_ends_before_the_delay_begins(ts: int, *, inside: bool) -> None:
    """A swap at 10 s, delay 3 s, window 5 s: [2 s, 7 s)."""
    tally = Tally()
    assert bool(_found([(ts, 2_000.0, 1.0)], [_swap(10)], ANY, tally)) is inside
    assert tally.outcomes["no_trades_in_window"] == (not inside)


def test_the_mean_is_of_trades_and_not_of_what_they_moved() -> None:
    found = _found([(2_000, 1_000.0, 1_000.0), (2_000, 2_000.0, 0.001)], [_swap(10)], ANY)
    assert found[0][4] == 1_500.0


def test_the_price_before_an_empty_window_is_not_carried_on() -> None:
    tally = Tally()
    assert _found([(1_000, 2_000.0, 1.0), (9_000, 2_000.0, 1.0)], [_swap(10)], ANY, tally) == []
    assert tally.outcomes["no_trades_in_window"] == 1


def test_all_swaps_of_one_block_have_one_window() -> None:
    swaps = [_swap(10), (10_000, 110, 9, 2_100.0, 10e9, 100_000.0, True), _swap(11)]
    found = _found([(2_500, 2_000.0, 1.0), (7_500, 3_000.0, 1.0)], swaps, ANY)
    assert [row[4] for row in found] == [2_000.0] * 4 + [3_000.0] * 2


@pytest.mark.parametrize(
    ("estimate", "used", "ignored"), [(0, 100_000, False), (20_999, 100_000, True), (21_000, 21_000, False)]
)
def test_an_estimate_of_gas_counts_from_21000_on(estimate: int, used: int, *, ignored: bool) -> None:
    strategy = ANY.model_copy(update={"estimated_gas_used": estimate})
    found = _found([(2_500, 2_000.0, 1.0)], [_swap(10)], strategy)
    assert {row[8] for row in found} == {float(used)}
    assert (strategy.gas_ignored is not None) is ignored
    if ignored:
        assert "20999 is ignored" in str(strategy.gas_ignored)


def test_a_swap_without_gas_needs_an_estimate() -> None:
    tally = Tally()
    assert _found([(2_500, 2_000.0, 1.0)], [_swap(10, gas=nan)], ANY, tally) == []
    assert tally.outcomes["no_gas"] == 1
    estimated = ANY.model_copy(update={"estimated_gas_used": 150_000})
    assert len(_found([(2_500, 2_000.0, 1.0)], [_swap(10, gas=nan)], estimated)) == 2


def test_a_pool_without_liquidity_has_no_price_to_trade_at() -> None:
    """A swap that took the last liquidity leaves the price at the end of the scale: it would look like a fortune."""
    tally = Tally()
    assert _found([(2_500, 2_000.0, 1.0)], [_swap(10, 1e38, liquid=False)], ANY, tally) == []
    assert tally.outcomes["no_liquidity"] == 1


@pytest.mark.parametrize("price", [0.0, inf, nan, -1.0])
def test_a_price_that_no_float_can_hold_is_counted(price: float) -> None:
    tally = Tally()
    assert _found([(2_500, 2_000.0, 1.0)], [_swap(10, price)], ANY, tally) == []
    assert tally.outcomes["no_price"] == 1


def test_a_profit_at_the_threshold_is_not_above_it() -> None:
    free = Strategy(
        binance_fee_rate=0, uniswap_fee_rate=0, initial_investment=1_000, profit_threshold=0, window_seconds=5
    )
    level = _found([(2_500, 2_000.0, 1.0)], [_swap(10, 2_000.0, gas=0.0)], free)
    assert level == []
    better = _found([(2_500, 2_000.0, 1.0)], [_swap(10, 2_000.5, gas=0.0)], free)
    assert [row[3] for row in better] == [0]


def test_a_flat_window_has_no_volatility_whatever_came_before() -> None:
    trades = [(n * 100, 1_000.0 + 7.3 * n, 0.1) for n in range(60)] + [
        (6_000 + n, 2_000.0, 0.1) for n in range(5)
    ]
    found = _found(trades, [_swap(10), _swap(11), _swap(14)], ANY)
    assert found[-1][10] == 0.0 and found[-1][12] == 5
    assert found[0][10] > 0.0


def test_a_trade_stamped_too_early_counts_at_the_time_of_the_one_before_it() -> None:
    tally = Tally()
    found = _found([(7_000, 3_000.0, 1.0), (6_900, 2_000.0, 1.0)], [_swap(10), _swap(12)], ANY, tally)
    assert [row[4] for row in found] == [2_500.0, 2_500.0]
    assert (tally.backward_trades, tally.outcomes["no_trades_in_window"]) == (1, 1)


@pytest.mark.parametrize(
    ("trades", "reason"),
    [
        ([(2_000, nan, 1.0)], "arbitrage_value"),
        ([(2_000, 0.0, 1.0)], "arbitrage_value"),
        ([(2_000, inf, 1.0)], "arbitrage_value"),
        ([(2_000, 1.0, nan)], "arbitrage_value"),
        ([(2_000, 1.0, -1.0)], "arbitrage_value"),
        ([(70_000, 1.0, 1.0), (9_999, 1.0, 1.0)], "arbitrage_backward"),
    ],
)
def test_what_cannot_be_is_named(trades: list[Priced], reason: str) -> None:
    with pytest.raises(BadData, match=f"trade at {trades[-1][0]}") as caught:
        _found(trades, [_swap(10)], ANY)
    assert caught.value.reason == reason


def test_swaps_out_of_order_are_named() -> None:
    with pytest.raises(BadData, match="swap 7 of block 110 is earlier"):
        _found([(2_000, 1.0, 1.0)], [_swap(12), _swap(10)], ANY)


@pytest.mark.parametrize(
    "wrong",
    [
        {"window_seconds": 0},
        {"window_seconds": 3601},
        {"time_delay_seconds": -1},
        {"initial_investment": 0},
        {"profit_threshold": nan},
        {"binance_fee_rate": 1},
        {"uniswap_fee": 0.1},
    ],
)
def test_a_strategy_that_cannot_work_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Strategy.model_validate(wrong)
