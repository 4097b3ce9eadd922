"""``bars``: how fast the kernels turn trades into bars, on one thread; compiling is told apart.

The figure of each kernel is the best of several rounds, by the clock of the processor: it is what the loop costs, and
waiting for other programs is no part of that. ``wall_mticks_per_s`` is the same by the clock on the wall.
"""

from __future__ import annotations

import os
import time

import numpy as np

from src.analysis.bar_types import TRADE, Recipe, Records, new_state
from src.analysis.bars import advance

TRADES = int(os.environ.get("MARKETD_BARS_TRADES", "5000000"))
ROUNDS = 7
_DAY_MS = 86_400_000
_SIZES = {
    Recipe.TIME_OF_TRADES: 60_000.0,
    Recipe.TICK: 1_000.0,
    Recipe.VOLUME: 1_000.0,
    Recipe.DOLLAR: 100_000.0,
}


def run() -> dict[str, object]:
    """{kernel_mticks_per_s, wall_mticks_per_s, bars: each by kind; compile_s, trades}."""
    trades = _made_up()
    started = time.perf_counter()
    advance(new_state(Recipe.TICK, 10), trades[:100])
    compile_s = time.perf_counter() - started
    kernel: dict[str, float] = {}
    wall: dict[str, float] = {}
    bars: dict[str, int] = {}
    for recipe, size in _SIZES.items():
        kernel[recipe.kind], wall[recipe.kind], bars[recipe.kind] = _rates(recipe, size, trades)
    return {
        "kernel_mticks_per_s": kernel,
        "wall_mticks_per_s": wall,
        "bars": bars,
        "compile_s": round(compile_s, 2),
        "trades": len(trades),
        "rounds": ROUNDS,
    }


def _rates(recipe: Recipe, size: float, trades: Records) -> tuple[float, float, int]:
    """Million trades a second, by the processor's clock and by the wall's, and how many bars were made."""
    spent, passed, made = [], [], 0
    for _ in range(ROUNDS):
        state = new_state(recipe, size)
        processor, wall = time.process_time(), time.perf_counter()
        bars, _ = advance(state, trades)
        spent.append(time.process_time() - processor)
        passed.append(time.perf_counter() - wall)
        made = len(bars)
    return round(len(trades) / min(spent) / 1e6, 1), round(len(trades) / min(passed) / 1e6, 1), made


def _made_up() -> Records:
    """A day of trades around a price of 100, one coin each on average."""
    chance = np.random.default_rng(4)
    trades = np.empty(TRADES, TRADE)
    trades["ts"] = np.sort(chance.integers(0, _DAY_MS, TRADES))
    trades["trade_id"] = np.arange(TRADES)
    trades["price"] = np.round(100 + np.cumsum(chance.normal(0, 0.001, TRADES)), 4)
    trades["quantity"] = np.round(chance.exponential(1, TRADES), 3)
    trades["is_buyer_maker"] = chance.random(TRADES) < 0.5
    return trades
