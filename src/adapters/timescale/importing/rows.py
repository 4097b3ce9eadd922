"""The rows of a parsed file against those that are stored, as columns. Imported in worker processes only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from ....model import DAY_MS, Authority
from ...binance.archive.klines import FLOATS, KlineTable
from ..copying.records import FLOAT8, INT2, INT4, INT8, Column, encode, milliseconds, text, timestamps

Mask = npt.NDArray[np.bool_]

STORED = {
    "bucket_ts": INT8,
    **dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume"), FLOAT8),
    "trade_count": INT8,
    **dict.fromkeys(("taker_buy_volume", "taker_buy_quote_volume"), FLOAT8),
    "authority": INT2,
    "revision": INT4,
    "same_source": INT4,
}
"""The columns of ``imports.copy_stored`` in order."""

Stored = npt.NDArray[Any]
"""Rows of ``imports.copy_stored``, ordered by time."""
NOTHING_STORED: Stored = np.zeros(0, np.dtype(list(STORED.items())))

_OPTIONAL = ("quote_volume", "taker_buy_volume", "taker_buy_quote_volume")
_EPOCH = date(1970, 1, 1)


def days(table: KlineTable) -> npt.NDArray[np.int64]:
    """The UTC day of each row, counted from 1970."""
    return table.open_ms // DAY_MS


def as_date(day: int) -> date:
    """A number of ``days`` as a date."""
    return _EPOCH + timedelta(days=int(day))


def as_number(day: date) -> int:
    """The other way round."""
    return (day - _EPOCH).days


def direct_stream(
    table: KlineTable, exchange: str, symbol: str, source: str, revision: int
) -> Iterator[bytes]:
    """The stream of ``imports.copy_candles``."""
    yield from encode(
        [
            text(exchange),
            text(symbol),
            timestamps(table.open_ms),
            *_values(table),
            *_origin(source, revision),
        ],
        len(table),
    )


def incoming_stream(table: KlineTable, symbol: str, source: str, revision: int) -> Iterator[bytes]:
    """The stream of ``candles.copy_incoming``."""
    yield from encode(
        [text(symbol), Column(INT8, table.open_ms), *_values(table), *_origin(source, revision)], len(table)
    )


def compare(table: KlineTable, stored: Stored, revision: int) -> tuple[Mask, Mask, Mask]:
    """Which rows are stored just so, which are archive rows without trades that can never replace what is stored, and
    which are stored with other values.

    The second is the rule of docs/adr/0003 that is decided most often; everything else is left to the guarded
    statement.
    """
    nothing = np.zeros(len(table), np.bool_)
    if not len(stored):
        return nothing, nothing, nothing
    times = stored_minutes(stored)
    places = np.minimum(np.searchsorted(times, table.open_ms), len(times) - 1)
    is_there = times[places] == table.open_ms
    beside = stored[places]
    same_values = beside["trade_count"] == table.trade_count
    complete = beside["trade_count"] >= 0
    for name in FLOATS:
        theirs, ours = beside[name], table.floats[name]
        same_values &= (theirs == ours) | (np.isnan(theirs) & np.isnan(ours))
        complete &= ~np.isnan(theirs)
    traded = complete & (beside["trade_count"] > 0) & (beside["authority"] > Authority.FOREIGN)
    equal = (
        is_there
        & same_values
        & (beside["authority"] == Authority.ARCHIVE)
        & (beside["revision"] == revision)
        & (beside["same_source"] == 1)
    )
    return equal, is_there & ~equal & traded & (table.trade_count <= 0), is_there & ~same_values


def stored_minutes(stored: Stored) -> npt.NDArray[np.int64]:
    """The starts of the stored minutes in UTC ms."""
    return milliseconds(stored["bucket_ts"].astype(np.int64))


def _values(table: KlineTable) -> list[Column]:
    """The nine market values in table order."""
    floats = {
        name: Column(FLOAT8, values, np.isnan(values) if name in _OPTIONAL else None)
        for name, values in table.floats.items()
    }
    count = Column(INT8, table.trade_count, table.trade_count < 0)
    return [
        *(floats[name] for name in ("open", "high", "low", "close", "volume", "quote_volume")),
        count,
        *(floats[name] for name in ("taker_buy_volume", "taker_buy_quote_volume")),
    ]


def _origin(source: str, revision: int) -> list[Column]:
    return [text(source), Column(INT2, int(Authority.ARCHIVE)), Column(INT4, revision)]
