"""Levels of support and resistance from closed bars: pure functions, for kernel processes only (docs/adr/0044).

What is known at a bar depends on nothing but the bars of the ``span_ms`` that end with it. So a run made then, a
run made later that looks back, and one that follows bar by bar say the same, and nothing said is ever unsaid: levels
begin, gain and lose pivots, are tested, and end, each at its time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace

from .level_pivots import Pivot, Records, pivots
from .level_types import TOLERANCE, Level, Side


def levels_at(bars: Records, span_ms: int) -> list[Level]:
    """The levels known when the last of ``bars`` (LEVEL_BAR, in order) has closed; none where there is no bar."""
    return next(history(bars, span_ms, len(bars) - 1), (0, []))[1]


def history(bars: Records, span_ms: int, first: int) -> Iterator[tuple[int, list[Level]]]:
    """(bar, levels known when it has closed) for bar ``first`` and every later one at which they differ.

    Supports first, each side by time of founding. Bars from span_ms before the close of ``first`` on are
    enough; earlier ones change nothing.
    """
    if not 0 <= first < len(bars):
        return
    sides = {side: pivots(bars, side, span_ms, first) for side in Side}
    changes = {bar for found in sides.values() for pivot in found for bar in pivot.changes()}
    for bar in sorted({first, *(bar for bar in changes if first < bar < len(bars))}):
        yield (
            bar,
            [level for side, found in sides.items() for level in _levels(bars, side, found, bar)],
        )


def merged(found: Iterable[Pivot]) -> list[list[Pivot]]:
    """Pivots of one side as levels, each with its founder first; the order in which they are given does not matter.

    By age, each pivot joins the nearest founder within TOLERANCE of that founder's price (of two as near the older),
    or founds a level where there is none. So a new pivot never changes what older ones founded or joined.
    """
    groups: list[list[Pivot]] = []
    for pivot in sorted(found, key=lambda pivot: pivot.bar):
        near = [group for group in groups if _apart(pivot, group[0]) <= TOLERANCE * group[0].touch.price]
        if near:
            min(near, key=lambda group: _apart(pivot, group[0])).append(pivot)
        else:
            groups.append([pivot])
    return groups


def _apart(pivot: Pivot, founder: Pivot) -> float:
    return abs(pivot.touch.price - founder.touch.price)


def _levels(bars: Records, side: Side, found: list[Pivot], bar: int) -> list[Level]:
    return [
        _level(bars, side, group, bar) for group in merged(pivot for pivot in found if pivot.known_at(bar))
    ]


def _level(bars: Records, side: Side, group: list[Pivot], bar: int) -> Level:
    touches = tuple(replace(pivot.touch, windows=pivot.windows_at(bar)) for pivot in group)
    weight = sum(touch.windows for touch in touches)
    tests = [test for test in group[0].tests.tolist() if test <= bar]
    return Level(
        side=side,
        touches=touches,
        price=math.fsum(touch.price * touch.windows for touch in touches) / weight,
        tests=len(tests),
        tested_ms=int(bars["close_ts"][tests[-1]]) if tests else None,
    )
