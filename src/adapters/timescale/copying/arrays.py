"""PostgreSQL's binary COPY as structured arrays, for rows whose columns all have a fixed size and a value.

A row is the number of its columns (int16) and then, for each, its length (int32) and its value, everything big-endian;
times are microseconds since 2000-01-01. As no column is NULL, all rows have one length and are one array.
Source: PostgreSQL's manual, COPY, "Binary Format".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ....errors import BadData
from .records import POSTGRES_EPOCH_MS

Records: TypeAlias = npt.NDArray[np.void]

_KINDS = "ifb"


@dataclass(frozen=True, slots=True)
class RowFormat:
    """How rows of ``dtype`` travel. Fields named in ``times`` hold UTC milliseconds here."""

    dtype: np.dtype[np.void]
    wire: np.dtype[np.void]
    times: frozenset[str]

    @classmethod
    def of(cls, dtype: np.dtype[np.void], times: tuple[str, ...] = ()) -> RowFormat:
        """Raises ``ValueError`` for a field that is neither a number nor a boolean, or a time that is not one."""
        fields: list[tuple[str, str]] = [("columns", ">i2")]
        for name in dtype.names or ():
            field = dtype[name]
            if field.kind not in _KINDS:
                raise ValueError(f"{name}: {field} does not have a fixed size in the database")
            fields += [(f"{name} length", ">i4"), (name, field.newbyteorder(">").str)]
        if wrong := [name for name in times if dtype[name] != np.dtype("<i8")]:
            raise ValueError(f"{', '.join(wrong)}: a time is an int64 of milliseconds")
        return cls(dtype, np.dtype(fields), frozenset(times))

    def decode(self, raw: bytes | memoryview) -> Records:
        """The rows in ``raw``, which begins and ends with a row. Raises ``BadData`` when they have another shape."""
        if len(raw) % self.wire.itemsize:
            raise self._another_shape()
        sent = np.frombuffer(raw, self.wire)
        rows = np.empty(len(sent), self.dtype)
        names = self.dtype.names or ()
        whole = bool((sent["columns"] == len(names)).all())
        for name in names:
            whole = whole and bool((sent[f"{name} length"] == self.dtype[name].itemsize).all())
            rows[name] = sent[name] // 1000 + POSTGRES_EPOCH_MS if name in self.times else sent[name]
        if not whole:
            raise self._another_shape()
        return rows

    def encode(self, rows: Records) -> bytes:
        """``rows`` as COPY takes them, without header and trailer."""
        sent = np.empty(len(rows), self.wire)
        names = self.dtype.names or ()
        sent["columns"] = len(names)
        for name in names:
            sent[f"{name} length"] = self.dtype[name].itemsize
            sent[name] = (rows[name] - POSTGRES_EPOCH_MS) * 1000 if name in self.times else rows[name]
        return sent.tobytes()

    def _another_shape(self) -> BadData:
        return BadData(
            f"database: a row is not {self.dtype}: a NULL, or a column of another type", reason="shape"
        )
