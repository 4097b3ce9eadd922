"""PostgreSQL's binary COPY as numpy arrays: a column at a time, no value ever touched by itself.

Imported in worker processes only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
END = struct.pack(">h", -1)
_NULL = -1
_PIECE_ROWS = 4096
"""About a megabyte: what a socket's buffers hold while the server is busy with the one before."""
POSTGRES_EPOCH_MS = 946_684_800_000
"""2000-01-01 UTC: PostgreSQL counts from there, in microseconds."""

INT2, INT4, INT8, FLOAT8 = (np.dtype(name) for name in (">i2", ">i4", ">i8", ">f8"))


@dataclass(frozen=True, slots=True)
class Column:
    """``values`` is an array, or one value for all rows; ``nulls`` marks the rows that have none."""

    kind: np.dtype[Any]
    values: npt.NDArray[Any] | bytes | int
    nulls: npt.NDArray[np.bool_] | None = None


def text(value: str) -> Column:
    """A text column with the same value in every row."""
    data = value.encode()
    return Column(np.dtype(f"S{len(data)}"), data)


def timestamps(open_ms: npt.NDArray[np.int64]) -> Column:
    """A timestamptz column."""
    return Column(INT8, (open_ms - POSTGRES_EPOCH_MS) * 1000)


def milliseconds(timestamps: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What a timestamptz column says, UTC milliseconds."""
    return timestamps // 1000 + POSTGRES_EPOCH_MS


def encode(columns: Sequence[Column], rows: int) -> Iterator[bytes]:
    """The stream of a COPY FROM, in pieces: the server stores one while the next is put together.

    Rows of one pattern of NULLs have one width and go out together; most files have one pattern, none.
    """
    yield SIGNATURE
    pattern = np.zeros(rows, np.int64)
    for at, column in enumerate(columns):
        if column.nulls is not None:
            pattern |= column.nulls.astype(np.int64) << at
    for bits in np.unique(pattern):
        chosen = np.flatnonzero(pattern == bits)
        for start in range(0, len(chosen), _PIECE_ROWS):
            yield _records(columns, int(bits), chosen[start : start + _PIECE_ROWS])
    yield END


def _records(columns: Sequence[Column], bits: int, chosen: npt.NDArray[np.intp]) -> bytes:
    fields: list[tuple[str, np.dtype[Any]]] = [("count", INT2)]
    for at, column in enumerate(columns):
        fields.append((f"length{at}", INT4))
        if not bits >> at & 1:
            fields.append((f"value{at}", column.kind))
    records = np.zeros(len(chosen), np.dtype(fields))
    records["count"] = len(columns)
    for at, column in enumerate(columns):
        if bits >> at & 1:
            records[f"length{at}"] = _NULL
            continue
        records[f"length{at}"] = column.kind.itemsize
        values = column.values
        records[f"value{at}"] = values[chosen] if isinstance(values, np.ndarray) else values
    return records.tobytes()


def decode(stream: bytes, kinds: Mapping[str, np.dtype[Any]]) -> npt.NDArray[Any]:
    """The rows of a COPY TO without NULLs, as one array with a field for each of ``kinds``.

    Raises ``ValueError`` when the stream is not of that shape.
    """
    fields: list[tuple[str, np.dtype[Any]]] = [("", INT2)]
    for name, kind in kinds.items():
        fields += [(f"length of {name}", INT4), (name, kind)]
    shape = np.dtype([(name or "count", kind) for name, kind in fields])
    size = len(stream) - len(SIGNATURE) - len(END)
    if not stream.startswith(SIGNATURE) or not stream.endswith(END) or size % shape.itemsize:
        raise ValueError(f"a binary COPY of {len(stream)} bytes is not made of rows of {shape.itemsize}")
    return np.frombuffer(stream, shape, size // shape.itemsize, len(SIGNATURE))
