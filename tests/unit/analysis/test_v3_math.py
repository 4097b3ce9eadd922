"""Swap math against real swaps, to the last unit, and against fractions of Python integers."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor, log
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.analysis.arbitrage.v3_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    Q96,
    Filled,
    PoolState,
    sqrt_ratio_at_tick,
    swap_to,
    swap_within_range,
)

_FEE = 3_000
_SPACING = 60


def _swaps(folder: Path) -> list[dict[str, int]]:
    with (folder / "uniswap" / "WETH-ENS-0x92560C17_swap_events.csv").open() as lines:
        names = ("amount0", "amount1", "amount_specified", "sqrt_price_x96", "liquidity", "tick")
        return [{name: int(row[name]) for name in names} for row in csv.DictReader(lines)]


def _given_exactly(folder: Path) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """(the swap before, the swap) of those that state what is given, and whose liquidity did not change on the way."""
    for before, swap in pairwise(_swaps(folder)):
        if swap["amount_specified"] > 0 and before["liquidity"] == swap["liquidity"]:
            yield before, swap


def test_real_swaps_to_the_last_unit(market_data: Path) -> None:
    """Price after, taken and given of every recorded swap that stayed where the liquidity is the same."""
    compared = 0
    for before, swap in _given_exactly(market_data):
        sell_token0 = swap["amount0"] > 0
        target = MIN_SQRT_RATIO + 1 if sell_token0 else MAX_SQRT_RATIO - 1
        done = swap_to(before["sqrt_price_x96"], target, before["liquidity"], swap["amount_specified"], _FEE)
        amounts = (swap["amount0"], swap["amount1"])
        taken, got = amounts if sell_token0 else amounts[::-1]
        assert done == Filled(taken, -got, swap["sqrt_price_x96"], whole=True)
        compared += 1
    assert compared == 48


def test_real_swaps_leave_the_range_of_one_tick_spacing(market_data: Path) -> None:
    """They moved the price by hundreds of ticks: within the range that is known for sure they are filled in part."""
    for before, swap in _given_exactly(market_data):
        pool = PoolState(before["sqrt_price_x96"], before["liquidity"], before["tick"], _FEE, _SPACING)
        sell_token0 = swap["amount0"] > 0
        done = swap_within_range(pool, swap["amount_specified"], sell_token0=sell_token0)
        inside = before["tick"] // _SPACING == swap["tick"] // _SPACING
        assert done.whole is inside
        assert 0 <= done.amount_in <= swap["amount_specified"]


def test_real_ticks_hold_their_price(market_data: Path) -> None:
    for swap in _swaps(market_data):
        assert (
            sqrt_ratio_at_tick(swap["tick"]) <= swap["sqrt_price_x96"] < sqrt_ratio_at_tick(swap["tick"] + 1)
        )


def test_the_ends_of_the_scale_are_the_contract_s() -> None:
    assert sqrt_ratio_at_tick(-MAX_TICK) == MIN_SQRT_RATIO
    assert sqrt_ratio_at_tick(MAX_TICK) == MAX_SQRT_RATIO
    assert sqrt_ratio_at_tick(0) == Q96
    with pytest.raises(ValueError, match="887273"):
        sqrt_ratio_at_tick(MAX_TICK + 1)


@given(tick=st.integers(-MAX_TICK, MAX_TICK - 1))
def test_ratios_rise_with_the_tick(tick: int) -> None:
    ratio = sqrt_ratio_at_tick(tick)
    assert ratio < sqrt_ratio_at_tick(tick + 1)
    assert log(Fraction(ratio, Q96)) == pytest.approx(tick / 2 * log(1.0001), rel=1e-9, abs=1e-9)


_liquidity = st.integers(1, 2**112)
_amounts = st.integers(0, 2**100)
_ALL = 10**12
_shares = st.integers(1, _ALL - 1)
"""Of what the range takes, in parts of ``_ALL``: an amount out of the blue mostly leaves it."""
_fees = st.sampled_from([0, 100, 500, 3_000, 10_000, 999_999])


@st.composite
def _pools(draw: st.DrawFn) -> PoolState:
    tick = draw(st.integers(-400_000, 400_000))
    low, high = sqrt_ratio_at_tick(tick), sqrt_ratio_at_tick(tick + 1)
    price = draw(st.integers(low, high - 1))
    return PoolState(price, draw(_liquidity), tick, draw(_fees), draw(st.sampled_from([1, 10, 60, 200])))


def _edges(pool: PoolState) -> tuple[int, int]:
    lower = pool.tick // pool.tick_spacing * pool.tick_spacing
    return sqrt_ratio_at_tick(lower), sqrt_ratio_at_tick(lower + pool.tick_spacing)


def _room(pool: PoolState, *, sell_token0: bool) -> int:
    """What the pool takes up to the edge of its range."""
    return swap_within_range(pool, 2**255, sell_token0=sell_token0).amount_in


def _exact_root(pool: PoolState, amount: Fraction, *, sell_token0: bool) -> Fraction:
    """The root of the price after ``amount`` (fee taken off) was given, without rounding."""
    root, liquidity = Fraction(pool.sqrt_price_x96, Q96), pool.liquidity
    return 1 / (1 / root + amount / liquidity) if sell_token0 else root + amount / liquidity


@given(pool=_pools(), share=_shares, sell_token0=st.booleans())
def test_a_whole_fill_is_the_exact_one_rounded_in_the_pool_s_favour(
    pool: PoolState, share: int, *, sell_token0: bool
) -> None:
    amount = max(1, _room(pool, sell_token0=sell_token0) * share // _ALL)
    done = swap_within_range(pool, amount, sell_token0=sell_token0)
    if not done.whole or done.sqrt_price_x96 in _edges(pool):
        return  # a range that holds next to nothing
    after_fee = Fraction(floor(amount * Fraction(1_000_000 - pool.fee, 1_000_000)))
    exact = _exact_root(pool, after_fee, sell_token0=sell_token0) * Q96
    assert done.amount_in == amount
    assert done.sqrt_price_x96 == (ceil(exact) if sell_token0 else floor(exact))
    before, after = Fraction(pool.sqrt_price_x96, Q96), Fraction(done.sqrt_price_x96, Q96)
    given_out = pool.liquidity * (before - after if sell_token0 else 1 / before - 1 / after)
    # token0 is divided twice, and cut off at each
    assert floor(given_out) - (not sell_token0) <= done.amount_out <= given_out


@given(pool=_pools(), amount=_amounts, sell_token0=st.booleans())
def test_a_fill_never_leaves_the_range(pool: PoolState, amount: int, *, sell_token0: bool) -> None:
    done = swap_within_range(pool, amount, sell_token0=sell_token0)
    low, high = _edges(pool)
    assert low <= done.sqrt_price_x96 <= high
    assert 0 <= done.amount_in <= amount
    assert done.whole is (done.amount_in == amount)
    moved = pool.sqrt_price_x96 - done.sqrt_price_x96
    assert moved >= 0 if sell_token0 else moved <= 0


@given(pool=_pools(), shares=st.tuples(_shares, _shares), sell_token0=st.booleans())
def test_two_swaps_give_no_more_than_one(
    pool: PoolState, shares: tuple[int, int], *, sell_token0: bool
) -> None:
    room = _room(pool, sell_token0=sell_token0)
    amounts = [max(1, room * share // (2 * _ALL)) for share in shares]
    whole = swap_within_range(pool, sum(amounts), sell_token0=sell_token0)
    first = swap_within_range(pool, amounts[0], sell_token0=sell_token0)
    if not whole.whole or not first.whole:
        return  # a range that holds next to nothing
    between = PoolState(first.sqrt_price_x96, pool.liquidity, pool.tick, pool.fee, pool.tick_spacing)
    second = swap_within_range(between, amounts[1], sell_token0=sell_token0)
    # Each swap's fee is cut off in the pool's favour, its remainder may move the price a unit less.
    assert first.amount_out + second.amount_out <= whole.amount_out + 1


def test_a_pool_without_liquidity_fills_nothing() -> None:
    pool = PoolState(Q96, 0, 0, 500, 10)
    assert swap_within_range(pool, 5, sell_token0=True) == Filled(0, 0, Q96, whole=False)


def test_at_the_edge_of_its_range_a_pool_fills_one_way_only() -> None:
    pool = PoolState(sqrt_ratio_at_tick(60), 10**24, 60, 3_000, 60)
    assert swap_within_range(pool, 10**12, sell_token0=True) == Filled(0, 0, pool.sqrt_price_x96, whole=False)
    assert swap_within_range(pool, 10**12, sell_token0=False).whole


def test_where_256_bits_do_not_hold_the_product() -> None:
    """The pool then divides before it multiplies; the price still moves no further than it may."""
    price, liquidity, amount = MAX_SQRT_RATIO - 1, 2**110, 2**100
    done = swap_to(price, MIN_SQRT_RATIO + 1, liquidity, amount, 0)
    exact = Fraction(liquidity * Q96) / (Fraction(liquidity * Q96, price) + amount)
    assert done.whole and exact <= done.sqrt_price_x96 <= exact * Fraction(1_000_001, 1_000_000)
