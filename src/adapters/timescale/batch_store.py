"""Batches that people make, to have an analysis write into."""

from __future__ import annotations

from psycopg_pool import AsyncConnectionPool

from .errors import CLIENT_ERRORS, translate
from .queries import query
from .task_store import fetch


class BatchStore:
    """``ports.work.Batches`` on a pool. Raises ``Unavailable``, ``BadData`` or ``Misconfigured``."""

    def __init__(self, pool: AsyncConnectionPool) -> None:
        self._pool = pool

    async def add(self, name: str) -> int | None:
        """The number of the new batch; None where the name is taken."""
        try:
            async with self._pool.connection() as connection:
                rows = await fetch(connection, query("arbitrage", "add_batch"), {"name": name})
        except CLIENT_ERRORS as error:
            raise translate(error) from error
        return int(rows[0][0]) if rows else None
