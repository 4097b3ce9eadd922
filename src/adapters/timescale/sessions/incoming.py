"""The temporary table of a session, into which rows come by COPY before a statement takes them on.

A temporary table that lives for weeks would hold back ``datfrozenxid`` (autovacuum cannot freeze another session's
table), so every six hours it is dropped and made again. The session stays: with the writer's goes its lock.
"""

from __future__ import annotations

import time
from typing import LiteralString

from psycopg import AsyncConnection

_RENEW_S = 6 * 3600.0


class IncomingTable:
    """The table of whichever session it is given; ``drop`` and ``create`` are statements."""

    def __init__(self, *, drop: LiteralString, create: LiteralString) -> None:
        self._drop, self._create = drop, create
        self._made_on: AsyncConnection | None = None
        self._made_at = 0.0

    async def prepare(self, connection: AsyncConnection) -> None:
        """Make the table where the session has none, or one that is old. Outside of any transaction."""
        if self._made_on is connection and time.monotonic() - self._made_at < _RENEW_S:
            return
        await connection.execute(self._drop)
        await connection.execute(self._create)
        self._made_on, self._made_at = connection, time.monotonic()
