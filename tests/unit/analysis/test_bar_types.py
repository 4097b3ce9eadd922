"""Sizes, saved states, and where bars lie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.analysis.bars.dtypes import (
    BAR,
    CANDLE,
    STATE,
    TRADE,
    Recipe,
    new_state,
    records,
    restored,
    state_bytes,
)
from src.analysis.bars.ranges import bar_range, bar_start, divides, touched_ranges
from src.errors import BadData

MINUTE_MS = 60_000
DAY_MS = 86_400_000


@pytest.mark.parametrize("dtype", [TRADE, CANDLE, BAR, STATE])
def test_every_field_of_a_record_is_aligned_and_little_endian(dtype: np.dtype[np.void]) -> None:
    assert dtype.itemsize % 8 == 0
    assert dtype.fields is not None
    assert all(field[1] % 8 == 0 for field in dtype.fields.values())
    assert dtype == dtype.newbyteorder("<")


@pytest.mark.parametrize(
    ("recipe", "size", "part_ms"),
    [
        (Recipe.TICK, 0, MINUTE_MS),
        (Recipe.TICK, 2.5, MINUTE_MS),
        (Recipe.VOLUME, -1.0, MINUTE_MS),
        (Recipe.VOLUME, float("nan"), MINUTE_MS),
        (Recipe.DOLLAR, float("inf"), MINUTE_MS),
        (Recipe.TIME_OF_TRADES, 0.5, MINUTE_MS),
        (Recipe.TIME_OF_CANDLES, 90_000, MINUTE_MS),
        (Recipe.TIME_OF_CANDLES, 30_000, MINUTE_MS),
        (Recipe.TIME_OF_CANDLES, 60_000, 30_000),
        (Recipe.TIME_OF_CANDLES, 720_000, 300_000),
        (Recipe.TIME_OF_CANDLES, 7 * DAY_MS * 3, 3 * DAY_MS),
        (Recipe.TIME_OF_CANDLES, 300_000, 0),
    ],
)
def test_a_size_that_cannot_work_is_refused(recipe: Recipe, size: float, part_ms: int) -> None:
    with pytest.raises(BadData) as raised:
        new_state(recipe, size, part_ms=part_ms)
    assert raised.value.reason == "bar_size"


def test_a_saved_state_is_for_the_same_bars_only() -> None:
    saved = state_bytes(new_state(Recipe.VOLUME, 5.0))
    assert state_bytes(restored(saved, Recipe.VOLUME, 5.0)) == saved
    restored(saved, Recipe.VOLUME, 5.0)["size"] = 6.0
    for recipe, size, text in (
        (Recipe.VOLUME, 6.0, "has size 5.0, wanted is 6.0"),
        (Recipe.DOLLAR, 5.0, "has recipe"),
    ):
        with pytest.raises(BadData, match=text):
            restored(saved, recipe, size)
    with pytest.raises(BadData, match=f"has {STATE.itemsize} bytes, not {STATE.itemsize - 1}"):
        restored(saved[:-1], Recipe.VOLUME, 5.0)
    newer = np.frombuffer(saved, STATE).copy()
    newer["version"] += 1
    with pytest.raises(BadData, match="has version 2, wanted is 1"):
        restored(state_bytes(newer), Recipe.VOLUME, 5.0)


def test_a_column_that_is_not_named_is_unknown() -> None:
    made = records(CANDLE, open_ts=np.array([60_000]), volume=np.array([2.0]))
    assert (made["open_ts"][0], made["volume"][0], made["trade_count"][0]) == (60_000, 2.0, -1)
    assert np.isnan(made["quote_volume"][0])
    with pytest.raises(TypeError, match="no such columns: volumes"):
        records(CANDLE, open_ts=np.array([0]), volumes=np.array([1.0]))


def test_the_word_in_the_table() -> None:
    assert [recipe.kind for recipe in Recipe] == ["time", "time", "tick", "volume", "dollar"]


@given(
    ms=st.integers(-(10**13), 10**13),
    size=st.sampled_from([1_000, MINUTE_MS, 240 * MINUTE_MS, DAY_MS, 3 * DAY_MS, 7 * DAY_MS, 14 * DAY_MS]),
    part=st.sampled_from([1_000, MINUTE_MS, 60 * MINUTE_MS, DAY_MS, 3 * DAY_MS, 7 * DAY_MS]),
)
def test_a_size_divides_another_if_no_small_bar_crosses_a_large_one(ms: int, size: int, part: int) -> None:
    opened, closed = bar_range(ms, size)
    assert opened <= ms < closed == opened + size
    if divides(part, size):
        assert bar_start(opened, part) == opened
        assert bar_start(closed, part) == closed
    elif size % part == 0:
        assert bar_start(opened, part) != opened


@given(
    minutes=st.lists(st.integers(0, 3000).map(lambda minute: minute * MINUTE_MS), max_size=20),
    size=st.sampled_from([MINUTE_MS, 7 * MINUTE_MS, DAY_MS]),
    cuts=st.lists(st.integers(0, 3000).map(lambda minute: minute * MINUTE_MS), max_size=3, unique=True).map(
        sorted
    ),
)
def test_touched_ranges_are_the_bars_of_the_minutes_and_no_more(
    minutes: list[int], size: int, cuts: list[int]
) -> None:
    ranges = touched_ranges(minutes, size, cuts)
    assert all(a < b < c < d for (a, b), (c, d) in pairwise(ranges))
    found = {at for opened, closed in ranges for at in range(opened, closed, MINUTE_MS)}
    wanted = {at for minute in minutes for at in range(*bar_range(minute, size, cuts), MINUTE_MS)}
    assert found == wanted
