"""The loops that make bars, compiled by numba: one pass, no allocation, no exceptions.

The order of every float operation is that of the rows, and a sum begins anew with each bar, so a bar does not depend
on where the input was cut: what is in progress waits in ``state`` (one STATE record) and goes on there. numba neither
reorders nor fuses float operations unless it is told to (``fastmath``), so the results are those of plain Python.

Each loop returns (what stopped it, row it stopped at, bars written). Import this in pool processes only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, ParamSpec, TypeAlias, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

from .dtypes import NEVER, UNKNOWN_COUNT, Recipe, Records

#: Why a loop stopped. What begins with BAD is the fault of the row it stopped at.
DONE: Final = 0
NO_ROOM: Final = 1
BAD_ORDER: Final = 2
BAD_BACKWARD: Final = 3
BAD_LATE: Final = 4
BAD_START: Final = 5
BAD_VALUE: Final = 6
_FULL: Final = 7
_PAST: Final = 8

#: How far a trade may go back behind the one before it and still be counted, at that one's time. Venues stamp trades in
#: several places, so ids and times disagree by milliseconds; more than this is damage.
BACKWARD_MS: Final = 60_000

_FOREVER: Final = 2**62
_INFINITE: Final = float("inf")
_TIMED: Final = int(Recipe.TIME_OF_TRADES)
_TICK: Final = int(Recipe.TICK)
_VOLUME: Final = int(Recipe.VOLUME)
_DOLLAR: Final = int(Recipe.DOLLAR)

Cuts: TypeAlias = npt.NDArray[np.int64]
_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def _compiled(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """Without a cache on disk, which would lie beside the source; compiling takes seconds, once a process."""
    return cast(Callable[_Given, _Result], numba.njit(function))


@_compiled
def _limit(cuts: Cuts, state: Records) -> int:
    """The next cut, which nothing that is in progress crosses."""
    for cut in cuts:
        if cut > state["segment_ts"][0]:
            return int(cut)
    return _FOREVER


@_compiled
def _pass_cut(cut: int, state: Records) -> None:
    """Begin another listing: ids count anew, and a bar that was not full never will be."""
    state["segment_ts"][0] = cut
    state["last_id"][0] = NEVER
    if state["is_open"][0]:
        state["discarded_trades"][0] += state["trade_count"][0]
        state["is_open"][0] = 0


@_compiled
def _open(state: Records, price: float, open_ts: int, close_ts: int, first_trade_id: int) -> None:
    state["is_open"][0] = 1
    state["open_ts"][0] = open_ts
    state["close_ts"][0] = close_ts
    state["first_trade_id"][0] = first_trade_id
    state["open"][0] = price
    state["high"][0] = price
    state["low"][0] = price
    state["volume"][0] = 0.0
    state["quote_volume"][0] = 0.0
    state["trade_count"][0] = 0
    state["buy_volume"][0] = 0.0


@_compiled
def _open_timed(state: Records, price: float, when: int, offset: int) -> None:
    size = int(state["size"][0])
    start = (when - offset) // size * size + offset
    _open(state, price, max(start, state["segment_ts"][0]), start + size, 0)


@_compiled
def _emit(state: Records, bars: Records, place: int, close_ts: int) -> None:
    """Write the bar in progress, which is over, to ``bars[place]``."""
    volume = state["volume"][0]
    quote_volume = state["quote_volume"][0]
    bars["open_ts"][place] = state["open_ts"][0]
    bars["close_ts"][place] = close_ts
    bars["first_trade_id"][place] = state["first_trade_id"][0]
    bars["open"][place] = state["open"][0]
    bars["high"][place] = state["high"][0]
    bars["low"][place] = state["low"][0]
    bars["close"][place] = state["close"][0]
    bars["volume"][place] = volume
    bars["quote_volume"][place] = quote_volume
    bars["trade_count"][place] = state["trade_count"][0]
    bars["buy_volume"][place] = state["buy_volume"][0]
    bars["vwap"][place] = quote_volume / volume if volume > 0.0 else state["close"][0]
    state["is_open"][0] = 0


@_compiled
def bars_of_trades(
    trades: Records, row: int, offset: int, cuts: Cuts, state: Records, bars: Records
) -> tuple[int, int, int]:
    """Trades from ``row`` on into bars of time, tick, volume or dollar, as ``state`` says.

    ``offset``: ``offset_ms`` of the size; ``cuts``: sorted times that no bar crosses.
    """
    timed = state["recipe"][0] == _TIMED
    written = 0
    limit = _limit(cuts, state)
    while row < len(trades):
        if written == len(bars):
            return NO_ROOM, row, written
        when = max(trades["ts"][row], state["clock"][0])
        end = min(state["close_ts"][0], limit)
        if timed and state["is_open"][0] and when >= end:
            _emit(state, bars, written, end)
            written += 1
        if when >= limit:
            _pass_cut(limit, state)
            limit = _limit(cuts, state)
            continue
        if not state["is_open"][0]:
            if timed:
                _open_timed(state, trades["price"][row], when, offset)
            else:
                _open(state, trades["price"][row], when, _FOREVER, trades["trade_id"][row])
        status, row = _fill(trades, row, min(state["close_ts"][0], limit), state)
        if status == _FULL:
            _emit(state, bars, written, state["clock"][0])
            written += 1
        elif status != _PAST and status != DONE:
            return status, row, written
    return DONE, row, written


@_compiled
def _fill(trades: Records, row: int, end: int, state: Records) -> tuple[int, int]:
    """Add trades to the bar in progress until it is full, or a trade is at ``end`` or after it."""
    ts, ids = trades["ts"], trades["trade_id"]
    prices, quantities, sold = trades["price"], trades["quantity"], trades["is_buyer_maker"]
    recipe, size = state["recipe"][0], state["size"][0]
    clock, closed, last_id = state["clock"][0], state["closed_ts"][0], state["last_id"][0]
    backward, skipped = state["backward_trades"][0], state["skipped_ids"][0]
    high, low, close = state["high"][0], state["low"][0], state["close"][0]
    volume, quote_volume = state["volume"][0], state["quote_volume"][0]
    buy_volume, count = state["buy_volume"][0], state["trade_count"][0]
    status = DONE
    while row < len(trades) and status == DONE:
        when = max(ts[row], clock)
        if when >= end:
            status = _PAST
            break
        price, quantity, trade_id = prices[row], quantities[row], ids[row]
        amount = price * quantity
        if trade_id <= last_id:
            status = BAD_ORDER
        elif ts[row] < clock - BACKWARD_MS:
            status = BAD_BACKWARD
        elif when < closed:
            status = BAD_LATE
        elif not (price > 0.0 and quantity >= 0.0 and amount < _INFINITE):  # so written, NaN is wrong, too
            status = BAD_VALUE
        if status != DONE:
            break
        backward += when > ts[row]
        skipped += trade_id - last_id - 1 if last_id != NEVER else 0
        clock, last_id = when, trade_id
        high, low, close = max(high, price), min(low, price), price
        volume += quantity
        quote_volume += amount
        buy_volume += 0.0 if sold[row] else quantity
        count += 1
        row += 1
        if (
            (recipe == _TICK and count >= size)
            or (recipe == _VOLUME and volume >= size)
            or (recipe == _DOLLAR and quote_volume >= size)
        ):
            status = _FULL
    state["clock"][0], state["last_id"][0] = clock, last_id
    state["backward_trades"][0], state["skipped_ids"][0] = backward, skipped
    state["high"][0], state["low"][0], state["close"][0] = high, low, close
    state["volume"][0], state["quote_volume"][0] = volume, quote_volume
    state["buy_volume"][0], state["trade_count"][0] = buy_volume, count
    return status, row


@_compiled
def bars_of_candles(
    candles: Records, row: int, offset: int, part_offset: int, cuts: Cuts, state: Records, bars: Records
) -> tuple[int, int, int]:
    """Candles from ``row`` on into bars of time. A bar is written with the candle that completes it.

    ``offset``, ``part_offset``: ``offset_ms`` of the size of bars and candles. ``bars`` has room for two at least.
    """
    part = state["part_ms"][0]
    written = 0
    limit = _limit(cuts, state)
    while row < len(candles):
        if written + 2 > len(bars):
            return NO_ROOM, row, written
        when = candles["open_ts"][row]
        end = min(state["close_ts"][0], limit)
        if state["is_open"][0] and when >= end:
            _emit(state, bars, written, end)
            written += 1
        if when >= limit:
            _pass_cut(limit, state)
            limit = _limit(cuts, state)
            continue
        status = _candle_fault(candles, row, part, part_offset, state)
        if status != DONE:
            return status, row, written
        if not state["is_open"][0]:
            _open_timed(state, candles["open"][row], when, offset)
        _add_candle(candles, row, state)
        row += 1
        end = min(state["close_ts"][0], limit)
        if (when - part_offset) // part * part + part_offset + part >= end:
            _emit(state, bars, written, end)
            written += 1
    return DONE, row, written


@_compiled
def _candle_fault(candles: Records, row: int, part: int, part_offset: int, state: Records) -> int:
    """What is wrong with one candle; written so that NaN is wrong where a value must be known."""
    when = candles["open_ts"][row]
    if when <= state["clock"][0]:
        return BAD_ORDER
    if when < state["closed_ts"][0]:
        return BAD_LATE
    if (when - part_offset) % part != 0 and when != state["segment_ts"][0]:
        return BAD_START
    low, high = candles["low"][row], candles["high"][row]
    ordered = 0.0 < low <= candles["open"][row] <= high and low <= candles["close"][row] <= high < _INFINITE
    if not (ordered and 0.0 <= candles["volume"][row] < _INFINITE):
        return BAD_VALUE
    return DONE


@_compiled
def _add_candle(candles: Records, row: int, state: Records) -> None:
    """What is unknown stays unknown: NaN by itself, a count by its sign."""
    state["clock"][0] = candles["open_ts"][row]
    state["high"][0] = max(state["high"][0], candles["high"][row])
    state["low"][0] = min(state["low"][0], candles["low"][row])
    state["close"][0] = candles["close"][row]
    state["volume"][0] += candles["volume"][row]
    state["quote_volume"][0] += candles["quote_volume"][row]
    state["buy_volume"][0] += candles["buy_volume"][row]
    if state["trade_count"][0] < 0 or candles["trade_count"][row] < 0:
        state["trade_count"][0] = UNKNOWN_COUNT
    else:
        state["trade_count"][0] += candles["trade_count"][row]


@_compiled
def close_until(until: int, cuts: Cuts, state: Records, bars: Records) -> int:
    """Nothing before ``until`` comes any more: write the bar of time that is over by then; 0 or 1."""
    state["closed_ts"][0] = max(state["closed_ts"][0], until)
    end = min(state["close_ts"][0], _limit(cuts, state))
    if state["is_open"][0] and end <= until:
        _emit(state, bars, 0, end)
        return 1
    return 0
