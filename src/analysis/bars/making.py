"""Kept bars from the minutes that they are made of: pure functions over arrays, for kernel processes only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ...model import MINUTE_MS
from .advance import advance
from .dtypes import BAR, CANDLE, UNKNOWN_COUNT, Recipe, Records, as_candles, new_state
from .ranges import KEPT_MS, covered_ranges, joined

Numbers: TypeAlias = npt.NDArray[np.int64]

#: A candle with the number of the work that it was read for.
PLACED = np.dtype([("place", "<i8"), *[(name, CANDLE[name].str) for name in CANDLE.names or ()]])
#: A bar with the number of its work and its size in milliseconds.
MADE = np.dtype(
    [
        ("place", "<i8"),
        ("size", "<f8"),
        *[(name, BAR[name].str) for name in BAR.names or ()],
        ("missing_minutes", "<i8"),
    ]
)


@dataclass(frozen=True, slots=True)
class Work:
    """Bars of one symbol to make, in every kept size: all that ``ranges`` touch and that are over by ``until_ms``."""

    symbol: str
    ranges: tuple[tuple[int, int], ...]
    until_ms: int
    cuts: tuple[int, ...] = ()

    def spans(self) -> list[tuple[int, int, int]]:
        """(size, from, to): times that begin and end with a bar of that size, all in UTC milliseconds."""
        return [
            (size, start, end)
            for size in KEPT_MS
            for start, end in covered_ranges(self.ranges, size, self.cuts, self.until_ms)
        ]

    def minutes(self) -> list[tuple[int, int]]:
        """What is to be read for them: sorted, apart from each other."""
        return joined((start, end) for _, start, end in self.spans())


def kept_bars(works: Sequence[Work], candles: Records) -> Records:
    """The bars (MADE) of all ``works`` from ``candles`` (PLACED, in any order), by work, size and time."""
    candles = candles[np.lexsort((candles["open_ts"], candles["place"]))]
    edges = np.searchsorted(candles["place"], np.arange(len(works) + 1))
    rows = as_candles(candles)
    made = [
        bars
        for place, work in enumerate(works)
        for bars in _of_work(place, work, rows[edges[place] : edges[place + 1]])
    ]
    return np.concatenate(made) if made else np.empty(0, MADE)


def _of_work(place: int, work: Work, rows: Records) -> Iterator[Records]:
    for size, start, end in work.spans():
        first, last = np.searchsorted(rows["open_ts"], (start, end))
        if first == last:
            continue
        inside = rows[first:last]
        state = new_state(Recipe.TIME_OF_CANDLES, size)
        bars, _ = advance(state, inside, cuts=work.cuts, until_ms=end)
        minutes = np.ones(len(inside), np.int64)
        yield as_made(bars, size, place=place, missing=missing_minutes(bars, inside["open_ts"], minutes))


def missing_minutes(bars: Records, opened: Numbers, minutes: Numbers) -> Numbers:
    """How many minutes of each bar have no candle. Each part begins at ``opened`` and has candles of ``minutes``."""
    sums = np.concatenate((np.zeros(1, np.int64), np.cumsum(minutes)))
    first, last = (np.searchsorted(opened, bars[name]) for name in ("open_ts", "close_ts"))
    lacking: Numbers = (bars["close_ts"] - bars["open_ts"]) // MINUTE_MS - (sums[last] - sums[first])
    return lacking


def as_made(bars: Records, size: float, *, place: int = 0, missing: Numbers | int = UNKNOWN_COUNT) -> Records:
    """``bars`` as they are stored."""
    made = np.empty(len(bars), MADE)
    for name in BAR.names or ():
        made[name] = bars[name]
    made["place"], made["size"], made["missing_minutes"] = place, size, missing
    return made
