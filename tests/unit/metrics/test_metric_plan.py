"""What is asked for, in what order, and when a series is left alone."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from src.collectors.metrics.plan import (
    MOST_ROWS,
    SETTLE_MS,
    Breaker,
    Known,
    in_order,
    lacking,
    newest_due,
    next_due,
)
from src.model import FIVE_MINUTES_MS
from src.ports.metrics import MetricSeries

NOW_MS = 1_800_000_000_000


@given(st.integers(NOW_MS, NOW_MS + FIVE_MINUTES_MS), st.integers(0, 3 * MOST_ROWS))
def test_what_is_asked_is_what_is_lacking_and_no_more(now_ms: int, missing: int) -> None:
    due_ms = newest_due(now_ms)
    known = Known(ends={series: due_ms for series in MetricSeries})
    known.ends[MetricSeries.TAKER] = due_ms - missing * FIVE_MINUTES_MS
    asked = lacking(known, now_ms)
    if missing:
        rows = min(missing, MOST_ROWS)
        assert asked == {MetricSeries.TAKER: (due_ms - rows * FIVE_MINUTES_MS, due_ms)}
    else:
        assert asked == {}


@given(st.integers(NOW_MS, NOW_MS + 2 * FIVE_MINUTES_MS))
def test_a_row_is_due_some_seconds_after_its_period_and_the_next_one_later(now_ms: int) -> None:
    assert newest_due(now_ms) % FIVE_MINUTES_MS == 0
    assert newest_due(now_ms) + SETTLE_MS <= now_ms < next_due(now_ms)
    assert newest_due(next_due(now_ms)) == newest_due(now_ms) + FIVE_MINUTES_MS


def test_a_new_symbol_is_asked_for_all_that_a_request_can_bring() -> None:
    due_ms = newest_due(NOW_MS)
    whole = (due_ms - MOST_ROWS * FIVE_MINUTES_MS, due_ms)
    assert lacking(Known(), NOW_MS) == dict.fromkeys(MetricSeries, whole)


def test_a_row_of_the_future_is_not_lacking() -> None:
    ahead = Known(ends={series: NOW_MS + FIVE_MINUTES_MS for series in MetricSeries})
    assert lacking(ahead, NOW_MS) == {}


def test_the_largest_first_and_new_ones_last() -> None:
    known = {"A": Known(value=Decimal(1)), "B": Known(value=Decimal(3)), "C": Known(value=Decimal(3))}
    assert in_order(["C", "NEW", "B", "A"], known) == ["B", "C", "A", "NEW"]


def test_a_breaker_rests_after_three_failures_longer_each_time_and_forgets_when_answered() -> None:
    breaker, now = Breaker(), 0.0
    rests = []
    for _ in range(7):
        while not breaker.is_open(now):
            breaker.failed(now)
        start = now
        while breaker.is_open(now):
            now += 1.0
        rests.append(now - start)
    assert rests == [60.0, 120.0, 240.0, 480.0, 600.0, 600.0, 600.0]
    breaker.answered()
    breaker.failed(now)
    breaker.failed(now)
    assert not breaker.is_open(now)


def test_failures_under_way_when_the_rest_began_count_once() -> None:
    breaker = Breaker()
    for _ in range(20):
        breaker.failed(0.0)
    assert breaker.is_open(59.0)
    assert not breaker.is_open(60.0)
