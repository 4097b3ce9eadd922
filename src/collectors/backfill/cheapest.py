"""The requests of least weight that cover given missing minutes, and the days whose file is cheaper; pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

from ...model import MINUTE_MS, Gap
from ..repair.ranges import MAX_MINUTES, Request

CHEAP_MINUTES = 99
"""Minutes of a request of weight 1; up to ``MAX_MINUTES`` cost 2."""
WHOLE_DAY_WEIGHT = 6
"""What a whole day costs over REST. A day's file costs the budget nothing and brings all of the day; it is read where
that is worth as much."""

_Cost = tuple[int, int, int]
"""Weight, minutes asked, requests: the smaller one is better, in this order."""


def weight(minutes: int) -> int:
    """What the venue charges for a request of so many minutes, at most ``MAX_MINUTES``."""
    return 1 if minutes <= CHEAP_MINUTES else 2


def cheapest(gaps: Iterable[Gap]) -> list[Request]:
    """The requests that cover all ``gaps`` of any symbols at the least weight, in order of symbol and time.

    Of equally cheap ways the one that asks for the fewest minutes, then the one of fewest requests. Every request
    begins and ends with a missing minute.
    """
    return [request for symbol, some in gaps_by_symbol(gaps) for request in _Row(symbol, some).requests()]


def worth_a_file(gaps: Iterable[Gap], offers: Collection[Gap]) -> set[Gap]:
    """Which of ``offers`` to take, so that requests for all other minutes cost the least with them.

    An offer is a day's file, as the stretch from the first to the last of ``gaps`` in it, at ``WHOLE_DAY_WEIGHT``; no
    two of a symbol overlap. Requests reach over midnight, so a day alone does not tell.
    """
    offered = dict(gaps_by_symbol(offers))
    return {
        offer
        for symbol, some in gaps_by_symbol(gaps)
        if symbol in offered
        for offer in _Row(symbol, some, offered[symbol]).taken()
    }


def gaps_by_symbol(gaps: Iterable[Gap]) -> list[tuple[str, list[Gap]]]:
    """The symbols of ``gaps``, in order, each with its own."""
    found: dict[str, list[Gap]] = {}
    for gap in gaps:
        found.setdefault(gap.symbol, []).append(gap)
    return sorted(found.items())


@dataclass(frozen=True, slots=True)
class _Step:
    """The best known way to have everything before some minute: its cost, and its last request or file."""

    cost: _Cost
    begin: int
    end: int
    offer: Gap | None = None


class _Row:
    """The missing minutes of one symbol, and the shortest way through them.

    Some cheapest way has every request begin at the first minute that is not covered yet, so a minute leads to three
    others at most: behind a request of weight 1, behind one of weight 2, and behind the file on offer. Where the next
    499 minutes are all missing the dear request never loses, which keeps the way through a long gap one step wide: 99
    minutes and the file of the day behind them cost 7, as much as both at 499 minutes a request.
    """

    def __init__(self, symbol: str, gaps: Iterable[Gap], offers: Iterable[Gap] = ()) -> None:
        self._symbol = symbol
        self._spans = _merged(gaps)
        self._starts = [start for start, _ in self._spans]
        self._ends = [end for _, end in self._spans]
        self._offers = sorted(offers)
        self._offer_starts = [offer.from_ms for offer in self._offers]

    def requests(self) -> Iterator[Request]:
        for step in self._way():
            yield Request(self._symbol, step.begin, step.end, tuple(self._inside(step.begin, step.end)))

    def taken(self) -> Iterator[Gap]:
        return (step.offer for step in self._way() if step.offer)

    def _way(self) -> Sequence[_Step]:
        first, goal = self._starts[0], self._ends[-1]
        best: dict[int, _Step] = {first: _Step((0, 0, 0), first, first)}
        todo = [first]
        while (here := heappop(todo)) != goal:
            for step in self._steps(here, best[here].cost):
                then = self._next_missing(step.end)
                if then not in best:
                    heappush(todo, then)
                    best[then] = step
                elif step.cost < best[then].cost:
                    best[then] = step
        way = []
        while here != first:
            way.append(best[here])
            here = best[here].begin
        return way[::-1]

    def _steps(self, here: int, cost: _Cost) -> Iterator[_Step]:
        spent, asked, number = cost
        for end in self._ends_from(here):
            minutes = (end - here) // MINUTE_MS
            yield _Step((spent + weight(minutes), asked + minutes, number + 1), here, end)
        if (offer := self._offer_at(here)) and here < offer.to_ms:
            yield _Step((spent + WHOLE_DAY_WEIGHT, asked, number), here, offer.to_ms, offer)

    def _ends_from(self, begin: int) -> list[int]:
        """Where requests that begin here end: behind the last missing minute within reach."""
        span_end = self._ends[bisect_right(self._starts, begin) - 1]
        whole = begin + MAX_MINUTES * MINUTE_MS
        if whole <= span_end:
            return [whole]
        return sorted({self._last_within(begin + CHEAP_MINUTES * MINUTE_MS), self._last_within(whole)})

    def _offer_at(self, minute: int) -> Gap | None:
        """The last offer that begins no later."""
        index = bisect_right(self._offer_starts, minute) - 1
        return self._offers[index] if index >= 0 else None

    def _last_within(self, reach: int) -> int:
        index = bisect_left(self._starts, reach) - 1
        return min(self._ends[index], reach)

    def _next_missing(self, minute: int) -> int:
        """The first missing minute from ``minute`` on; the end of all when there is none."""
        index = bisect_right(self._ends, minute)
        return max(self._starts[index], minute) if index < len(self._starts) else self._ends[-1]

    def _inside(self, begin: int, end: int) -> Iterator[tuple[int, int]]:
        for index in range(bisect_right(self._ends, begin), bisect_left(self._starts, end)):
            yield max(self._starts[index], begin), min(self._ends[index], end)


def _merged(gaps: Iterable[Gap]) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for start, end in sorted((gap.from_ms, gap.to_ms) for gap in gaps):
        if spans and start <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans
