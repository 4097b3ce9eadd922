"""Where prices turned, and how long each turn counts: pure functions; numpy and scipy, so for kernel processes only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.signal import argrelextrema

from .terms import WINDOWS, Side

Records: TypeAlias = npt.NDArray[np.void]
Floats: TypeAlias = npt.NDArray[np.float64]
Whole: TypeAlias = npt.NDArray[np.int64]

#: Later than every bar.
_NEVER = 2**62
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
class Pivots:
    """The pivots of one side, the oldest first, as columns. Bars are told by their indices.

    ``first`` and ``last`` bars of each plateau, its ``price``. ``since`` and ``until``, by window and pivot: the bars
    from which and to which it is known as a pivot of that window; of one that it is not, ``since`` is never.
    """

    first: Whole
    last: Whole
    price: Floats
    since: Whole
    until: Whole

    def windows_at(self, bar: int) -> Whole:
        """For how many windows each is a known pivot when ``bar`` has closed."""
        known: Whole = ((self.since <= bar) & (bar <= self.until)).sum(axis=0)
        return known


def pivots(bars: Records, span_ms: int) -> dict[Side, Pivots]:
    """Every pivot in ``bars``, LEVEL_BAR records.

    A pivot is a low (high) that no bar of the window before it reaches and none of the window after it exceeds; equal
    neighbours are one pivot, whose window begins behind the last of them. It is known when its window has closed,
    until the window before it is ``span_ms`` old.
    """
    outward = np.stack([-bars["low"], bars["high"]])
    largest = np.zeros((len(WINDOWS), *outward.shape), bool)
    for place, window in enumerate(WINDOWS):
        largest[place][argrelextrema(outward, np.greater_equal, axis=1, order=window)] = True
    return {
        side: _of_side(bars, outward[row], largest[:, row], span_ms)
        for row, side in enumerate((Side.SUPPORT, Side.RESISTANCE))
    }


def _of_side(bars: Records, outward: Floats, largest: npt.NDArray[np.bool_], span_ms: int) -> Pivots:
    first, last, ladder = _turns(outward, largest)
    windows = np.array(WINDOWS, np.int64)[:, np.newaxis]
    reached = np.arange(len(WINDOWS))[:, np.newaxis] < ladder
    oldest = bars["open_ts"][np.maximum(first - windows, 0)] if len(first) else np.empty((len(WINDOWS), 0))
    return Pivots(
        first=first,
        last=last,
        price=np.abs(outward[first]),
        since=np.where(reached, last + windows, _NEVER),
        until=np.searchsorted(bars["close_ts"], oldest + span_ms, side="right") - 1,
    )


def _turns(outward: Floats, largest: npt.NDArray[np.bool_]) -> tuple[Whole, Whole, Whole]:
    """First and last bars of the plateaus that are pivots of the smallest window, and of how many windows they are.

    ``largest``: for each window the bars that none within it exceeds.
    """
    count = len(outward)
    steps = np.flatnonzero(np.diff(outward)) + 1
    begins = np.concatenate([np.zeros(min(count, 1), np.int64), steps])
    ends = np.concatenate([steps - 1, np.full(min(count, 1), count - 1)])
    distances = begins - _equal_before(outward)[begins]
    ladder = np.zeros(len(begins), np.int64)
    for place, window in enumerate(WINDOWS):
        inside = (begins >= window) & (ends + window < count)
        ladder += largest[place][begins] & largest[place][ends] & inside & (distances > window)
    found = ladder > 0
    return begins[found], ends[found], ladder[found]


def _equal_before(values: Floats) -> Whole:
    """For each bar the last one before it with the same value; far away where there is none."""
    order = np.argsort(values, kind="stable")
    same = np.flatnonzero(np.diff(values[order]) == 0)
    before = np.full(len(values), -(2**31), np.int64)
    before[order[same + 1]] = order[same]
    return before
