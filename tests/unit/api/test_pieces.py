"""Reading a piece of a series, range by range, equals taking it from the whole."""

from __future__ import annotations

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.api.market.answer import wants_arrow
from src.api.market.intervals import INTERVALS
from src.api.market.pieces import Asked, Found, Row, sweep

_STEP = 10


class Series:
    """Rows at some multiples of ``_STEP``, and how often it was looked into."""

    def __init__(self, times: list[int], *, forward: bool) -> None:
        self._times, self._forward = times, forward
        self.looks: list[tuple[int, int]] = []

    async def look(self, low: int, high: int, limit: int) -> Found | None:
        assert low < high
        self.looks.append((low, high))
        inside = self._times[bisect_left(self._times, low) : bisect_left(self._times, high)]
        some = inside[:limit] if self._forward else inside[-limit:]
        return Found(len(some), Row(some[0]), Row(some[-1]), ",".join(map(str, some))) if some else None


@given(
    times=st.sets(st.integers(0, 5_000), max_size=60).map(lambda found: sorted(ms * _STEP for ms in found)),
    start=st.none() | st.integers(-100, 60_000),
    end=st.none() | st.integers(-100, 60_000),
    limit=st.integers(1, 20),
)
async def test_pieces_one_after_the_other_are_the_whole(
    times: list[int], start: int | None, end: int | None, limit: int
) -> None:
    forward = start is not None
    expected = [ms for ms in times if (start is None or ms >= start) and (end is None or ms < end)]
    seen: list[int] = []
    after: Row | None = None
    while True:
        series = Series(times, forward=forward)
        asked = Asked(start, end, forward, after)
        piece = await sweep(series.look, asked, asked.bounds(0, 50_010), limit, (limit + 1) * _STEP)
        rows = [int(text) for text in piece.text.split(",") if text]
        assert rows == sorted(rows)
        assert len(rows) == piece.rows <= limit
        assert len(series.looks) <= 7
        seen = seen + rows if forward else rows + seen
        if piece.next is None:
            break
        word, ms, row_id = piece.next.split("-", 2)
        assert (word, int(row_id)) == ("newer" if forward else "older", 0)
        after = Row(int(ms))
        if piece.upto_ms is not None:
            assert max(rows) < piece.upto_ms
    assert seen == expected


@pytest.mark.parametrize(
    ("asked", "upto_ms"),
    [
        (Asked(None, None, False, None), None),
        (Asked(None, 100, False, None), 100),
        (Asked(0, None, True, None), None),
        (Asked(0, 100, True, None), 100),
        (Asked(None, None, False, Row(70)), 71),
        (Asked(None, 50, False, Row(40)), 41),
    ],
)
def test_what_comes_later_changes_an_open_range_alone(asked: Asked, upto_ms: int | None) -> None:
    assert asked.upto_ms == upto_ms


async def test_a_full_piece_ends_with_its_last_row() -> None:
    series = Series([0, 10, 20, 30], forward=True)
    piece = await sweep(series.look, Asked(0, None, True, None), (0, 1_000), 2, 30)
    assert (piece.text, piece.next, piece.upto_ms) == ("0,10", "newer-10-0", 11)


@given(st.sampled_from(list(INTERVALS.values())), st.integers(0, 2_000_000_000_000))
def test_a_bar_holds_its_moment(interval: object, ms: int) -> None:
    found = next(one for one in INTERVALS.values() if one is interval)
    low = found.floor(ms)
    assert low <= ms < low + found.length_ms
    assert found.floor(low) == low == found.ceiling(low)
    assert found.ceiling(ms) in (low, low + found.length_ms)
    assert found.length_ms % found.part_ms == 0 == low % found.part_ms


@pytest.mark.parametrize(
    ("accept", "is_arrow"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/vnd.apache.arrow.stream", True),
        ("Application/Vnd.Apache.Arrow.Stream; q=0.5", True),
        ("application/vnd.apache.arrow.stream;q=0", False),
        ("application/json, application/vnd.apache.arrow.stream;q=0.9", False),
        ("application/json;q=0.1, application/vnd.apache.arrow.stream", True),
        ("application/vnd.apache.arrow.stream;q=x", False),
    ],
)
def test_arrow_is_for_who_asks_for_it(accept: str, is_arrow: bool) -> None:
    assert wants_arrow(accept) is is_arrow
