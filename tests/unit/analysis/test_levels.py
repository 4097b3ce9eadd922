"""Levels against their naive twin, and that nothing which was known is ever unsaid by what came later."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.analysis.levels import pivots as level_pivots
from src.analysis.levels.known import history, levels_at, merged
from src.analysis.levels.scores import best
from src.analysis.levels.terms import Level, Side
from tests import naive_levels
from tests.naive_levels import Bar
from tests.unit.analysis import level_strategies as made
from tests.unit.analysis.level_strategies import HOUR_MS, plain, records

patient = settings(deadline=None)


spans = st.sampled_from([12, 40, 70, 2000]).map(lambda bars: bars * HOUR_MS)
SPAN_MS = 2000 * HOUR_MS


@patient
@given(rows=made.bars(), span=spans)
def test_levels_are_those_of_the_twin(rows: list[Bar], span: int) -> None:
    assert plain(levels_at(records(rows), span)) == naive_levels.levels(rows, span)


@patient
@given(data=st.data(), rows=made.bars(least=1), span=spans)
def test_what_was_known_at_a_bar_is_what_a_run_at_that_bar_says(
    data: st.DataObject, rows: list[Bar], span: int
) -> None:
    first = data.draw(st.integers(0, len(rows) - 1))
    told = dict(history(records(rows), span, first))
    known: list[Level] = []
    for bar in range(first, len(rows)):
        known = told.get(bar, known)
        assert plain(known) == naive_levels.levels(rows[: bar + 1], span)


@patient
@given(rows=made.bars(least=60), later=made.bars(least=1))
def test_later_bars_only_end_levels_or_add_to_them(rows: list[Bar], later: list[Bar]) -> None:
    shift = rows[-1][1] - later[0][0]
    longer = rows + [(bar[0] + shift, bar[1] + shift, *bar[2:]) for bar in later]
    before = {(level.side, level.founded_ms): level for level in levels_at(records(rows), SPAN_MS)}
    for level in levels_at(records(longer), SPAN_MS):
        old = before.get((level.side, level.founded_ms))
        if old is not None:
            assert level.touches[0].price == old.touches[0].price
            assert level.formed_ms == old.formed_ms


@patient
@given(data=st.data(), rows=made.bars(least=60))
def test_the_order_of_pivots_does_not_matter(data: st.DataObject, rows: list[Bar]) -> None:
    for found in level_pivots.pivots(records(rows), SPAN_MS).values():
        order = np.array(data.draw(st.permutations(range(len(found.first)))), np.int64)
        groups = [group.tolist() for group in merged(found.first, found.price)]
        shuffled = merged(found.first[order], found.price[order])
        assert [order[group].tolist() for group in shuffled] == groups


@patient
@given(rows=made.bars(least=60))
def test_within_a_level_all_are_near_and_founders_are_apart(rows: list[Bar]) -> None:
    for side in Side:
        levels = [level for level in levels_at(records(rows), SPAN_MS) if level.side is side]
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
    levels = levels_at(records(rows), span)
    chosen = best(levels, records(rows), span)
    for side in Side:
        scores = {
            level.founded_ms: naive_levels.score(plain([level])[0], rows, span)
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
