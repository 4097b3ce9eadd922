"""The cheapest requests: nothing missed, nothing needless, and no way is cheaper."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from src.collectors.backfill.cheapest import cheapest, weight
from src.collectors.ranges import MAX_MINUTES
from src.model import MINUTE_MS, Gap
from tests.support.fakes import EPOCH_MS

_spans = st.lists(st.tuples(st.integers(0, 2500), st.integers(1, 700)), min_size=1, max_size=12)


def _gaps(spans: list[tuple[int, int]], symbol: str = "BTCUSDT") -> list[Gap]:
    return [
        Gap(symbol, EPOCH_MS + start * MINUTE_MS, EPOCH_MS + (start + length) * MINUTE_MS, "test")
        for start, length in spans
    ]


def _minutes(gaps: list[Gap]) -> set[int]:
    return {minute for gap in gaps for minute in range(gap.from_ms, gap.to_ms, MINUTE_MS)}


def _least_weight(wanted: set[int]) -> int:
    """Tried minute by minute, from the last one back."""
    minutes = sorted(wanted)
    best = [0] * (len(minutes) + 1)
    for index in range(len(minutes) - 1, -1, -1):
        ways = []
        for reach, cost in ((99, 1), (499, 2)):
            then = index
            while then < len(minutes) and minutes[then] < minutes[index] + reach * MINUTE_MS:
                then += 1
            ways.append(cost + best[then])
        best[index] = min(ways)
    return best[0]


@given(_spans)
def test_every_missing_minute_is_asked_once_at_the_least_weight(spans: list[tuple[int, int]]) -> None:
    gaps = _gaps(spans)
    requests = cheapest(gaps)
    asked = [minute for request in requests for minute in request.minutes()]
    assert asked == sorted(_minutes(gaps))
    spent = sum(weight((request.to_ms - request.from_ms) // MINUTE_MS) for request in requests)
    assert spent == _least_weight(_minutes(gaps))


@given(_spans)
def test_requests_begin_and_end_with_a_missing_minute_and_fit_one_answer(
    spans: list[tuple[int, int]],
) -> None:
    gaps = _gaps(spans)
    wanted = _minutes(gaps)
    requests = cheapest(gaps)
    for request in requests:
        assert {request.from_ms, request.to_ms - MINUTE_MS} <= wanted
        assert 0 < request.to_ms - request.from_ms <= MAX_MINUTES * MINUTE_MS
    for before, after in itertools.pairwise(requests):
        assert before.to_ms <= after.from_ms


@given(_spans)
def test_other_symbols_change_nothing(spans: list[tuple[int, int]]) -> None:
    alone = cheapest(_gaps(spans))
    together = cheapest([*_gaps(spans, "ETHUSDT"), *_gaps(spans)])
    assert together[: len(alone)] == alone
    assert {request.symbol for request in together[len(alone) :]} == {"ETHUSDT"}


def test_two_holes_that_cost_the_same_together_are_asked_apart() -> None:
    assert [
        (request.to_ms - request.from_ms) // MINUTE_MS for request in cheapest(_gaps([(0, 1), (300, 1)]))
    ] == [1, 1]


def test_a_long_gap_takes_the_most_rows_for_the_weight() -> None:
    lengths = [(request.to_ms - request.from_ms) // MINUTE_MS for request in cheapest(_gaps([(0, 1440)]))]
    assert sorted(lengths, reverse=True) == [499, 499, 442]


def test_years_are_planned_without_trying_every_way() -> None:
    assert len(cheapest(_gaps([(0, 500_000)]))) == -(-500_000 // MAX_MINUTES)
    assert cheapest([]) == []
