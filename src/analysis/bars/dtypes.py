"""What goes into the bar kernels and what comes out: numpy dtypes, declared here and nowhere else.

Times are UTC milliseconds, prices in the quote asset, volumes in the base asset. Every field has eight bytes (but for
the flag of a trade, which is padded), so that each is aligned and a record has the same bytes everywhere.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ...errors import BadData
from ...model import MINUTE_MS
from .ranges import divides

Records: TypeAlias = npt.NDArray[np.void]

#: No trade and no candle yet: earlier than every time, less than every id, and far enough from the end of int64 that a
#: tolerance may be taken off.
NEVER = -(2**62)
#: ``trade_count`` where a source does not know it; unknown quote and buy volumes are NaN. Never 0, which is a value.
UNKNOWN_COUNT = -1

#: One trade, or one aggregated trade: ``is_buyer_maker`` means that the taker sold.
TRADE = np.dtype(
    [("ts", "<i8"), ("trade_id", "<i8"), ("price", "<f8"), ("quantity", "<f8"), ("is_buyer_maker", "?")],
    align=True,
)

_VALUES = [
    ("open", "<f8"),
    ("high", "<f8"),
    ("low", "<f8"),
    ("close", "<f8"),
    ("volume", "<f8"),
    ("quote_volume", "<f8"),
    ("trade_count", "<i8"),
    ("buy_volume", "<f8"),
]

#: A closed 1m candle, or a smaller bar that a larger one is made of.
CANDLE = np.dtype([("open_ts", "<i8"), *_VALUES])

#: A bar of time covers [open_ts, close_ts) and has first_trade_id 0, whatever it is made of. Any other bar lasts from
#: its first trade to its last, both included. ``vwap`` is quote_volume / volume, the close where nothing was traded.
BAR = np.dtype(
    [("open_ts", "<i8"), ("close_ts", "<i8"), ("first_trade_id", "<i8"), *_VALUES, ("vwap", "<f8")]
)

#: Where a run stopped: what it makes, the bar in progress (where is_open is 1), and what it has met.
STATE = np.dtype(
    [
        ("version", "<i8"),
        ("recipe", "<i8"),
        ("size", "<f8"),  # milliseconds, trades, base asset or quote asset
        ("part_ms", "<i8"),  # size of the candles it is made of
        ("segment_ts", "<i8"),  # the last cut that was passed
        ("closed_ts", "<i8"),  # nothing earlier comes any more
        ("clock", "<i8"),  # time of the last trade or candle, never going back
        ("last_id", "<i8"),
        ("backward_trades", "<i8"),  # earlier than the trade before them, and counted at its time
        ("skipped_ids", "<i8"),  # ids that never came
        ("discarded_trades", "<i8"),  # of bars that a cut ended before they were full
        ("is_open", "<i8"),
        ("open_ts", "<i8"),
        ("close_ts", "<i8"),
        ("first_trade_id", "<i8"),
        *_VALUES,
    ]
)
_STATE_VERSION = 1


class Recipe(IntEnum):
    """What bars are made of, and when one is full."""

    TIME_OF_CANDLES = 1
    TIME_OF_TRADES = 2
    TICK = 3
    VOLUME = 4
    DOLLAR = 5

    @property
    def kind(self) -> str:
        """The word in the table ``bars``: time, tick, volume or dollar."""
        return self.name.partition("_")[0].lower()


def new_state(recipe: Recipe, size: float, *, part_ms: int = MINUTE_MS) -> Records:
    """The state before the first row: one record. ``size`` is in milliseconds, trades, base asset or quote asset.

    ``part_ms`` is the size of the candles, where they are not minutes. Raises BadData for a size that cannot work.
    """
    _check_size(recipe, size, part_ms)
    state = np.zeros(1, STATE)
    state["version"], state["recipe"], state["size"] = _STATE_VERSION, recipe, size
    state["part_ms"] = part_ms if recipe is Recipe.TIME_OF_CANDLES else 0
    for name in ("segment_ts", "closed_ts", "clock", "last_id"):
        state[name] = NEVER
    return state


def state_bytes(state: Records) -> bytes:
    """What ``bar_state`` keeps; ``restored`` makes the same state of it."""
    return state.tobytes()


def restored(saved: bytes, recipe: Recipe, size: float, *, part_ms: int = MINUTE_MS) -> Records:
    """The state that was saved. Raises BadData where it belongs to other bars or another version of this layout."""
    wanted = new_state(recipe, size, part_ms=part_ms)
    if len(saved) != STATE.itemsize:
        raise BadData(
            f"a saved state of bars has {STATE.itemsize} bytes, not {len(saved)}: make these bars again",
            reason="bar_state",
        )
    state = np.frombuffer(saved, STATE).copy()
    for name in ("version", "recipe", "size", "part_ms"):
        if state[name][0] != wanted[name][0]:
            raise BadData(
                f"the saved state has {name} {state[name][0]}, wanted is {wanted[name][0]}: make these bars again",
                reason="bar_state",
            )
    return state


def as_candles(bars: Records) -> Records:
    """Bars of time as input for larger ones."""
    candles = np.empty(len(bars), CANDLE)
    for name in CANDLE.names or ():
        candles[name] = bars[name]
    return candles


def records(dtype: np.dtype[np.void], **columns: Any) -> Records:
    """Records of ``dtype`` from columns of equal length; a column that is not named is unknown (NaN or -1)."""
    made = np.empty(len(next(iter(columns.values()))), dtype)
    for name in dtype.names or ():
        unknown = np.nan if dtype[name].kind == "f" else UNKNOWN_COUNT
        made[name] = columns.pop(name, unknown)
    if columns:
        raise TypeError(f"no such columns: {', '.join(columns)}")
    return made


def _check_size(recipe: Recipe, size: float, part_ms: int) -> None:
    if not 0 < size < float("inf"):
        raise BadData(f"the size of a {recipe.kind} bar must be more than 0, not {size}", reason="bar_size")
    if recipe in (Recipe.VOLUME, Recipe.DOLLAR):
        return
    if size != int(size) or size >= 2**53:
        raise BadData(
            f"the size of a {recipe.kind} bar must be a whole number, not {size}", reason="bar_size"
        )
    if recipe is not Recipe.TIME_OF_CANDLES:
        return
    if part_ms <= 0 or part_ms % MINUTE_MS or not divides(part_ms, int(size)):
        raise BadData(
            f"bars of {int(size)} ms cannot be made of candles of {part_ms} ms: these must be minutes that divide it",
            reason="bar_size",
        )
