"""Ending a session of the database: one that is seen to be there, by its number, and seen to be gone."""

from __future__ import annotations

from typing import LiteralString

import psycopg

from .eventually import eventually

_THERE: LiteralString = (
    "SELECT pid FROM pg_stat_activity WHERE application_name LIKE %s AND datname = current_database()"
)
_END: LiteralString = "SELECT pg_terminate_backend(%s, 30000)"
"""The server waits so many ms for the end; false says that there was nobody, or that it did not end."""


async def end_session(url: str, purpose: str) -> int:
    """End the one session that goes by ``marketd/<purpose>/...`` in the database of ``url``; its process id.

    Who was thrown out before connects again only when it needs to, and a ghost stands beside its successor for a
    moment: so this waits until there is exactly one. Whoever calls it gives the session something to do afterwards,
    else nobody notices that it is gone.
    """
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def there() -> list[int]:
            rows = await (await connection.execute(_THERE, [f"marketd/{purpose}/%"])).fetchall()
            assert len(rows) == 1, f"{len(rows)} sessions of {purpose}"
            return [pid for (pid,) in rows]

        (pid,) = await eventually(there, timeout=60)
        assert await (await connection.execute(_END, [pid])).fetchone() == (True,), "it ended by itself"
        return pid
