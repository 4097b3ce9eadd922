"""What is still to be read of a range of blocks, how wide to ask, and which swaps follow one another."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.collectors.uniswap.continuity import doubtful, follows
from src.collectors.uniswap.ranges import Width, missing
from src.model import SwapRange
from tests.support.uniswap import real_swaps

RANGES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 9), st.integers(-1, 9)).map(
        lambda given: SwapRange(
            given[0],
            given[0] + given[1],
            0,
            0,
            None if given[2] < 0 else min(given[0] + given[2], given[0] + given[1]),
            None if given[2] < 0 else 0,
        )
    ),
    max_size=6,
)


@given(st.integers(0, 60), st.integers(0, 30), RANGES)
def test_missing_is_what_a_set_of_blocks_would_lack(first: int, more: int, stored: list[SwapRange]) -> None:
    wanted = set(range(first, first + more + 1))
    for one in stored:
        if one.final_block is not None:
            wanted -= set(range(one.from_block, one.final_block + 1))
    found = missing(first, first + more, stored)
    assert [number for start, end in found for number in range(start, end + 1)] == sorted(wanted)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(found))


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_a_limit_is_found_by_halving_and_not_met_again(limit: int, widest: int) -> None:
    width, refusals = Width(widest, full=100), 0
    for _ in range(200):
        asked = width.blocks
        if asked > limit:
            refusals += 1
            assert width.refused(asked)
        else:
            width.answered(asked, 0)
    assert width.blocks <= limit
    assert width.blocks * 2 + 1 >= min(limit, widest)
    assert refusals == sum(widest >> step > limit for step in range(15))


def test_a_careful_beginning_widens_while_answers_are_short() -> None:
    width = Width(10_000, full=100, first=500)
    widths = []
    for _ in range(10):
        widths.append(width.blocks)
        width.answered(width.blocks, 20)
    assert widths[:3] == [500, 750, 1125]
    assert widths[-1] == 10_000


def test_many_answers_narrow_and_the_narrowest_cannot_be_refused_away() -> None:
    width = Width(1000, full=100)
    width.answered(1000, 101)
    assert width.blocks == 500
    width.answered(500, 60)
    assert width.blocks == 500
    assert not width.refused(1)


def test_real_swaps_follow_one_another_and_none_follows_where_one_is_missing(market_data: Path) -> None:
    swaps = [swap for _, swap in real_swaps(market_data)]
    assert sum(follows(before, after) for before, after in pairwise(swaps)) == 56
    assert not any(follows(before, after) for before, after in zip(swaps, swaps[2:], strict=False))


def test_stretches_of_doubt_hold_every_swap_that_is_missing(market_data: Path) -> None:
    swaps = [swap for _, swap in real_swaps(market_data)]
    for gone in range(1, len(swaps) - 1):
        stretches = doubtful(None, [*swaps[:gone], *swaps[gone + 1 :]])
        assert any(first <= swaps[gone].block_number <= last for first, last in stretches)
        assert all(left[1] < right[0] for left, right in pairwise(stretches))


def test_the_swap_before_the_first_counts_when_it_is_known(market_data: Path) -> None:
    swaps = [swap for _, swap in real_swaps(market_data)]
    assert doubtful(swaps[0], []) == []
    assert doubtful(swaps[0], swaps[2:3]) == [(swaps[0].block_number, swaps[2].block_number)]
    assert doubtful(None, swaps[:1]) == []


@pytest.mark.parametrize("liquidity", [0, 1])
def test_without_liquidity_nothing_is_proved(market_data: Path, liquidity: int) -> None:
    swaps = [swap for _, swap in real_swaps(market_data)]
    assert not follows(swaps[0], replace(swaps[1], liquidity=liquidity))
