"""The instance lock: one daemon for each (schema, exchange, role), held by the very session that writes.

A session that lost the lock cannot write, because it no longer exists: the lock is let go only with the session.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from ....errors import AlreadyRunning, ConfigError
from ..options import DatabaseOptions
from ..queries import query


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who holds the lock. ``pid`` is the daemon's own (None if it left no run), ``backend_pid`` the server's."""

    backend_pid: int
    application_name: str
    run_id: str
    pid: int | None
    host: str
    since: datetime | None

    def __str__(self) -> str:
        who = f"pid {self.pid} on {self.host}" if self.pid else f"a session from {self.host}"
        since = f" since {self.since:%Y-%m-%d %H:%M:%S} UTC" if self.since else ""
        return f"{who}{since} (database session {self.backend_pid}, {self.application_name or 'unnamed'})"


async def lock_holder(connection: AsyncConnection, options: DatabaseOptions) -> LockHolder | None:
    """The present holder of the lock of ``options``, or None."""
    async with connection.cursor(row_factory=class_row(LockHolder)) as cursor:
        await cursor.execute(
            query("session", "lock_holder"),
            {"key": options.lock_key, "role": options.role, "exchange": options.exchange},
        )
        return await cursor.fetchone()


async def refuse_pooler(connection: AsyncConnection) -> None:
    """Raise ``ConfigError`` where this is no session of the server's own.

    A pooler tells its clients another process id than the one that works for them. In transaction mode every statement
    may work in another session: what was set, listened to and locked in the last one is not there. Nobody can see from
    here which mode it is in, so none is trusted with the lock that keeps two daemons apart.
    """
    row = await (await connection.execute(query("session", "backend"))).fetchone()
    if row is None or row[0] != connection.info.backend_pid:
        raise ConfigError(
            "DATABASE_URL: a connection pooler (pgbouncer or the like) answers there; name the server's own address,"
            " because locks, settings and notifications live in a session of the server"
        )


async def take_lock(connection: AsyncConnection, options: DatabaseOptions, *, application_name: str) -> None:
    """Take the lock for this session, or raise ``AlreadyRunning`` that names the holder.

    A session of our own run that still holds it is a ghost: its socket died, the server has not noticed. It is
    ended first; nobody else can come between, for whoever then wins the lock is refused or refuses us here.
    """
    if await _try(connection, options):
        return
    ghost = {"key": options.lock_key, "application_name": application_name}
    await connection.execute(query("session", "end_ghost"), ghost)
    if await _try(connection, options):
        return
    holder = await lock_holder(connection, options)
    if holder is None and await _try(connection, options):  # let go in this instant
        return
    raise AlreadyRunning(f"another marketd ({options.role}) works on this schema: {holder or 'unknown'}")


async def _try(connection: AsyncConnection, options: DatabaseOptions) -> bool:
    cursor = await connection.execute(query("session", "try_lock"), {"key": options.lock_key})
    row = await cursor.fetchone()
    return bool(row and row[0])
