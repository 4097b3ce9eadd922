"""Each kernel against its naive twin, and that it does not matter into which pieces the rows were cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.analysis.bars.advance import advance
from src.analysis.bars.dtypes import (
    BAR,
    CANDLE,
    TRADE,
    Recipe,
    Records,
    as_candles,
    new_state,
    restored,
    state_bytes,
)
from src.analysis.bars.ranges import touched_ranges
from tests import naive
from tests.naive import Bar, same
from tests.unit.analysis import strategies as rows_of
from tests.unit.analysis.strategies import MINUTE_MS, CandleStory, Story

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS
TIME_SIZES = [1_000, MINUTE_MS, 5 * MINUTE_MS, DAY_MS, WEEK_MS]
CANDLE_SIZES = [MINUTE_MS, 5 * MINUTE_MS, 7 * MINUTE_MS, DAY_MS, WEEK_MS]
THRESHOLDS = [
    (Recipe.TICK, 1.0),
    (Recipe.TICK, 7.0),
    (Recipe.VOLUME, 0.5),
    (Recipe.VOLUME, 1_500.0),
    (Recipe.DOLLAR, 1_000_000.0),
]
# The first call compiles.
patient = settings(deadline=None)


def _records(dtype: np.dtype[np.void], rows: Sequence[tuple[float, ...]]) -> Records:
    return np.array(rows, dtype)


def _tuples(bars: Records) -> list[Bar]:
    assert bars.dtype == BAR
    return [bar.item() for bar in bars]


def _twin(recipe: Recipe, story: Story, size: float, until_ms: int | None) -> list[Bar]:
    if recipe is Recipe.TIME_OF_TRADES:
        return naive.time_bars_of_trades(story.rows, int(size), story.cuts, until_ms)
    return naive.threshold_bars(story.rows, naive.MEASURES[recipe.name], size, story.cuts)


@st.composite
def _recipes(draw: st.DrawFn) -> tuple[Recipe, float]:
    timed = st.sampled_from(TIME_SIZES).map(lambda size: (Recipe.TIME_OF_TRADES, float(size)))
    return draw(st.one_of(timed, st.sampled_from(THRESHOLDS)))


@patient
@given(story=rows_of.trades(), made=_recipes(), ahead=st.sampled_from([None, 0, MINUTE_MS, WEEK_MS]))
def test_bars_of_trades_are_those_of_the_twin(
    story: Story, made: tuple[Recipe, float], ahead: int | None
) -> None:
    until = None if ahead is None or not story.rows else max(row[0] for row in story.rows) + ahead
    bars, _ = advance(new_state(*made), _records(TRADE, story.rows), cuts=story.cuts, until_ms=until)
    assert same(_tuples(bars), _twin(made[0], story, made[1], until))


@patient
@given(
    story=rows_of.candles(),
    size=st.sampled_from(CANDLE_SIZES),
    ahead=st.sampled_from([None, MINUTE_MS, WEEK_MS]),
)
def test_bars_of_candles_are_those_of_the_twin(story: CandleStory, size: int, ahead: int | None) -> None:
    until = None if ahead is None or not story.rows else story.rows[-1][0] + ahead
    state = new_state(Recipe.TIME_OF_CANDLES, size)
    bars, _ = advance(state, _records(CANDLE, story.rows), cuts=story.cuts, until_ms=until)
    assert same(_tuples(bars), naive.time_bars_of_candles(story.rows, size, story.cuts, until))


def _in_pieces(
    make: Callable[[], Records],
    load: Callable[[bytes], Records],
    rows: Records,
    places: Sequence[int],
    cuts: Sequence[int],
    promised: Callable[[int], int] | None = None,
) -> tuple[bytes, bytes]:
    """Bars and state as bytes after pieces that end at ``places``; the state is saved and restored after each.

    ``promised(row)``: nothing earlier will come from that row on, said before it comes.
    """
    state, found = make(), []
    ends = [*places, len(rows)]
    for begin, end in zip([0, *places], ends, strict=True):
        until = promised(end) if promised and end < len(rows) else None
        bars, state = advance(state, rows[begin:end], cuts=cuts, until_ms=until)
        found.append(bars.tobytes())
        state = load(state_bytes(state))
    last = promised(len(rows)) if promised else None
    bars, state = advance(state, rows[:0], cuts=cuts, until_ms=last)
    return b"".join([*found, bars.tobytes()]), state_bytes(state)


@patient
@given(data=st.data(), story=rows_of.trades(), made=_recipes(), live=st.booleans())
def test_pieces_of_trades_do_not_matter(
    data: st.DataObject, story: Story, made: tuple[Recipe, float], live: bool
) -> None:
    times = [max(row[0] for row in story.rows[: index + 1]) for index in range(len(story.rows))]
    times.append((times[-1] if times else 0) + 1)
    places = data.draw(rows_of.pieces(len(story.rows)))
    rows = _records(TRADE, story.rows)
    promised = times.__getitem__ if live else None
    found = [
        _in_pieces(
            lambda: new_state(*made), lambda saved: restored(saved, *made), rows, cut, story.cuts, promised
        )
        for cut in ([], places, range(len(rows)))
    ]
    assert found[0] == found[1] == found[2]


@patient
@given(data=st.data(), story=rows_of.candles(), size=st.sampled_from(CANDLE_SIZES), live=st.booleans())
def test_pieces_of_candles_do_not_matter(
    data: st.DataObject, story: CandleStory, size: int, live: bool
) -> None:
    made = (Recipe.TIME_OF_CANDLES, size)
    times = [row[0] for row in story.rows]
    times.append((times[-1] if times else 0) + MINUTE_MS)
    places = data.draw(rows_of.pieces(len(story.rows)))
    rows = _records(CANDLE, story.rows)
    promised = times.__getitem__ if live else None
    found = [
        _in_pieces(
            lambda: new_state(*made), lambda saved: restored(saved, *made), rows, cut, story.cuts, promised
        )
        for cut in ([], places, range(len(rows)))
    ]
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("recipe", "size"),
    [
        (Recipe.TIME_OF_TRADES, 60_000.0),
        (Recipe.TICK, 13.0),
        (Recipe.VOLUME, 7.5),
        (Recipe.DOLLAR, 900.0),
    ],
)
def test_a_day_in_a_thousand_pieces_is_a_day_in_one(recipe: Recipe, size: float) -> None:
    chance = np.random.default_rng(7)
    rows = np.empty(5_000, TRADE)
    rows["ts"] = np.sort(chance.integers(0, DAY_MS, len(rows)))
    rows["trade_id"] = np.arange(len(rows))
    rows["price"] = 100 + np.cumsum(chance.normal(0, 0.01, len(rows)))
    rows["quantity"] = chance.exponential(1, len(rows))
    rows["is_buyer_maker"] = chance.random(len(rows)) < 0.5
    whole, end = advance(new_state(recipe, size), rows)
    assert len(whole) > 300
    places = sorted(int(place) for place in chance.integers(0, len(rows), 999))
    found = _in_pieces(
        lambda: new_state(recipe, size), lambda saved: restored(saved, recipe, size), rows, places, ()
    )
    assert found == (whole.tobytes(), state_bytes(end))


@patient
@given(story=rows_of.trades(), minutes=rows_of.candles(), made=_recipes(), room=st.sampled_from([2, 3, 5]))
def test_more_bars_than_a_kernel_has_room_for(
    story: Story, minutes: CandleStory, made: tuple[Recipe, float], room: int
) -> None:
    trades, candles = _records(TRADE, story.rows), _records(CANDLE, minutes.rows)
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for _ in range(2):
            bars, state = advance(new_state(*made), trades, cuts=story.cuts)
            other, last = advance(new_state(Recipe.TIME_OF_CANDLES, MINUTE_MS), candles, cuts=minutes.cuts)
            found.append([part.tobytes() for part in (bars, state, other, last)])
            patch.setattr("src.analysis.bars.advance._ROOM", room)
    assert found[0] == found[1]


@patient
@given(story=rows_of.candles(), data=st.data(), size=st.sampled_from(CANDLE_SIZES))
def test_a_touched_minute_makes_just_its_bars_again(
    story: CandleStory, data: st.DataObject, size: int
) -> None:
    if not story.rows:
        return
    end = story.rows[-1][0] + 2 * WEEK_MS
    made = (Recipe.TIME_OF_CANDLES, size)
    rows = _records(CANDLE, story.rows)
    before, _ = advance(new_state(*made), rows, cuts=story.cuts, until_ms=end)
    touched = data.draw(st.lists(st.integers(0, len(rows) - 1), min_size=1, max_size=4))
    rows["volume"][touched] += 1.5
    rows["high"][touched] += 2.0
    after, _ = advance(new_state(*made), rows, cuts=story.cuts, until_ms=end)

    ranges = touched_ranges(rows["open_ts"][touched].tolist(), size, story.cuts)
    kept = [bar.tobytes() for bar in before if not any(a <= bar["open_ts"] < b for a, b in ranges)]
    again = []
    for opened, closed in ranges:
        inside = rows[(rows["open_ts"] >= opened) & (rows["open_ts"] < closed)]
        bars, _ = advance(new_state(*made), inside, cuts=story.cuts, until_ms=closed)
        assert all(opened <= bar["open_ts"] and bar["close_ts"] <= closed for bar in bars)
        again += [bar.tobytes() for bar in bars]
    assert sorted(kept + again) == sorted(bar.tobytes() for bar in after)
    assert set(kept) <= {bar.tobytes() for bar in after}


@patient
@given(story=rows_of.trades(whole=True), sizes=st.sampled_from([(1, 5), (5, 15), (5, 1440), (1440, 10080)]))
def test_larger_bars_come_from_trades_or_from_smaller_bars(story: Story, sizes: tuple[int, int]) -> None:
    """Whole numbers, so that the order in which they are added cannot show."""
    part, size = (count * MINUTE_MS for count in sizes)
    rows = _records(TRADE, story.rows)
    end = story.rows[-1][0] + 9 * WEEK_MS if story.rows else 0
    small, _ = advance(new_state(Recipe.TIME_OF_TRADES, part), rows, cuts=story.cuts, until_ms=end)
    large, _ = advance(new_state(Recipe.TIME_OF_TRADES, size), rows, cuts=story.cuts, until_ms=end)
    rolled, _ = advance(
        new_state(Recipe.TIME_OF_CANDLES, size, part_ms=part),
        as_candles(small),
        cuts=story.cuts,
        until_ms=end,
    )
    assert rolled.tobytes() == large.tobytes()
