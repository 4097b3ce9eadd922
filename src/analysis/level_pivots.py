"""Where prices turned, and how long each turn counts: pure functions; numpy and scipy, so for kernel processes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.signal import argrelextrema

from .level_types import WINDOWS, Side, Touch

Records: TypeAlias = npt.NDArray[np.void]
Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]

#: A closed bar, as far as levels look at it; given in order of time, each time once.
LEVEL_BAR = np.dtype(
    [
        ("open_ts", "<i8"),
        ("close_ts", "<i8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("volume", "<f8"),
    ]
)


@dataclass(frozen=True, slots=True)
class Pivot:
    """A turn, and at which bars (their indices) it is known: from ``since[0]`` to ``until[0]``, before ``broken``.

    ``since`` and ``until`` have an entry for each window that it is a pivot of, the smallest first. ``tests`` are the
    bars that came back into its zone.
    """

    bar: int
    touch: Touch
    since: tuple[int, ...]
    until: tuple[int, ...]
    broken: int
    tests: Whole

    def known_at(self, bar: int) -> bool:
        return self.since[0] <= bar <= self.until[0] and bar < self.broken

    def windows_at(self, bar: int) -> int:
        """For how many windows it is a known pivot when ``bar`` has closed."""
        return sum(begin <= bar <= end for begin, end in zip(self.since, self.until, strict=True))

    def changes(self) -> list[int]:
        """The bars at which something about it becomes different."""
        return [*self.since, *(end + 1 for end in self.until), self.broken, *self.tests.tolist()]


def pivots(bars: Records, side: Side, span_ms: int, first: int) -> list[Pivot]:
    """The pivots of one side that are known at some bar from ``first`` (an index) on, the oldest first.

    ``bars`` are LEVEL_BAR records. A pivot is a low (high) that no bar of the window before it reaches and none of the
    window after it exceeds; equal neighbours are one pivot, whose window begins behind the last of them. It is known
    when its window has closed, until the window before it is ``span_ms`` old.
    """
    outward = -bars["low"] if side is Side.SUPPORT else bars["high"]
    begins, ends, ladder = _turns(outward)
    until = _last_bars(bars, begins, span_ms)
    kept = (until[0] >= first) & _unbroken_at(bars, side, begins, np.abs(outward[begins]), first)
    return [
        _pivot(bars, side, int(begins[turn]), int(ends[turn]), until[: ladder[turn], turn])
        for turn in np.flatnonzero(kept)
    ]


def _turns(outward: Floats) -> tuple[Whole, Whole, Whole]:
    """First and last bars of the plateaus that are pivots of the smallest window, and of how many windows they are."""
    count = len(outward)
    steps = np.flatnonzero(np.diff(outward)) + 1
    begins = np.concatenate([np.zeros(min(count, 1), np.int64), steps])
    ends = np.concatenate([steps - 1, np.full(min(count, 1), count - 1)])
    distances = begins - _equal_before(outward)[begins]
    ladder = np.zeros(len(begins), np.int64)
    for window in WINDOWS:
        largest = np.zeros(count, bool)
        largest[argrelextrema(outward, np.greater_equal, order=window)[0]] = True
        inside = (begins >= window) & (ends + window < count)
        ladder += largest[begins] & largest[ends] & inside & (distances > window)
    found = ladder > 0
    return begins[found], ends[found], ladder[found]


def _equal_before(values: Floats) -> Whole:
    """For each bar the last one before it with the same value; far away where there is none."""
    order = np.argsort(values, kind="stable")
    same = np.flatnonzero(np.diff(values[order]) == 0)
    before = np.full(len(values), -(2**31), np.int64)
    before[order[same + 1]] = order[same]
    return before


def _last_bars(bars: Records, begins: Whole, span_ms: int) -> Whole:
    """[window, turn]: the last bar at which the window before the turn is not yet forgotten."""
    oldest = np.array([bars["open_ts"][np.maximum(begins - window, 0)] for window in WINDOWS], np.int64)
    return np.searchsorted(bars["close_ts"], oldest + span_ms, side="right") - 1


def _unbroken_at(
    bars: Records, side: Side, begins: Whole, prices: Floats, first: int
) -> npt.NDArray[np.bool_]:
    """Whether no close from the turn up to bar ``first`` lies beyond what it survives."""
    inward = side.sign * bars["close"][: first + 1]
    worst = np.full(len(bars) + 1, np.inf)
    worst[: first + 1] = np.minimum.accumulate(inward[::-1])[::-1]
    return worst[begins] >= side.sign * (prices * side.broken_beyond(1.0))


def _pivot(bars: Records, side: Side, begin: int, end: int, until: Whole) -> Pivot:
    sign, extremes = side.sign, bars["low" if side is Side.SUPPORT else "high"]
    price = float(extremes[begin])
    beyond = np.flatnonzero(sign * bars["close"][begin:] < sign * side.broken_beyond(price))
    broken = begin + int(beyond[0]) if len(beyond) else len(bars)
    # From the pivot itself, which is inside: a test is a bar inside after one outside.
    inside = sign * extremes[end:broken] <= sign * side.reached_from(price)
    since = tuple(end + window for window in WINDOWS[: len(until)])
    return Pivot(
        bar=begin,
        touch=Touch(int(bars["open_ts"][begin]), int(bars["close_ts"][since[0]]), price, len(until)),
        since=since,
        until=tuple(until.tolist()),
        broken=broken,
        tests=np.flatnonzero(inside[1:] & ~inside[:-1]) + end + 1,
    )
