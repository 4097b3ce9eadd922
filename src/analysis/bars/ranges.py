"""Where the bars of time lie, and which of them a minute touches: whole numbers, without numpy."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence

from ...errors import BadData
from ...model import DAY_MS

WEEK_MS = 7 * DAY_MS
#: What is kept of every symbol: 5m, 15m, 1h, 4h and 1d. Each divides a day, so no kept bar reaches over midnight UTC.
KEPT_MS = (300_000, 900_000, 3_600_000, 14_400_000, DAY_MS)
_MONDAY_MS = 4 * DAY_MS  # 1970-01-05: the epoch was a Thursday


def offset_ms(size_ms: int) -> int:
    """What the starts of bars of ``size_ms`` leave when divided by it: whole weeks begin on a Monday, all else at 0."""
    return _MONDAY_MS % size_ms if size_ms % WEEK_MS == 0 else 0


_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY_MS, "w": WEEK_MS}
_INTERVAL = re.compile(r"([1-9][0-9]{0,5})([smhdw])")


def interval_ms(word: str) -> int:
    """``7m`` as milliseconds; units are s, m, h, d and w. Raises BadData for anything else."""
    found = _INTERVAL.fullmatch(word)
    if not found:
        raise BadData(f"{word!r} is not an interval: say 7m, 90s, 2h, 3d or 1w", reason="bar_size")
    return int(found[1]) * _UNITS_MS[found[2]]


def bar_start(ms: int, size_ms: int) -> int:
    """The start of the bar that holds ``ms``, UTC milliseconds."""
    offset = offset_ms(size_ms)
    return (ms - offset) // size_ms * size_ms + offset


def divides(part_ms: int, size_ms: int) -> bool:
    """Whether every bar of ``size_ms`` is made of whole bars of ``part_ms``."""
    return size_ms % part_ms == 0 and (offset_ms(size_ms) - offset_ms(part_ms)) % part_ms == 0


def bar_range(ms: int, size_ms: int, cuts: Sequence[int] = ()) -> tuple[int, int]:
    """[open, close) of the bar that holds ``ms``; ``cuts`` are sorted times that no bar crosses."""
    opened = bar_start(ms, size_ms)
    closed = opened + size_ms
    after = bisect_right(cuts, ms)
    if after:
        opened = max(opened, cuts[after - 1])
    if after < len(cuts):
        closed = min(closed, cuts[after])
    return opened, closed


def touched_ranges(minutes: Iterable[int], size_ms: int, cuts: Sequence[int] = ()) -> list[tuple[int, int]]:
    """The times whose bars must be made again after ``minutes`` (starts, UTC milliseconds, any order) changed.

    Sorted and apart from each other; every one begins and ends with a bar, so bars that are made from its minutes
    alone, with a new state, are those that one pass over everything makes.
    """
    return covered_ranges(((minute, minute + 1) for minute in set(minutes)), size_ms, cuts)


def covered_ranges(
    ranges: Iterable[tuple[int, int]], size_ms: int, cuts: Sequence[int] = (), until_ms: int | None = None
) -> list[tuple[int, int]]:
    """The same for whole ``ranges`` [from, to), and of bars that are over by ``until_ms`` alone."""
    covered: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        opened, closed = bar_range(start, size_ms, cuts)[0], bar_range(end - 1, size_ms, cuts)[1]
        if until_ms is not None and closed > until_ms:
            closed = bar_range(until_ms, size_ms, cuts)[0]
        _join(covered, opened, closed)
    return covered


def joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same times in order, each once."""
    apart: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        _join(apart, start, end)
    return apart


def _join(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    """Add [start, end), which begins no earlier than the last of ``ranges``."""
    if start >= end:
        return
    if ranges and start <= ranges[-1][1]:
        ranges[-1] = (ranges[-1][0], max(end, ranges[-1][1]))
    else:
        ranges.append((start, end))
