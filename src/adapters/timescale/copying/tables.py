"""``ports.tables.Tables`` on one psycopg session, for kernel processes: numpy arrays by binary COPY."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, LiteralString, TypeAlias

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import Connection

from ..errors import CLIENT_ERRORS, translate
from ..options import DatabaseOptions
from ..queries import query
from .arrays import RowFormat
from .out import copied
from .records import END, SIGNATURE

Records: TypeAlias = npt.NDArray[np.void]

_LOCK_TIMEOUT = "30s"
_BLOCK_BYTES = 1 << 20


class DatabaseTables:
    """Connects with the first call. What takes too long is killed with its process, so statements have no deadline."""

    def __init__(self, options: DatabaseOptions) -> None:
        self._options = options
        self._opened: Connection | None = None

    def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        with _translated():
            return self._rows(_query(query), values)

    def read(
        self, query: str, dtype: np.dtype[np.void], *, times: tuple[str, ...] = (), **values: Any
    ) -> Records:
        found = list(self.pieces(query, dtype, times=times, **values))
        return np.concatenate(found) if found else np.empty(0, dtype)

    def pieces(
        self,
        query: str,
        dtype: np.dtype[np.void],
        *,
        times: tuple[str, ...] = (),
        size: int = 262_144,
        **values: Any,
    ) -> Iterator[Records]:
        form = RowFormat.of(dtype, times)
        with (
            _translated(),
            closing(copied(self._connection, _query(query), values or None)) as parts,
        ):
            for raw in _blocks(parts, size * form.wire.itemsize):
                yield form.decode(raw)

    def write(
        self, query: str, rows: Records, *, times: tuple[str, ...] = (), **values: Any
    ) -> list[tuple[Any, ...]]:
        form = RowFormat.of(rows.dtype, times)
        at_once = max(1, _BLOCK_BYTES // form.wire.itemsize)
        with _translated(), self._connection.transaction():
            self._connection.execute(_query(f"{query}_incoming"))
            with self._connection.cursor() as cursor, cursor.copy(_query("tables.copy_in")) as copy:
                copy.write(SIGNATURE)
                for start in range(0, len(rows), at_once):
                    copy.write(form.encode(rows[start : start + at_once]))
                copy.write(END)
            found = self._rows(_query(query), values)
            self._connection.execute(_query("tables.drop_incoming"))
        return found

    @contextmanager
    def transaction(self) -> Iterator[object]:
        with _translated(), self._connection.transaction() as transaction:
            yield transaction

    def close(self) -> None:
        """End the session; what was not committed is rolled back."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _connection(self) -> Connection:
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _connect(self) -> Connection:
        options = self._options
        info = options.conninfo("kernel", writable=True)
        # Never prepared: only a plan made for these very bounds leaves out the chunks that cannot matter.
        connection = psycopg.connect(info, autocommit=True, prepare_threshold=None)
        settings = {"schema": options.schema, "lock_timeout": _LOCK_TIMEOUT, "statement_timeout": "0"}
        connection.execute(query("session", "configure"), settings)
        return connection

    def _rows(self, statement: LiteralString, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(statement, values or None)
        return cursor.fetchall() if cursor.description else []


def _query(name: str) -> LiteralString:
    file, _, name = name.partition(".")
    return query(file, name)


def _blocks(parts: Iterable[bytes], size: int) -> Iterator[memoryview]:
    """The rows without header and trailer, ``size`` bytes at a time; each is gone when the next one is asked for."""
    held, begin = bytearray(), len(SIGNATURE)
    for part in parts:
        held += part
        if len(held) >= begin + size + len(END):  # the trailer must not be taken for the beginning of a row
            end = begin + (len(held) - begin - len(END)) // size * size
            whole = memoryview(held)
            yield from (whole[start : start + size] for start in range(begin, end, size))
            held, begin = bytearray(whole[end:]), 0
    rest = memoryview(held)[begin:]
    if rest[-len(END) :] == END:
        rest = rest[: -len(END)]
    if rest:
        yield rest


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except CLIENT_ERRORS as error:
        raise translate(error) from error
