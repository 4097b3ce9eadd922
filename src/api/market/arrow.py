"""Klines as an Arrow IPC stream, out of what the database packed: no number becomes a Python object on the way.

A row is ten values of eight bytes, as PostgreSQL sends them: big-endian, whole numbers signed, floats IEEE 754. NaN and
-1 stand for what the venue did not say, which no stored value is.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from io import BytesIO
from math import isnan
from typing import Any, Final

import nanoarrow
from nanoarrow.ipc import StreamWriter

MEDIA_TYPE: Final = "application/vnd.apache.arrow.stream"

_INTEGERS: Final = frozenset({"trade_count", "missing_minutes"})
_COLUMNS: Final = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "quote_volume",
    "trade_count",
    "taker_buy_volume",
    "missing_minutes",
)
_SCHEMA: Final = nanoarrow.struct(
    {
        name: (
            nanoarrow.timestamp("ms", timezone="UTC", nullable=False)
            if name == "open_time"
            else nanoarrow.int64()
            if name in _INTEGERS
            else nanoarrow.float64()
        )
        for name in _COLUMNS
    },
    nullable=False,
)


def klines_stream(packed: str) -> bytes:
    """The whole stream, schema and one batch; ``packed`` are the rows in hexadecimal."""
    raw = bytes.fromhex(packed)
    whole, floats = array("q"), array("d")
    whole.frombytes(raw)
    floats.frombytes(raw)
    if sys.byteorder == "little":  # Arrow is
        whole.byteswap()
        floats.byteswap()
    width = len(_COLUMNS)
    length = len(whole) // width
    children = [
        _whole(whole[place::width], is_time=place == 0)
        if place == 0 or name in _INTEGERS
        else _float(floats[place::width])
        for place, name in enumerate(_COLUMNS)
    ]
    batch = nanoarrow.c_array_from_buffers(_SCHEMA, length, buffers=[None], null_count=0, children=children)
    out = BytesIO()
    with StreamWriter.from_writable(out) as writer:
        writer.write_stream(batch)
    return out.getvalue()


def _whole(values: array[int], *, is_time: bool) -> Any:
    kind = nanoarrow.timestamp("ms", timezone="UTC") if is_time else nanoarrow.int64()
    nulls = 0 if is_time else values.count(-1)
    validity = _bits([value != -1 for value in values]) if nulls else None
    return nanoarrow.c_array_from_buffers(kind, len(values), [validity, values], null_count=nulls)


def _float(values: array[float]) -> Any:
    # One NaN makes the sum one, and nothing else does: what is stored is finite.
    known = [not isnan(value) for value in values] if isnan(sum(values)) else []
    validity = _bits(known) if known else None
    return nanoarrow.c_array_from_buffers(
        nanoarrow.float64(), len(values), [validity, values], null_count=known.count(False)
    )


def _bits(known: Sequence[bool]) -> bytes:
    """A bit for each value, the first one the lowest."""
    found = bytearray((len(known) + 7) // 8)
    for place, is_known in enumerate(known):
        if is_known:
            found[place >> 3] |= 1 << (place & 7)
    return bytes(found)
