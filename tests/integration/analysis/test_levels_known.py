"""The promise of price_levels: what it says was known at a time is what a run made at that time says."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import naive_levels
from tests.integration.analysis.level_world import LevelWorld, level_world
from tests.naive_levels import Bar
from tests.unit.analysis import level_strategies as made
from tests.unit.analysis.level_strategies import HOUR_MS

_numbers = itertools.count()
against_the_database = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_LEAST = 8


@pytest.fixture
def world(database: str) -> Iterator[LevelWorld]:
    with level_world(database, least_bars=_LEAST) as world:
        yield world


@st.composite
def runs(draw: st.DrawFn, *, span: int | None = None) -> tuple[list[Bar], list[int], int, int]:
    """Bars, the closes at which runs are made, bars that the first one follows back, and how far each looks back."""
    rows = draw(made.bars(least=_LEAST, most=110, holes=False))
    at = sorted(draw(st.sets(st.integers(_LEAST - 1, len(rows) - 1), min_size=1, max_size=6)))
    spans = st.sampled_from([30, 60, 2000]) if span is None else st.just(span)
    return rows, [rows[place][1] for place in at], draw(st.sampled_from([0, 0, 20])), draw(spans)


@against_the_database
@given(story=runs())
def test_what_was_known_is_what_a_run_made_then_says(
    world: LevelWorld, story: tuple[list[Bar], list[int], int, int]
) -> None:
    rows, at, history, span = story
    symbol = f"S{next(_numbers)}USDT"
    world.market = replace(world.market, span_bars=span)
    world.listed(symbol, rows[0][0])
    world.traded(symbol, rows)
    for until_ms in at:
        world.run(symbol, until_ms=until_ms, history=history)
    ((known_from,),) = world.fetch(
        "SELECT (extract(epoch FROM known_from) * 1000)::bigint FROM analysis_results WHERE symbol = %s",
        symbol,
    )
    assert known_from <= at[-1]
    watched = [bar[1] for bar in rows if known_from <= bar[1] <= at[-1]]
    for close_ms in watched:
        told = naive_levels.levels([bar for bar in rows if bar[1] <= close_ms], span * HOUR_MS)
        assert world.known(symbol, close_ms) == told
        assert world.known(symbol, close_ms + HOUR_MS - 1) == told
    assert world.known(symbol, known_from - 1) == []


@settings(against_the_database, max_examples=12)
@given(story=runs())
def test_following_bar_by_bar_leaves_the_rows_that_one_late_run_leaves(
    world: LevelWorld, story: tuple[list[Bar], list[int], int, int]
) -> None:
    rows, at, _, _ = story
    first, last = at[0], at[-1]
    world.market = replace(world.market, span_bars=2000)
    left = []
    for times in (
        [first, last],
        [bar[1] for bar in rows if first <= bar[1] <= last],
        [first, last, last, last],
    ):
        symbol = f"S{next(_numbers)}USDT"
        world.listed(symbol, rows[0][0])
        world.traded(symbol, rows)
        for until_ms in times:
            world.run(symbol, until_ms=until_ms)
        left.append(
            world.fetch(
                "SELECT side, founded_ts, formed_ts, tested_ts, broken_ts, state, tests, price, pivot_ts, confirmed_ts,"
                " pivot_prices, pivot_windows, known_from, known_to = 'infinity',"
                " CASE WHEN known_to < 'infinity' THEN known_to END"
                " FROM price_levels WHERE symbol = %s ORDER BY side, founded_ts, known_from",
                symbol,
            )
        )
    assert left[0] == left[1] == left[2]


@against_the_database
@given(story=runs(span=2000), data=st.data())
def test_bars_that_are_mended_change_what_is_known_now_and_not_what_was(
    world: LevelWorld, story: tuple[list[Bar], list[int], int, int], data: st.DataObject
) -> None:
    rows, at, _, span = story
    symbol = f"S{next(_numbers)}USDT"
    world.market = replace(world.market, span_bars=span)
    world.listed(symbol, rows[0][0])
    world.traded(symbol, rows)
    for until_ms in at:
        world.run(symbol, until_ms=until_ms)
    before = {close_ms: world.known(symbol, close_ms) for close_ms in at[:-1]}

    place = data.draw(st.integers(0, len(rows) - 1))
    opened, closed, high, low, _, volume = rows[place]
    mended = (opened, closed, high * 1.02, low * 0.98, low * 0.99, volume)
    world.traded(symbol, [mended], made_to_ms=rows[-1][1])
    world.run(symbol, until_ms=at[-1])

    now = [mended if bar[0] == opened else bar for bar in rows if bar[1] <= at[-1]]
    assert world.known(symbol, at[-1]) == naive_levels.levels(now, span * HOUR_MS)
    assert {close_ms: world.known(symbol, close_ms) for close_ms in at[:-1]} == before
