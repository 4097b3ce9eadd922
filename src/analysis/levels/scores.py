"""Which levels matter most at the last bar: pure functions, for kernel processes only."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from .pivots import Records
from .terms import BEST, WINDOWS, Level, Side

#: Pivots of all windows that count as touched often enough: more add nothing.
_FULL_TOUCHES = 5
_NEAR, _FAR = 0.01, 0.10


@dataclass(frozen=True, slots=True)
class Score:
    """How much a level matters: each part is in [0, 1], ``total`` in [0, 6.5].

    ``touches``: windows its pivots are extremes of, all together; 1 from five pivots of all four windows on.
    ``volume``: the share of bars that traded less than its pivots' did (of as much, half), averaged over the pivots.
    ``distance``: 1 from 1 % to 10 % of the last price away; nearer in proportion, farther in inverse proportion.
    ``right_side``: 1 where a support is not above the last price and a resistance not below it, else 0.
    """

    touches: float
    volume: float
    distance: float
    right_side: float

    @property
    def total(self) -> float:
        return 3.0 * self.touches + 1.5 * self.volume + self.distance + self.right_side


def best(levels: Iterable[Level], bars: Records, span_ms: int) -> dict[Side, list[tuple[Level, Score]]]:
    """The BEST levels of each side at the last of ``bars``; of two with one score the nearer, then the older."""
    recent = bars[bars["open_ts"] >= bars["close_ts"][-1] - span_ms]
    last_price = float(bars["close"][-1])
    told = list(levels)
    chosen: dict[Side, list[tuple[Level, Score]]] = {side: [] for side in Side}
    for level, volume in zip(told, _volumes(told, recent), strict=True):
        score = Score(
            touches=min(1.0, level.strength / (_FULL_TOUCHES * len(WINDOWS))),
            volume=volume,
            distance=_distance(level.price, last_price),
            right_side=float(level.side.sign * (last_price - level.price) >= 0),
        )
        chosen[level.side].append((level, score))
    for found in chosen.values():
        found.sort(key=lambda pair: (-pair[1].total, abs(pair[0].price - last_price), pair[0].founded_ms))
    return {side: found[:BEST] for side, found in chosen.items()}


def _volumes(levels: Sequence[Level], bars: Records) -> list[float]:
    """For each level the mean, over its pivots, of the share of ``bars`` that traded less than the pivot's bar."""
    if not levels:
        return []
    places = np.searchsorted(bars["open_ts"], [touch.pivot_ms for level in levels for touch in level.touches])
    traded, sorted_volumes = bars["volume"][places], np.sort(bars["volume"])
    less = np.searchsorted(sorted_volumes, traded, "left")
    not_more = np.searchsorted(sorted_volumes, traded, "right")
    counts = np.array([len(level.touches) for level in levels])
    sums = np.add.reduceat(less + not_more, np.cumsum(counts) - counts)
    means: list[float] = (sums / (counts * 2 * len(bars))).tolist()
    return means


def _distance(price: float, last_price: float) -> float:
    away = abs(price - last_price) / last_price
    return min(1.0, away / _NEAR) if away <= _FAR else _FAR / away
