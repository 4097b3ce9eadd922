"""The cheapest requests: nothing missed, nothing needless, and no way is cheaper."""

from __future__ import annotations

import itertools
from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st

from src.collectors.backfill.cheapest import WHOLE_DAY_WEIGHT, cheapest, weight, worth_a_file
from src.collectors.repair.ranges import MAX_MINUTES, Request
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


_DAY = 1440


@given(_spans, st.sets(st.integers(0, 2)))
def test_no_choice_of_files_costs_less(spans: list[tuple[int, int]], published: set[int]) -> None:
    """Against every choice there is, each with the least that the minutes left cost over REST."""
    gaps = _gaps(spans)
    wanted = _minutes(gaps)

    def of(days: Collection[int]) -> set[int]:
        return {minute for minute in wanted if (minute - EPOCH_MS) // (_DAY * MINUTE_MS) in days}

    offers = {
        Gap("BTCUSDT", min(of([day])), max(of([day])) + MINUTE_MS, "offer"): day
        for day in sorted(published)
        if of([day])
    }
    choices = itertools.chain.from_iterable(
        itertools.combinations(offers.values(), number) for number in range(len(offers) + 1)
    )
    price = {days: WHOLE_DAY_WEIGHT * len(days) + _least_weight(wanted - of(days)) for days in choices}
    taken = worth_a_file(gaps, offers.keys())
    assert price[tuple(sorted(offers[offer] for offer in taken))] == min(price.values())


def test_a_day_that_costs_as_much_as_its_file_is_read_from_it_unless_that_brings_a_neighbour_too() -> None:
    starts = [(start, 1) for start in (0, 150, 300, 500, 650, 800, 1000, 1150, 1300)]
    day = Gap("BTCUSDT", EPOCH_MS, EPOCH_MS + 1301 * MINUTE_MS, "offer")
    assert sum(_weight(request) for request in cheapest(_gaps(starts))) == WHOLE_DAY_WEIGHT
    assert worth_a_file(_gaps(starts), [day]) == {day}
    assert worth_a_file(_gaps(starts[3:]), [day]) == set()
    after_midnight = (_DAY + 50, 1)
    assert worth_a_file(_gaps([*starts, after_midnight]), [day]) == set()
    assert worth_a_file(_gaps([*starts, (_DAY + 60, 1)]), [day]) == {day}
    assert worth_a_file(_gaps(starts), [day, Gap("ETHUSDT", day.from_ms, day.to_ms, "offer")]) == {day}


def _weight(request: Request) -> int:
    return weight((request.to_ms - request.from_ms) // MINUTE_MS)
