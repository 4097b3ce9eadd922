"""``ports.reading.Reader``: named queries on a few sessions that only read."""

from __future__ import annotations

from typing import Any

from psycopg.rows import dict_row

from ....telemetry.metrics import Metrics
from ..errors import CLIENT_ERRORS, sqlstate_class, translate
from ..options import DatabaseOptions
from ..queries import query
from .pool import make_reading_pool

SESSIONS = 4
"""At a time; whoever comes when all are busy waits for one."""


class ReadPool:
    """Construct, ``open``, ``close``. Every call is a statement of its own: no transaction outlives it."""

    def __init__(self, options: DatabaseOptions, metrics: Metrics, *, purpose: str = "api") -> None:
        self._pool = make_reading_pool(options, purpose=purpose, size=SESSIONS)
        self._metrics = metrics

    async def open(self) -> None:
        """Make the pool, which connects when it is first used."""
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        """See ``ports.reading.Reader``."""
        try:
            async with self._pool.connection() as connection:
                return await (await connection.execute(_text(query), values)).fetchall()
        except CLIENT_ERRORS as error:
            raise self._translated(error) from error

    async def records(self, query: str, **values: Any) -> list[dict[str, Any]]:
        """See ``ports.reading.Reader``."""
        try:
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                await cursor.execute(_text(query), values)
                return await cursor.fetchall()
        except CLIENT_ERRORS as error:
            raise self._translated(error) from error

    def _translated(self, error: Exception) -> Exception:
        self._metrics.database_errors.labels(sqlstate_class(error)).inc()
        return translate(error)


def _text(name: str) -> Any:
    file, _, word = name.partition(".")
    return query(file, word)
