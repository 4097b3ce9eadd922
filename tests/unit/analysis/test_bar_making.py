"""Bars of many symbols at once, of ranges that changed: those that the naive twin makes of everything."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from src.analysis.bars.dtypes import BAR
from src.analysis.bars.making import PLACED, Work, kept_bars
from src.analysis.bars.ranges import KEPT_MS, covered_ranges, joined
from tests import naive

from .strategies import MINUTE_MS, START_MS, CandleStory, candles

_ranges = st.lists(
    st.tuples(st.integers(0, 4000), st.integers(-5, 1500)).map(
        lambda drawn: (
            START_MS // MINUTE_MS * MINUTE_MS + drawn[0] * MINUTE_MS,
            START_MS // MINUTE_MS * MINUTE_MS + (drawn[0] + drawn[1]) * MINUTE_MS,
        )
    ),
    max_size=5,
)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(candles(), _ranges, st.integers(0, 5000)), min_size=1, max_size=3), st.randoms())
def test_what_ranges_touch_and_nothing_else(
    stories: list[tuple[CandleStory, list[tuple[int, int]], int]], chance: object
) -> None:
    works, rows, expected = [], [], []
    for place, (story, ranges, minute) in enumerate(stories):
        until = START_MS // MINUTE_MS * MINUTE_MS + minute * MINUTE_MS
        work = Work("X", tuple(ranges), until, tuple(story.cuts))
        works.append(work)
        read = work.minutes()
        rows += [(place, *row) for row in story.rows if any(start <= row[0] < end for start, end in read)]
        for size in KEPT_MS:
            expected += [
                (place, size, bar)
                for bar in naive.time_bars_of_candles(story.rows, size, story.cuts, 2**62)
                if bar[1] <= until
                and any(start < bar[1] and bar[0] < end for start, end in ranges if start < end)
            ]
    chance.shuffle(rows)  # type: ignore[attr-defined]
    made = kept_bars(works, np.array(rows, PLACED))
    assert [(int(row["place"]), int(row["size"])) for row in made] == [key[:2] for key in expected]
    assert naive.same(
        [tuple(row[name].item() for name in BAR.names or ()) for row in made],
        [bar for *_, bar in expected],
    )


def test_missing_minutes_are_those_without_a_candle() -> None:
    """A day of which the first minute is there, and one more."""
    start = START_MS // 86_400_000 * 86_400_000
    rows = [(0, start, 1, 1, 1, 1, 0, 0, 0, 0), (0, start + 600_000, 1, 1, 1, 1, 0, 0, 0, 0)]
    made = kept_bars([Work("X", ((start, start + 86_400_000),), start + 86_400_000)], np.array(rows, PLACED))
    assert [(row["size"], row["missing_minutes"]) for row in made] == [
        (300_000, 4),
        (300_000, 4),
        (900_000, 13),
        (3_600_000, 58),
        (14_400_000, 238),
        (86_400_000, 1438),
    ]


@given(_ranges, st.sampled_from([*KEPT_MS, 420_000, 604_800_000]), st.lists(st.integers(0, 4000), max_size=2))
def test_covered_ranges_are_those_of_every_minute(
    ranges: list[tuple[int, int]], size: int, places: list[int]
) -> None:
    cuts = sorted({START_MS // MINUTE_MS * MINUTE_MS + place * MINUTE_MS for place in places})
    minutes = [minute for start, end in ranges for minute in range(start, end, MINUTE_MS)]
    found = covered_ranges(ranges, size, cuts)
    assert found == joined(
        pair for minute in minutes for pair in covered_ranges([(minute, minute + 1)], size, cuts)
    )
    assert all(before[1] < after[0] for before, after in pairwise(found))
