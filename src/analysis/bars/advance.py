"""Bars from trades or candles, in any pieces: pure functions over the kernels. Import this in pool processes only.

    state = new_state(Recipe.DOLLAR, 1e6)
    for piece in pieces:
        bars, state = advance(state, piece)

The bars of all pieces together, and the state after the last, are bit for bit those of one call with all rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import BadData
from . import kernels
from .dtypes import BAR, CANDLE, TRADE, Recipe, Records
from .ranges import offset_ms

#: Bars that a kernel may write before its output is moved: 6 MB, however many bars a small size makes.
_ROOM = 65_536

_FAULTS = {
    kernels.BAD_ORDER: "repeats {what} or comes after a later one: give each once, in ascending order",
    kernels.BAD_BACKWARD: f"is more than {kernels.BACKWARD_MS} ms earlier than the trade before it: repair its time",
    kernels.BAD_LATE: "lies before the time up to which all was said to be there: make these bars again",
    kernels.BAD_START: "does not begin where a candle of {part_ms} ms begins: give candles of one size",
    kernels.BAD_VALUE: "has a price, quantity or volume that cannot be: {values}",
}
_REASONS = {
    kernels.BAD_ORDER: "order",
    kernels.BAD_BACKWARD: "backward",
    kernels.BAD_LATE: "late",
    kernels.BAD_START: "start",
    kernels.BAD_VALUE: "value",
}


def advance(
    state: Records, rows: Records, *, cuts: Sequence[int] = (), until_ms: int | None = None
) -> tuple[Records, Records]:
    """The bars that ``rows`` complete, and the state after them. ``state`` itself is not changed.

    ``rows`` are TRADE records in order of id, or CANDLE records in order of time for TIME_OF_CANDLES; they go on where
    ``state`` stopped. ``cuts`` are the times (UTC milliseconds) at which another listing of the symbol begins: no bar
    crosses one. ``until_ms`` promises that nothing earlier will come: a bar of time that is over by then is written,
    though no later row has shown it. Raises BadData, naming the row, for what can be in no bar.
    """
    recipe = Recipe(int(state["recipe"][0]))
    wanted = CANDLE if recipe is Recipe.TIME_OF_CANDLES else TRADE
    if rows.dtype != wanted:
        raise TypeError(f"{recipe.name} bars are made of {wanted}, not of {rows.dtype}")
    state = state.copy()
    limits = np.array(sorted(cuts), np.int64)
    made = _all_bars(recipe, rows, limits, state)
    if until_ms is not None and recipe.kind == "time":
        last = np.empty(1, BAR)
        made.append(last[: kernels.close_until(until_ms, limits, state, last)])
    return np.concatenate(made) if made else np.empty(0, BAR), state


def _all_bars(recipe: Recipe, rows: Records, cuts: kernels.Cuts, state: Records) -> list[Records]:
    offset = offset_ms(int(state["size"][0])) if recipe.kind == "time" else 0
    part_offset = offset_ms(int(state["part_ms"][0])) if recipe is Recipe.TIME_OF_CANDLES else 0
    made: list[Records] = []
    row = 0
    while row < len(rows):
        bars = np.empty(min(len(rows) - row + 2, _ROOM), BAR)
        if recipe is Recipe.TIME_OF_CANDLES:
            status, row, count = kernels.bars_of_candles(rows, row, offset, part_offset, cuts, state, bars)
        else:
            status, row, count = kernels.bars_of_trades(rows, row, offset, cuts, state, bars)
        if status not in (kernels.DONE, kernels.NO_ROOM):
            raise _fault(status, rows[row], state)
        made.append(bars[:count])
    return made


def _fault(status: int, row: np.void, state: Records) -> BadData:
    traded = row.dtype == TRADE
    name = f"trade {row['trade_id']} at {row['ts']}" if traded else f"candle at {row['open_ts']}"
    what = f"id {state['last_id'][0]}" if traded else f"time {state['clock'][0]}"
    values = {str(key): row[key].item() for key in (row.dtype.names or ())}
    text = _FAULTS[status].format(what=what, part_ms=state["part_ms"][0], values=values)
    return BadData(f"{name} {text}", reason=f"bars_{_REASONS[status]}")
