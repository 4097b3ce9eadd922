"""Levels by hand: what a person would say of these bars."""

from __future__ import annotations

import pytest

from src.analysis.levels.known import history, levels_at
from src.analysis.levels.scores import best
from src.analysis.levels.terms import Level, Side
from tests.naive_levels import Bar
from tests.unit.analysis.level_strategies import HOUR_MS, START_MS, records

SPAN_MS = 2000 * HOUR_MS


def bars(*closes: float, volume: float = 1.0) -> list[Bar]:
    """Bars without wicks, an hour each."""
    return [
        (START_MS + place * HOUR_MS, START_MS + (place + 1) * HOUR_MS, close, close, close, volume)
        for place, close in enumerate(closes)
    ]


def supports(rows: list[Bar]) -> list[Level]:
    return [level for level in levels_at(records(rows), SPAN_MS) if level.side is Side.SUPPORT]


def valley(bottom: float, width: int = 6, slope: float = 1.0) -> list[float]:
    """Down to ``bottom`` and up again, ``width`` bars each way."""
    down = [bottom + slope * step for step in range(width, 0, -1)]
    return [*down, bottom, *reversed(down)]


def test_a_low_counts_when_its_window_has_passed_and_not_before() -> None:
    closes = valley(100)
    assert supports(bars(*closes[:11])) == []
    (level,) = supports(bars(*closes[:12]))
    assert level.price == 100
    assert level.founded_ms == START_MS + 6 * HOUR_MS
    assert level.formed_ms == START_MS + 12 * HOUR_MS
    assert [touch.windows for touch in level.touches] == [1]


def test_a_low_of_a_wider_window_counts_for_more_once_that_has_passed() -> None:
    closes = valley(100, width=30)
    strengths = [
        [level.strength for level in levels if level.side is Side.SUPPORT]
        for _, levels in history(records(bars(*closes)), SPAN_MS, 0)
    ]
    assert strengths == [*[[]] * 35, *[[1]] * 5, *[[2]] * 10, *[[3]] * 10, [4]]


def test_equal_neighbours_are_one_pivot_whose_window_begins_behind_the_last() -> None:
    closes = [106, 105, 104, 103, 102, 101, *[100] * 4, 101, 102, 103, 104]
    assert supports(bars(*closes)) == []
    (level,) = supports(bars(*closes, 105))
    assert [touch.pivot_ms for touch in level.touches] == [START_MS + 6 * HOUR_MS]
    assert level.formed_ms == START_MS + 15 * HOUR_MS


def test_of_two_equal_lows_in_one_window_the_first_counts() -> None:
    closes = [106, 105, 104, 103, 102, 100, 101, 100, 101, 102, 103, 104, 105]
    (level,) = supports(bars(*closes))
    assert [touch.pivot_ms for touch in level.touches] == [START_MS + 5 * HOUR_MS]


def test_a_shelf_on_the_way_down_is_no_low() -> None:
    assert supports(bars(106, 105, 104, 103, 102, 101, *[100] * 9, 99, 98, 97, 96, 95, 94)) == []


def test_prices_that_never_move_have_no_levels() -> None:
    assert levels_at(records(bars(*[100.0] * 80)), SPAN_MS) == []


def test_lows_within_half_a_percent_are_one_level_and_others_are_not() -> None:
    closes = [*valley(100), *valley(100.5), *valley(100.6), 107]
    first, second = supports(bars(*closes))
    assert [touch.price for touch in first.touches] == [100, 100.5]
    assert [touch.windows for touch in first.touches] == [1, 2]
    assert first.price == pytest.approx((100 + 2 * 100.5) / 3)
    assert [touch.price for touch in second.touches] == [100.6]


def test_coming_back_is_a_test_and_staying_there_is_not_another() -> None:
    closes = [*valley(100), 103, 100.4, 100.4, 100.2, 103, 104, 100.3, 104]
    (level,) = supports(bars(*closes))
    assert (level.state, level.tests) == ("tested", 2)
    assert level.tested_ms == START_MS + (closes.index(100.3) + 1) * HOUR_MS
    assert supports(bars(*valley(100), 103))[0].state == "formed"


def test_a_close_beyond_the_zone_breaks_a_level_and_a_wick_does_not() -> None:
    rows = bars(*valley(100), 103, 102)
    wick = (rows[-1][1], rows[-1][1] + HOUR_MS, 101.0, 90.0, 99.6, 1.0)
    assert [level.tests for level in supports([*rows, wick])] == [1]
    (level,) = supports([*rows, (*wick[:4], 99.4, 1.0)])
    assert (level.state, level.broken_ms, level.tests) == ("broken", wick[1], 0)


def test_a_broken_level_holds_again_once_the_price_has_turned_at_it_again() -> None:
    closes = [*valley(100), 103, 99, 97, 98, 103, 104, 105, 106, *valley(100.3)]
    broken, deeper = supports(bars(*closes[:-2]))
    assert [(level.price, level.state) for level in (broken, deeper)] == [(100, "broken"), (97, "formed")]
    held, _ = supports(bars(*closes))
    assert (held.founded_ms, held.state, held.tests) == (broken.founded_ms, "tested", 1)
    assert [touch.price for touch in held.touches] == [100, 100.3]


def test_what_lies_before_the_last_2000_periods_is_forgotten() -> None:
    rows = bars(*valley(100), *[104.0] * 2100)
    told = history(records(rows), SPAN_MS, 20)
    known = [(bar, any(level.side is Side.SUPPORT for level in levels)) for bar, levels in told]
    gone = next(bar for bar, there in known if not there)
    oldest_bar_of_its_window = START_MS + (6 - 5) * HOUR_MS
    assert rows[gone - 1][1] - 2000 * HOUR_MS == oldest_bar_of_its_window


def test_of_two_levels_the_nearer_is_better_unless_it_is_too_near() -> None:
    rows = bars(*valley(80), *valley(95), *valley(99.5), 100)
    chosen = best(levels_at(records(rows), SPAN_MS), records(rows), SPAN_MS)[Side.SUPPORT]
    assert {level.price: round(score.distance, 6) for level, score in chosen} == {95: 1.0, 80: 0.5, 99.5: 0.5}
    assert chosen[0][0].price == 95


def test_at_most_five_of_each_side() -> None:
    rows = bars(*[close for bottom in range(100, 121, 3) for close in valley(bottom)])
    levels = levels_at(records(rows), SPAN_MS)
    assert len([level for level in levels if level.side is Side.SUPPORT]) == 7
    chosen = best(levels, records(rows), SPAN_MS)
    assert [len(chosen[side]) for side in Side] == [5, 5]


def test_a_pivot_between_two_levels_joins_the_nearer() -> None:
    rows = bars(*valley(100), *valley(100.9), *valley(100.46), 107)
    assert [[touch.price for touch in level.touches] for level in supports(rows)] == [[100], [100.9, 100.46]]


def test_a_close_at_the_edge_of_the_zone_does_not_break() -> None:
    rows = bars(*valley(100), 103)
    edge = (rows[-1][1], rows[-1][1] + HOUR_MS, 101.0, 99.0, 99.5, 1.0)
    assert [level.price for level in supports([*rows, edge])] == [100]
