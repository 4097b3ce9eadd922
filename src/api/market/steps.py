"""Series thinned out to one row a step of time; pure.

Rows are named by the end of what they are about, so a step is (begin, begin + length]: the row of 11:00 is the last of
the hour that begins at 10:00, as the candle of 10:00 is.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal

from .instants import utc
from .intervals import Interval
from .pieces import Asked, Found, Piece, Read, looking, sweep

StepName = Literal["5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"]


def begin(step: Interval, ms: int) -> int:
    """Where the step begins that a row named ``ms`` is in."""
    return step.floor(ms - 1)


async def sweep_steps(
    read: Read, fixed: dict[str, Any], asked: Asked, bounds: tuple[int, int], limit: int, step: Interval
) -> Piece:
    """The newest row of each step, of the rows that are wanted inside ``bounds``; ``read`` gives them for one range.

    A piece goes on with the step after (or before) the one in which the piece before it ended, and no step is cut in
    two where one range of time follows another.
    """
    low, high = _whole(asked, bounds, step)
    span = {"length": timedelta(milliseconds=step.length_ms), "origin": utc(step.origin_ms)}
    one = looking(read, {**fixed, **span})

    async def look(from_ms: int, to_ms: int, most: int) -> Found | None:
        return await one(max(from_ms + 1, low), min(to_ms + 1, high), most)

    outer = (begin(step, low), step.ceiling(high - 1)) if low < high else (low, low)
    piece = await sweep(look, asked, outer, limit, (limit + 1) * step.length_ms)
    if piece.next is None or not asked.forward or piece.upto_ms is None:
        return piece
    # Another row of the last step would be told instead.
    ends = begin(step, piece.upto_ms - 1) + step.length_ms + 1
    return piece._replace(upto_ms=ends if asked.end_ms is None else min(ends, asked.end_ms))


def _whole(asked: Asked, bounds: tuple[int, int], step: Interval) -> tuple[int, int]:
    """``bounds`` without the rest of the step that the cursor's row was of."""
    low, high = bounds
    if asked.after is None:
        return low, high
    begins = begin(step, asked.after.ms)
    if asked.forward:
        return max(low, begins + step.length_ms + 1), high
    return low, min(high, begins + 1)
