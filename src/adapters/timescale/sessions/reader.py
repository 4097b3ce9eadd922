"""``ports.reading.Reader``: named queries on a few sessions that only read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from ....telemetry.metrics import Metrics
from ..errors import CLIENT_ERRORS, sqlstate_class, translate
from ..options import DatabaseOptions
from ..queries import query
from .pool import make_reading_pool

T = TypeVar("T")

SESSIONS = 4
"""At a time; whoever comes when all are busy waits for one."""


class ReadPool:
    """Construct, ``open``, ``close``. Every call is a statement of its own: no transaction outlives it."""

    def __init__(self, options: DatabaseOptions, metrics: Metrics, *, purpose: str = "read") -> None:
        self._pool = make_reading_pool(options, purpose=purpose, size=SESSIONS)
        self._metrics = metrics

    async def open(self) -> None:
        """Make the pool, which connects when it is first used."""
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """See ``ports.reading.Reader``."""

        async def read(connection: AsyncConnection) -> list[tuple[Any, ...]]:
            return await (await connection.execute(_text(query), values)).fetchall()

        return await self._read(read)

    async def records(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """See ``ports.reading.Reader``."""

        async def read(connection: AsyncConnection) -> list[dict[str, Any]]:
            async with connection.cursor(row_factory=dict_row) as cursor:
                await cursor.execute(_text(query), values)
                return await cursor.fetchall()

        return await self._read(read)

    async def _read(self, read: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Idle sessions are not asked whether they live, which would cost a trip each time: what a lost one could not
        answer is asked again on another, as often as there may be lost ones."""
        left = SESSIONS
        while True:
            lost = False
            try:
                async with self._pool.connection() as connection:
                    try:
                        return await read(connection)
                    finally:
                        lost = connection.broken
            except CLIENT_ERRORS as error:
                self._metrics.database_errors.labels(sqlstate_class(error)).inc()
                left -= 1
                if not lost or left < 0:
                    raise translate(error) from error


def _text(name: str) -> Any:
    file, _, word = name.partition(".")
    return query(file, word)
