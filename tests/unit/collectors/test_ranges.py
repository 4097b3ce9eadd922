from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.collectors.repair.ranges import MAX_MINUTES, clip, plan, subtract
from src.model import MINUTE_MS, Gap


def gap(symbol: str, start: int, to: int) -> Gap:
    return Gap(symbol, start * MINUTE_MS, to * MINUTE_MS, "missing")


def minutes(gaps: list[Gap]) -> list[tuple[str, int]]:
    return [(item.symbol, open_ms) for item in gaps for open_ms in range(item.from_ms, item.to_ms, MINUTE_MS)]


@st.composite
def disjoint_gaps(draw: st.DrawFn) -> list[Gap]:
    gaps = []
    for symbol in ("AUSDT", "BUSDT"):
        start = 0
        for distance, length in draw(
            st.lists(st.tuples(st.integers(1, 150), st.integers(1, 700)), max_size=6)
        ):
            gaps.append(gap(symbol, start + distance, start + distance + length))
            start += distance + length
    return gaps


@given(disjoint_gaps())
def test_a_plan_asks_for_every_missing_minute_exactly_once(gaps: list[Gap]) -> None:
    requests = plan(gaps)
    asked = [(request.symbol, open_ms) for request in requests for open_ms in request.minutes()]
    assert sorted(asked) == sorted(minutes(gaps))
    for request in requests:
        assert 0 < request.to_ms - request.from_ms <= MAX_MINUTES * MINUTE_MS
        assert all(request.from_ms <= start < to <= request.to_ms for start, to in request.wanted)
    assert [request.to_ms for request in requests] == sorted((r.to_ms for r in requests), reverse=True)


def test_near_gaps_share_a_cheap_request_and_long_ones_are_cut() -> None:
    cheap, long = plan([gap("AUSDT", 0, 2), gap("AUSDT", 40, 41)]), plan([gap("AUSDT", 0, 1440)])
    assert [(request.from_ms, request.to_ms) for request in cheap] == [(0, 41 * MINUTE_MS)]
    assert sorted((request.to_ms - request.from_ms) // MINUTE_MS for request in long) == [442, 499, 499]


@given(
    disjoint_gaps(), st.sets(st.tuples(st.sampled_from(["AUSDT", "BUSDT"]), st.integers(0, 900)), max_size=40)
)
def test_subtract_leaves_all_minutes_but_the_given_ones(
    gaps: list[Gap], numbers: set[tuple[str, int]]
) -> None:
    without = {(symbol, number * MINUTE_MS) for symbol, number in numbers}
    left = minutes(subtract(gaps, without))
    assert left == [key for key in minutes(gaps) if key not in without]


def test_clip_keeps_what_lies_inside_the_listings() -> None:
    windows = {"AUSDT": [(0, 5 * MINUTE_MS), (8 * MINUTE_MS, 20 * MINUTE_MS)]}
    clipped = clip([gap("AUSDT", 3, 10), gap("BUSDT", 0, 9)], windows)
    assert clipped == [gap("AUSDT", 3, 5), gap("AUSDT", 8, 10)]
