"""Naive twin of the levels: what is known when the last bar has closed, by the words of ADR 0044, and slow.

Bars are tuples (open_ts, close_ts, high, low, close, volume) in order of time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WINDOWS = (5, 10, 20, 30)
NEAR = 0.005

Bar = tuple[int, int, float, float, float, float]


@dataclass(frozen=True)
class Turn:
    """A pivot: places of its first and last bar, its price, and for how many windows it is one."""

    first: int
    last: int
    price: float
    windows: int


@dataclass(frozen=True)
class NaiveLevel:
    """What is compared with a Level."""

    side: str
    pivots: tuple[tuple[int, int, float, int], ...]  # open, close that confirmed, price, windows
    price: float
    tests: int
    tested_ms: int | None
    broken_ms: int | None


def levels(bars: Sequence[Bar], span_ms: int) -> list[NaiveLevel]:
    """Supports by age of the founder, then resistances."""
    if not bars:
        return []
    recent = [bar for bar in bars if bar[0] >= bars[-1][1] - span_ms]
    return [level for side in ("support", "resistance") for level in _side(recent, side)]


def score(level: NaiveLevel, bars: Sequence[Bar], span_ms: int) -> float:
    """3 touches + 1.5 volume + distance + right side."""
    recent = [bar for bar in bars if bar[0] >= bars[-1][1] - span_ms]
    last = recent[-1][4]
    windows = sum(pivot[3] for pivot in level.pivots)
    touches = 1.0 if windows >= 20 else windows / 20
    shares = []
    for opened, *_ in level.pivots:
        mine = next(bar[5] for bar in recent if bar[0] == opened)
        less = sum(1 for bar in recent if bar[5] < mine)
        same = sum(1 for bar in recent if bar[5] == mine)
        shares.append((less + same / 2) / len(recent))
    away = abs(level.price - last) / last
    distance = away / 0.01 if away < 0.01 else 1.0 if away <= 0.1 else 0.1 / away
    right = level.price <= last if level.side == "support" else level.price >= last
    return 3 * touches + 1.5 * sum(shares) / len(shares) + distance + (1 if right else 0)


def _side(bars: Sequence[Bar], side: str) -> list[NaiveLevel]:
    groups: list[list[Turn]] = []
    for turn in _turns(bars, side):
        best = None
        for group in groups:
            apart = abs(turn.price - group[0].price)
            if apart <= NEAR * group[0].price and (best is None or apart < abs(turn.price - best[0].price)):
                best = group
        if best is None:
            groups.append([turn])
        else:
            best.append(turn)
    return [_level(bars, group, side) for group in groups]


def _turns(bars: Sequence[Bar], side: str) -> list[Turn]:
    found = []
    for first in range(len(bars)):
        price = _extreme(bars[first], side)
        if first and _extreme(bars[first - 1], side) == price:
            continue
        last = first
        while last + 1 < len(bars) and _extreme(bars[last + 1], side) == price:
            last += 1
        windows = [window for window in WINDOWS if _turns_at(bars, first, last, window, side)]
        if windows:
            found.append(Turn(first, last, price, len(windows)))
    return found


def _turns_at(bars: Sequence[Bar], first: int, last: int, window: int, side: str) -> bool:
    if first - window < 0 or last + window >= len(bars):
        return False
    price = _extreme(bars[first], side)
    before = [_extreme(bar, side) for bar in bars[first - window : first]]
    after = [_extreme(bar, side) for bar in bars[last + 1 : last + 1 + window]]
    if side == "support":
        return all(other > price for other in before) and all(other >= price for other in after)
    return all(other < price for other in before) and all(other <= price for other in after)


def _beyond(bar: Bar, price: float, side: str) -> bool:
    if side == "support":
        return bar[4] < price * (1 - NEAR)
    return bar[4] > price * (1 + NEAR)


def _level(bars: Sequence[Bar], group: list[Turn], side: str) -> NaiveLevel:
    founder, newest = group[0], group[-1]
    broken = None
    for place in range(newest.last + 1, len(bars)):
        if broken is None and _beyond(bars[place], founder.price, side):
            broken = place
    tests, tested, away = 0, None, False
    for bar in bars[founder.last + 1 : broken]:
        inside = _inside(bar, founder.price, side)
        if inside and away and not _beyond(bar, founder.price, side):
            tests, tested = tests + 1, bar[1]
        away = not inside
    weight = sum(turn.windows for turn in group)
    return NaiveLevel(
        side=side,
        pivots=tuple(
            (bars[turn.first][0], bars[turn.last + WINDOWS[0]][1], turn.price, turn.windows) for turn in group
        ),
        price=math.fsum(turn.price * turn.windows for turn in group) / weight,
        tests=tests,
        tested_ms=tested,
        broken_ms=None if broken is None else bars[broken][1],
    )


def _inside(bar: Bar, price: float, side: str) -> bool:
    if side == "support":
        return bar[3] <= price * (1 + NEAR)
    return bar[2] >= price * (1 - NEAR)


def _extreme(bar: Bar, side: str) -> float:
    return bar[3] if side == "support" else bar[2]
