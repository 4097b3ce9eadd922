"""Price series of one side: open, high, low, close, vwap and volume of each second, minute or hour.

Import this in pool processes only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np

from ...errors import BadData
from ..arbitrage.dtypes import Records

#: What was traded at one time: ``price`` is what it is told at, ``base`` and ``quote`` what changed hands.
DEAL = np.dtype([("ts", "<i8"), ("price", "<f8"), ("base", "<f8"), ("quote", "<f8")])

#: One bucket, from ``bucket_ts`` on. ``vwap`` is quote_volume / volume, the close where no volume was said.
SERIES = np.dtype(
    [
        ("bucket_ts", "<i8"),
        ("open", "<f8"),
        ("high", "<f8"),
        ("low", "<f8"),
        ("close", "<f8"),
        ("vwap", "<f8"),
        ("volume", "<f8"),
        ("quote_volume", "<f8"),
        ("trade_count", "<i8"),
    ]
)

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


def _compiled(function: Callable[_Given, _Result]) -> Callable[_Given, _Result]:
    """Without a cache on disk, which would lie beside the source; compiling takes seconds, once a process."""
    return cast(Callable[_Given, _Result], numba.njit(function))


def price_series(pieces: Iterable[Records], step_ms: int) -> Iterator[Records]:
    """SERIES records of DEAL records that are sorted by time; the same bits wherever these were cut into pieces."""
    kept = np.empty(0, DEAL)
    for piece in pieces:
        rows = np.concatenate([kept, _checked(piece)])
        if not len(rows):
            continue
        last = int(rows["ts"][-1]) // step_ms * step_ms
        whole = int(np.searchsorted(rows["ts"], last))
        if whole:
            yield _series(rows[:whole], step_ms)
        kept = rows[whole:]
    if len(kept):
        yield _series(kept, step_ms)


def _series(deals: Records, step_ms: int) -> Records:
    made = np.empty(1 + np.count_nonzero(np.diff(deals["ts"] // step_ms)), SERIES)
    _fill(deals, step_ms, made)
    return made


@_compiled
def _fill(deals: Records, step_ms: int, made: Records) -> None:
    """A sum begins at 0 with each bucket and adds in order, so a bucket does not depend on what was before it."""
    ts, prices, bases, quotes = deals["ts"], deals["price"], deals["base"], deals["quote"]
    row, place = 0, 0
    while row < len(deals):
        opened = ts[row] // step_ms * step_ms
        first, high, low, close = prices[row], prices[row], prices[row], prices[row]
        volume, quote_volume, count = 0.0, 0.0, 0
        while row < len(deals) and ts[row] < opened + step_ms:
            close = prices[row]
            high, low = max(high, close), min(low, close)
            volume += bases[row]
            quote_volume += quotes[row]
            count += 1
            row += 1
        made["bucket_ts"][place] = opened
        made["open"][place], made["high"][place] = first, high
        made["low"][place], made["close"][place] = low, close
        made["vwap"][place] = quote_volume / volume if volume > 0.0 and quote_volume > 0.0 else close
        made["volume"][place], made["quote_volume"][place] = volume, quote_volume
        made["trade_count"][place] = count
        place += 1


def _checked(piece: Records) -> Records:
    if piece.dtype != DEAL:
        raise TypeError(f"these must be {DEAL}, not {piece.dtype}")
    wrong = ~((piece["price"] > 0) & np.isfinite(piece["price"]))
    for name in ("base", "quote"):
        wrong |= ~((piece[name] >= 0) & np.isfinite(piece[name]))
    if np.any(wrong):
        row = piece[int(np.argmax(wrong))]
        raise BadData(f"what was traded at {row['ts']} cannot be: {row}", reason="price_series_value")
    return piece
