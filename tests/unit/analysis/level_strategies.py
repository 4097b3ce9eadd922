"""Bars for levels: prices that turn often, stand still, come back to where they were, and break through."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from src.analysis.levels.pivots import LEVEL_BAR, Records
from src.analysis.levels.terms import Level
from tests.naive_levels import Bar, NaiveLevel

START_MS = 1_760_000_000_000 // 3_600_000 * 3_600_000
HOUR_MS = 3_600_000


@st.composite
def bars(draw: st.DrawFn, *, least: int = 0, most: int = 120, holes: bool = True) -> list[Bar]:
    """Walks of whole steps, so that equal extremes are common; a step is 0.1 % to 1 % of the first price."""
    seed, count = draw(st.integers(0, 2**32 - 1)), draw(st.integers(least, most))
    chance = np.random.default_rng(seed)
    step = draw(st.sampled_from([0.1, 0.2, 0.5, 1.0]))
    still, back, missing = draw(st.tuples(*[st.sampled_from([0.0, 0.2, 0.7])] * 3))
    moves = chance.integers(-3, 4, count) * (chance.random(count) >= still)
    made: list[Bar] = []
    place, opened = 0, START_MS
    for move in moves.tolist():
        # Pulled back to where it came from, the price meets the same levels again.
        place += move - (np.sign(place) if chance.random() < back else 0)
        price = max(100 + place * step, step)
        high, low = price + step * int(chance.integers(0, 3)), price - step * int(chance.integers(0, 3))
        made.append((opened, opened + HOUR_MS, high, max(low, step / 2), price, float(chance.integers(0, 5))))
        opened += HOUR_MS * (
            1 + (int(chance.integers(1, 40)) if holes and chance.random() < missing / 10 else 0)
        )
    return made


def records(rows: list[Bar]) -> Records:
    return np.array(rows, LEVEL_BAR)


def plain(levels: list[Level]) -> list[NaiveLevel]:
    """Levels as the naive twin says them."""
    return [
        NaiveLevel(
            level.side.value,
            tuple((t.pivot_ms, t.confirmed_ms, t.price, t.windows) for t in level.touches),
            level.price,
            level.tests,
            level.tested_ms,
            level.broken_ms,
        )
        for level in levels
    ]
