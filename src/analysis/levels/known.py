"""Levels of support and resistance from closed bars: pure functions, for kernel processes only (docs/adr/0044).

What is known at a bar depends on nothing but the bars of the ``span_ms`` that end with it. So a run made then, a run
made later that looks back, and one that follows bar by bar say the same, and nothing said is ever unsaid: levels
begin, gain and lose pivots, are tested, broken and held again, and end, each at its time.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator

import numpy as np

from .pivots import Floats, Pivots, Records, Whole, pivots
from .terms import TOLERANCE, Level, Side, Touch

#: Founders that are looked up together: with 4000 bars half a megabyte for each step.
_AT_ONCE = 128


def levels_at(bars: Records, span_ms: int) -> list[Level]:
    """The levels known when the last of ``bars`` (LEVEL_BAR, in order) has closed; none where there is no bar."""
    return next(history(bars, span_ms, len(bars) - 1), (0, []))[1]


def history(bars: Records, span_ms: int, first: int) -> Iterator[tuple[int, list[Level]]]:
    """(bar, levels known when it has closed) for bar ``first`` (an index) and every later one.

    Supports first, each side by time of founding. Bars from ``span_ms`` before the close of ``first`` on are
    enough; earlier ones change nothing.
    """
    if not 0 <= first < len(bars):
        return
    sides = [_Side(bars, side, found) for side, found in pivots(bars, span_ms).items()]
    for bar in range(first, len(bars)):
        yield bar, [level for side in sides for level in side.levels_at(bar)]


def merged(ages: Whole, prices: Floats) -> list[Whole]:
    """Pivots of one side as levels: their places, the founder first; the order in which they are given does not matter.

    By age, each pivot joins the nearest founder within TOLERANCE of that founder's price (of two as near the older),
    or founds a level where there is none. So a new pivot never changes what older ones founded or joined.
    """
    order = np.argsort(ages)
    aged = prices[order]
    founders: list[int] = []
    free = np.ones(len(aged), bool)
    while free.any():
        founder = int(np.argmax(free))
        founders.append(founder)
        free &= np.abs(aged - aged[founder]) > TOLERANCE * aged[founder]
    places = np.array(founders, np.int64)
    apart = np.abs(aged[:, np.newaxis] - aged[places])
    younger = places > np.arange(len(aged))[:, np.newaxis]
    apart[younger | (apart > TOLERANCE * aged[places])] = np.inf
    level = np.argmin(apart, axis=1) if founders else places
    by_level = np.argsort(level, kind="stable")
    return np.split(order[by_level], np.searchsorted(level[by_level], np.arange(1, len(founders))))


class _Side:
    """The levels of one side at any bar; what founders lived through is looked up once."""

    def __init__(self, bars: Records, side: Side, found: Pivots) -> None:
        self._side = side
        self._pivots = found
        self._closed: list[int] = bars["close_ts"].tolist()
        self._inward = side.sign * bars["low" if side is Side.SUPPORT else "high"]
        self._settled = side.sign * bars["close"]
        confirmed = bars["close_ts"][found.since[0]] if len(found.first) else found.since[0]
        self._told = list(
            zip(
                bars["open_ts"][found.first].tolist(),
                confirmed.tolist(),
                found.price.tolist(),
                found.last.tolist(),
                strict=True,
            )
        )
        self._touches: dict[tuple[int, int], Touch] = {}
        self._lives: dict[int, tuple[list[int], Whole]] = {}

    def levels_at(self, bar: int) -> list[Level]:
        windows = self._pivots.windows_at(bar)
        known = np.flatnonzero(windows)
        if not len(known):
            return []
        groups = [known[group] for group in merged(self._pivots.first[known], self._pivots.price[known])]
        self._look_up([founder for group in groups if (founder := int(group[0])) not in self._lives])
        numbers = windows.tolist()
        return [self._level(group.tolist(), numbers, bar) for group in groups]

    def _level(self, group: list[int], windows: list[int], bar: int) -> Level:
        touches = tuple([self._touch(pivot, windows[pivot]) for pivot in group])
        weight = sum(touch.windows for touch in touches)
        tests, beyond = self._lives[group[0]]
        newest = self._told[group[-1]][3]
        after = int(beyond.searchsorted(newest, "right"))
        broken = int(beyond[after]) if after < len(beyond) and beyond[after] <= bar else None
        count = bisect_left(tests, bar + 1 if broken is None else broken)
        return Level(
            side=self._side,
            touches=touches,
            price=math.fsum(touch.price * touch.windows for touch in touches) / weight,
            tests=count,
            tested_ms=self._closed[tests[count - 1]] if count else None,
            broken_ms=None if broken is None else self._closed[broken],
        )

    def _touch(self, pivot: int, windows: int) -> Touch:
        found = self._touches.get((pivot, windows))
        if found is None:
            opened, confirmed, price, _ = self._told[pivot]
            found = self._touches[pivot, windows] = Touch(opened, confirmed, price, windows)
        return found

    def _look_up(self, founders: list[int]) -> None:
        """The bars after each founder that came back into its zone and held, and those that closed beyond it."""
        for start in range(0, len(founders), _AT_ONCE):
            some = founders[start : start + _AT_ONCE]
            side, prices = self._side, self._pivots.price[some][:, np.newaxis]
            inside = self._inward <= side.sign * (prices * side.reached_from(1.0))
            beyond = self._settled < side.sign * (prices * side.broken_beyond(1.0))
            tests = np.zeros_like(inside)
            tests[:, 1:] = inside[:, 1:] & ~inside[:, :-1] & ~beyond[:, 1:]
            for row, founder in enumerate(some):
                began = self._told[founder][3] + 1
                self._lives[founder] = (
                    (tests[row, began:].nonzero()[0] + began).tolist(),
                    beyond[row, began:].nonzero()[0] + began,
                )
