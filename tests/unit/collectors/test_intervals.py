from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from src.collectors.live.intervals import IntervalSet
from src.model import MINUTE_MS, Gap

_SPANS = st.lists(
    st.tuples(st.sampled_from(["AUSDT", "币安人生USDT"]), st.integers(0, 200), st.integers(1, 30)),
    max_size=60,
)


@given(_SPANS)
def test_covers_exactly_what_was_added(spans: list[tuple[str, int, int]]) -> None:
    intervals, naive = IntervalSet(), set[tuple[str, int]]()
    for symbol, start, length in spans:
        intervals.add(symbol, start * MINUTE_MS, (start + length) * MINUTE_MS)
        naive |= {(symbol, minute * MINUTE_MS) for minute in range(start, start + length)}
    gaps = intervals.gaps("full")
    covered = [(gap.symbol, minute) for gap in gaps for minute in range(gap.from_ms, gap.to_ms, MINUTE_MS)]
    assert sorted(covered) == sorted(naive)
    assert intervals.minutes == len(naive)
    assert len(intervals) == len(gaps)
    assert all((symbol, minute) in intervals for symbol, minute in naive)


@given(_SPANS, st.integers(1, 8))
def test_a_small_limit_makes_it_coarse_but_it_forgets_nothing(
    spans: list[tuple[str, int, int]], limit: int
) -> None:
    intervals, symbols = IntervalSet(limit), set[str]()
    for symbol, start, length in spans:
        intervals.add(symbol, start * MINUTE_MS, (start + length) * MINUTE_MS)
        symbols.add(symbol)
        assert len(intervals) <= max(limit, len(symbols))
        assert len(intervals) == len(intervals.gaps("full"))
    for symbol, start, length in spans:
        assert all((symbol, minute * MINUTE_MS) in intervals for minute in range(start, start + length))


def test_touching_minutes_become_one_gap_and_clear_empties() -> None:
    intervals = IntervalSet()
    intervals.add("AUSDT", 0)
    intervals.add("AUSDT", 2 * MINUTE_MS)
    intervals.add("AUSDT", MINUTE_MS)
    intervals.add_gap(Gap("BUSDT", 0, MINUTE_MS, "full"))
    assert intervals.gaps("full") == [
        Gap("AUSDT", 0, 3 * MINUTE_MS, "full"),
        Gap("BUSDT", 0, MINUTE_MS, "full"),
    ]
    assert ("AUSDT", 3 * MINUTE_MS) not in intervals
    intervals.clear()
    assert (len(intervals), intervals.gaps("full")) == (0, [])
