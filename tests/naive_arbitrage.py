"""The naive twin of the screen: for each swap all trades are looked at, so that it is obviously right, and slow.

Rows are plain tuples in the order of the dtypes of ``src.analysis.arbitrage.dtypes``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

from src.analysis.arbitrage.terms import Strategy

Priced = tuple[int, float, float]  # ts, price, quantity
Swap = tuple[int, int, int, float, float, float, bool]  # ts, block, log, price, gas price, gas used, liquid
Opportunity = tuple[int, int, int, int, float, float, float, float, float, float, float, float, int]


def opportunities(
    trades: Sequence[Priced], swaps: Sequence[Swap], strategy: Strategy
) -> tuple[list[Opportunity], Counter[str]]:
    """What the screen finds, and what became of each swap."""
    found: list[Opportunity] = []
    outcomes: Counter[str] = Counter()
    timed = never_back(trades)
    for swap in swaps:
        end = swap[0] - round(strategy.time_delay_seconds * 1000)
        start = end - round(strategy.window_seconds * 1000)
        window = [(price, quantity) for ts, price, quantity in timed if start <= ts < end]
        gas = float(strategy.estimated_gas_used if strategy.estimated_gas_used >= 21_000 else swap[5])
        outcome = _outcome(swap, window, gas)
        outcomes[outcome] += 1
        if outcome == "screened":
            found += _both_ways(swap, window, gas, strategy)
    return found, outcomes


def never_back(trades: Sequence[Priced]) -> list[Priced]:
    """A trade that is earlier than one before it happens at that one's time."""
    times = accumulate((ts for ts, _, _ in trades), max)
    return [(ts, price, quantity) for ts, (_, price, quantity) in zip(times, trades, strict=True)]


def _outcome(swap: Swap, window: list[tuple[float, float]], gas: float) -> str:
    _, _, _, price, gas_price, _, liquid = swap
    if not liquid:
        return "no_liquidity"
    if math.isnan(price) or math.isinf(price) or price <= 0:
        return "no_price"
    if not window:
        return "no_trades_in_window"
    if math.isnan(gas) or math.isnan(gas_price):
        return "no_gas"
    return "screened"


def _both_ways(
    swap: Swap, window: list[tuple[float, float]], gas_used: float, strategy: Strategy
) -> list[Opportunity]:
    ts, block, log, p_dex, gas_price, _, _ = swap
    invested, fb, fu = strategy.initial_investment, strategy.binance_fee_rate, strategy.uniswap_fee_rate
    prices = [price for price, _ in window]
    p_cex = math.fsum(prices) / len(prices)
    moves = [(after - before) / before for before, after in pairwise(prices)]
    volatility = math.sqrt(math.fsum(move * move for move in moves))
    volume = math.fsum(quantity for _, quantity in window)
    gas = gas_used * gas_price / 1e18 * p_dex

    eth = invested * (1 - fb) / p_cex
    buy_cex = (0, eth, eth * p_dex * (1 - fu) - invested - gas)
    eth = invested * (1 - fu) / p_dex
    buy_dex = (1, eth, eth * p_cex * (1 - fb) - invested - gas)
    return [
        (ts, block, log, direction, p_cex, p_dex, eth, profit, gas_used, gas, volatility, volume, len(window))
        for direction, eth, profit in (buy_cex, buy_dex)
        if profit > strategy.profit_threshold
    ]


def exact_mean(prices: Sequence[float]) -> float:
    """By fractions: the sum rounded once, then divided."""
    return float(sum(map(Fraction, prices), Fraction(0))) / len(prices)


def same(found: Sequence[Opportunity], others: Sequence[Opportunity]) -> bool:
    """All equal to the bit but the volatility: there the sum of squares may differ in what a float cannot show."""
    volatility = 10
    return len(found) == len(others) and all(
        math.isclose(mine, yours, rel_tol=1e-12) if place == volatility else mine == yours
        for one, other in zip(found, others, strict=True)
        for place, (mine, yours) in enumerate(zip(one, other, strict=True))
    )
