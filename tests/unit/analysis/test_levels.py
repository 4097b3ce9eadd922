"""Levels against their naive twin, and that nothing which was known is ever unsaid by what came later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.analysis import level_pivots, level_scores
from src.analysis.level_scores import best
from src.analysis.level_types import Level, Side
from src.analysis.levels import history, levels_at, merged
from tests import naive_levels
from tests.naive_levels import Bar, NaiveLevel
from tests.unit.analysis import level_strategies as made
from tests.unit.analysis.level_strategies import HOUR_MS, records

patient = settings(deadline=None)


def plain(levels: list[Level]) -> list[NaiveLevel]:
    return [
        NaiveLevel(
            level.side.value,
            tuple((t.pivot_ms, t.confirmed_ms, t.price, t.windows) for t in level.touches),
            level.price,
            level.tests,
            level.tested_ms,
        )
        for level in levels
    ]


@contextmanager
def looking_back(periods: int) -> Iterator[None]:
    """A shorter span, so that small examples have bars that are forgotten."""
    with (
        patch.object(level_pivots, "SPAN_BARS", periods),
        patch.object(level_scores, "SPAN_BARS", periods),
        patch.object(naive_levels, "SPAN", periods),
    ):
        yield


spans = st.sampled_from([12, 40, 70, 2000])


@patient
@given(rows=made.bars(), span=spans)
def test_levels_are_those_of_the_twin(rows: list[Bar], span: int) -> None:
    with looking_back(span):
        assert plain(levels_at(records(rows), HOUR_MS)) == naive_levels.levels(rows, HOUR_MS)


@patient
@given(data=st.data(), rows=made.bars(least=1), span=spans)
def test_what_was_known_at_a_bar_is_what_a_run_at_that_bar_says(
    data: st.DataObject, rows: list[Bar], span: int
) -> None:
    first = data.draw(st.integers(0, len(rows) - 1))
    with looking_back(span):
        told = dict(history(records(rows), HOUR_MS, first))
        known: list[Level] = []
        for bar in range(first, len(rows)):
            known = told.get(bar, known)
            assert plain(known) == naive_levels.levels(rows[: bar + 1], HOUR_MS)


@patient
@given(rows=made.bars(least=60), later=made.bars(least=1))
def test_later_bars_only_end_levels_or_add_to_them(rows: list[Bar], later: list[Bar]) -> None:
    shift = rows[-1][1] - later[0][0]
    longer = rows + [(bar[0] + shift, bar[1] + shift, *bar[2:]) for bar in later]
    before = {(level.side, level.founded_ms): level for level in levels_at(records(rows), HOUR_MS)}
    for level in levels_at(records(longer), HOUR_MS):
        old = before.get((level.side, level.founded_ms))
        if old is not None:
            assert level.touches[0].price == old.touches[0].price
            assert level.formed_ms == old.formed_ms
            assert level.tests >= old.tests


@patient
@given(data=st.data(), rows=made.bars(least=60))
def test_the_order_of_pivots_does_not_matter(data: st.DataObject, rows: list[Bar]) -> None:
    for side in Side:
        found = level_pivots.pivots(records(rows), side, HOUR_MS, 0)
        assert merged(data.draw(st.permutations(found))) == merged(found)


@patient
@given(rows=made.bars(least=60))
def test_within_a_level_all_are_near_and_founders_are_apart(rows: list[Bar]) -> None:
    for side in Side:
        levels = [level for level in levels_at(records(rows), HOUR_MS) if level.side is side]
        for level in levels:
            founder = level.touches[0].price
            assert all(abs(touch.price - founder) <= 0.005 * founder for touch in level.touches)
        founders = [level.touches[0] for level in levels]
        for place, founder_touch in enumerate(founders):
            for older in founders[:place]:
                assert abs(founder_touch.price - older.price) > 0.005 * older.price


@patient
@given(rows=made.bars(least=60), span=spans)
def test_the_best_are_those_with_the_largest_scores(rows: list[Bar], span: int) -> None:
    with looking_back(span):
        levels = levels_at(records(rows), HOUR_MS)
        chosen = best(levels, records(rows), HOUR_MS)
        for side in Side:
            scores = {
                level.founded_ms: naive_levels.score(plain([level])[0], rows, HOUR_MS)
                for level in levels
                if level.side is side
            }
            assert len(chosen[side]) == min(5, len(scores))
            for level, score in chosen[side]:
                assert score.total == pytest.approx(scores.pop(level.founded_ms))
                for part in (score.touches, score.volume, score.distance, score.right_side):
                    assert 0 <= part <= 1
            lowest = min((score.total for _, score in chosen[side]), default=0)
            assert all(left <= lowest + 1e-9 for left in scores.values())
