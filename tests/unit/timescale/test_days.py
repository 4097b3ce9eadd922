"""The arithmetic of ledger days against minute-by-minute twins."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.timescale.ledger.days import (
    SETTLED_MS,
    clipped,
    day_of,
    first_difference,
    joined,
    merged,
    pending_and_missing,
    rows_due,
    spans,
    start_of,
    step_of,
)
from src.model import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, CoverageDay, Dataset, Gap, Listing

DAY = date(2026, 11, 1)
START_MS = start_of(DAY)

edges = st.integers(-3 * 1440, 3 * 1440).map(lambda minute: START_MS + minute * MINUTE_MS)
pairs = st.tuples(edges, edges).filter(lambda pair: pair[0] < pair[1])
some_spans = st.lists(pairs, max_size=4).map(merged)


def minutes(items: object) -> set[int]:
    assert isinstance(items, (tuple, list))
    return {minute for start, to in items for minute in range(start, to, MINUTE_MS)}


@given(st.lists(pairs, max_size=5))
def test_merged_is_the_same_minutes_apart_from_each_other(items: list[tuple[int, int]]) -> None:
    found = merged(items)
    assert minutes(found) == minutes(items)
    assert all(before[1] < after[0] for before, after in pairwise(found))


@given(some_spans, pairs)
def test_clipped_is_the_common_minutes(items: tuple[tuple[int, int], ...], bounds: tuple[int, int]) -> None:
    assert minutes(clipped(items, *bounds)) == minutes(items) & minutes([bounds])


@given(some_spans, some_spans)
def test_the_first_difference_is_the_least_minute_of_one_alone(
    old: tuple[tuple[int, int], ...], new: tuple[tuple[int, int], ...]
) -> None:
    assert first_difference(old, new) == min(minutes(old) ^ minutes(new), default=None)


@given(
    st.lists(st.tuples(st.integers(-DAY_MS, DAY_MS), st.integers(1, DAY_MS)), max_size=3),
    st.integers(-DAY_MS, 2 * DAY_MS),
    st.sampled_from([Dataset.CANDLES, Dataset.METRICS]),
)
def test_due_are_the_whole_periods_of_the_listing_that_ended_five_minutes_ago(
    shapes: list[tuple[int, int]], now: int, dataset: Dataset
) -> None:
    step, now_ms = step_of(dataset), START_MS + now
    listings = [Listing("A", START_MS + start, START_MS + start + length) for start, length in shapes]
    found = spans(listings, step, START_MS + 3 * DAY_MS).get("A", ())
    periods = range(START_MS, START_MS + DAY_MS, step)
    whole = [
        start
        for start in periods
        if any(item.onboard_ms <= start and start + step <= item.end_ms for item in listings)
    ]
    ended = [start for start in whole if start + step <= now_ms - SETTLED_MS]
    assert rows_due(found, DAY, step, now_ms) == len(ended)


@given(st.integers(0, 1440), st.integers(0, 1440), st.integers(0, 9), st.integers(0, 9), st.integers(0, 1440))
def test_pending_and_missing_are_what_is_not_accounted_for(
    expected: int, have: int, absent: int, expired: int, due: int
) -> None:
    line = CoverageDay(Dataset.CANDLES, "A", DAY, expected, have, absent, expired)
    pending, missing = pending_and_missing(line, min(due, expected))
    assert pending + missing == line.unaccounted
    assert pending >= 0
    assert missing >= 0
    if due >= expected:
        assert pending == 0
    if have + absent + expired >= due:
        assert missing == 0


@pytest.mark.parametrize(
    ("have", "now_minutes", "answer"),
    [(0, 0, (1440, 0)), (0, 5, (1440, 0)), (0, 6, (1439, 1)), (95, 100, (1345, 0)), (94, 100, (1345, 1))],
)
def test_a_running_day(have: int, now_minutes: int, answer: tuple[int, int]) -> None:
    due = rows_due([(START_MS, START_MS + DAY_MS)], DAY, MINUTE_MS, START_MS + now_minutes * MINUTE_MS)
    assert pending_and_missing(CoverageDay(Dataset.CANDLES, "A", DAY, 1440, have), due) == answer


@given(st.lists(pairs, max_size=5))
def test_joined_gaps_are_the_same_minutes(items: list[tuple[int, int]]) -> None:
    found = joined(Gap("A", start, to, "missing") for start, to in items)
    assert [(gap.from_ms, gap.to_ms) for gap in found] == list(merged(items))


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.integers(0, DAY_MS - 1))
def test_a_day_and_its_instants(day: date, offset: int) -> None:
    assert day_of(start_of(day) + offset) == day
    assert day_of(start_of(day) - 1) == day - timedelta(days=1)


def test_periods_have_a_length_where_it_is_fixed() -> None:
    assert (step_of(Dataset.CANDLES), step_of(Dataset.METRICS)) == (MINUTE_MS, FIVE_MINUTES_MS)
    with pytest.raises(ValueError, match="expect"):
        step_of(Dataset.FUNDING)
