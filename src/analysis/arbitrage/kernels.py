"""The screen as one pass over two sorted series, compiled by numba.

Two ends of a window walk along the trades while the swaps go by, so a trade is added once and taken off once however
many swaps there are. The sums are of two floats each, a rounded one and what rounding lost:
with prices of one window they are exact, so taking a trade off leaves no trace of it, and the mean is that of
``math.fsum`` over the window, whatever came before it (docs/adr/0046-arbitrage.md says how far this reaches).

Import this in pool processes only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, ParamSpec, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from .dtypes import OUTCOMES, Records
from .terms import BUY_CEX, BUY_DEX

_SCREENED: Final = OUTCOMES.index("screened")
_NO_TRADES: Final = OUTCOMES.index("no_trades_in_window")
_NO_LIQUIDITY: Final = OUTCOMES.index("no_liquidity")
_NO_PRICE: Final = OUTCOMES.index("no_price")
_NO_GAS: Final = OUTCOMES.index("no_gas")
_INFINITE: Final = float("inf")
_WEI: Final = 1e18

#: Places of the window's sums; each takes two, the second being what the first lost to rounding.
_PRICE: Final = 0
_VOLUME: Final = 2
_MOVES: Final = 4

Counts: TypeAlias = npt.NDArray[np.int64]
Sums: TypeAlias = npt.NDArray[np.float64]
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def _compiled(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """Without a cache on disk, which would lie beside the source; compiling takes seconds, once a process."""
    return cast(Callable[_Given, _Result], numba.njit(function))


@_compiled
def _add(sums: Sums, place: int, value: float) -> None:
    """Add to a sum of two floats; what rounding takes from the first goes to the second."""
    first = sums[place]
    total = first + value
    kept = total - first
    lost = (first - (total - kept)) + (value - kept) + sums[place + 1]
    sums[place] = total + lost
    sums[place + 1] = lost - (sums[place] - total)


@_compiled
def _squared_move(before: float, after: float) -> float:
    move = (after - before) / before
    return move * move


@_compiled
def _walk(
    trades: Records, start: int, end: int, low: int, high: int, sums: Sums, moved: int
) -> tuple[int, int, int]:
    """Move the window, which holds trades [low, high), on to the times [start, end).

    ``moved`` counts the moves in it that are not 0: without one the volatility is 0, and not what rounding left.
    """
    ts, prices, quantities = trades["ts"], trades["price"], trades["quantity"]
    if low < high and ts[high - 1] < start:
        low = high
    while low < high and ts[low] < start:
        _add(sums, _PRICE, -prices[low])
        _add(sums, _VOLUME, -quantities[low])
        if low + 1 < high:
            move = _squared_move(prices[low], prices[low + 1])
            _add(sums, _MOVES, -move)
            moved -= move != 0.0
        low += 1
    if low == high:
        while low < len(trades) and ts[low] < start:
            low += 1
        high = low
    if low == high or moved == 0:
        sums[_MOVES], sums[_MOVES + 1], moved = 0.0, 0.0, 0
    if low == high:
        sums[:] = 0.0
    while high < len(trades) and ts[high] < end:
        _add(sums, _PRICE, prices[high])
        _add(sums, _VOLUME, quantities[high])
        if low < high:
            move = _squared_move(prices[high - 1], prices[high])
            _add(sums, _MOVES, move)
            moved += move != 0.0
        high += 1
    return low, high, moved


@_compiled
def _put(
    found: Records,
    written: int,
    swap: Records,
    row: int,
    direction: int,
    cex: float,
    base: float,
    profit: float,
) -> None:
    for_row = swap[row]
    found["ts"][written] = for_row["ts"]
    found["block_number"][written] = for_row["block_number"]
    found["log_index"][written] = for_row["log_index"]
    found["direction"][written] = direction
    found["cex_price"][written] = cex
    found["dex_price"][written] = for_row["price"]
    found["base_amount"][written] = base
    found["profit"][written] = profit


@_compiled
def _outcome(swaps: Records, row: int, trades_in_window: int, gas: float) -> int:
    """Whether a swap can be screened; written so that NaN cannot."""
    if not swaps["liquid"][row]:
        return _NO_LIQUIDITY
    if not 0.0 < swaps["price"][row] < _INFINITE:
        return _NO_PRICE
    if trades_in_window == 0:
        return _NO_TRADES
    if not (0.0 <= gas < _INFINITE and 0.0 <= swaps["gas_price"][row] < _INFINITE):
        return _NO_GAS
    return _SCREENED


@_compiled
def screen(
    trades: Records,
    swaps: Records,
    delay_ms: int,
    window_ms: int,
    threshold: float,
    investment: float,
    cex_fee: float,
    dex_fee: float,
    gas_estimate: int,
    found: Records,
    counts: Counts,
) -> int:
    """Write the opportunities of ``swaps`` into ``found``, count each swap in ``counts``; how many were written.

    ``trades`` (PRICED, sorted by time) hold the windows of all ``swaps`` (SWAP, sorted by time) whole; ``found`` has
    room for two a swap. ``gas_estimate``: -1 where each swap keeps the gas of its own transaction.
    """
    sums = np.zeros(6)
    low, high, moved, written = 0, 0, 0, 0
    for row in range(len(swaps)):
        end = swaps["ts"][row] - delay_ms
        if row == 0 or swaps["ts"][row] != swaps["ts"][row - 1]:
            low, high, moved = _walk(trades, end - window_ms, end, low, high, sums, moved)
        gas = float(gas_estimate) if gas_estimate >= 0 else swaps["gas_used"][row]
        outcome = _outcome(swaps, row, high - low, gas)
        counts[outcome] += 1
        if outcome != _SCREENED:
            continue
        cex, dex = sums[_PRICE] / (high - low), swaps["price"][row]
        cost = gas * swaps["gas_price"][row] / _WEI * dex
        first = written
        for direction in (BUY_CEX, BUY_DEX):
            if direction == BUY_CEX:
                base = investment * (1.0 - cex_fee) / cex
                out = base * dex * (1.0 - dex_fee)
            else:
                base = investment * (1.0 - dex_fee) / dex
                out = base * cex * (1.0 - cex_fee)
            profit = out - investment - cost
            if profit > threshold:
                _put(found, written, swaps, row, direction, cex, base, profit)
                written += 1
        for place in range(first, written):
            found["gas_used"][place] = gas
            found["gas_cost"][place] = cost
            found["volatility"][place] = math.sqrt(max(sums[_MOVES], 0.0))
            found["window_volume"][place] = sums[_VOLUME]
            found["window_trades"][place] = high - low
    return written
