"""A few sessions that many share: for short statements that are in nobody's way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from ....telemetry.pulse import outside
from ..options import DatabaseOptions
from ..queries import query

_LOCK_TIMEOUT, _STATEMENT_TIMEOUT = "10s", "30s"
_WAIT_S = 20.0
_READ_TIMEOUT = "10s"
_READ_WAIT_S = 5.0
_MOST_WAITING, _MOST_READING = 256, 64
"""Calls that may wait for a session; one more is told at once that the database is busy."""


class _Pool(AsyncConnectionPool):
    """Whoever waits for a session while the database is away says so."""

    async def getconn(self, timeout: float | None = None) -> AsyncConnection:
        with outside("a session of the database"):
            return await super().getconn(timeout)


def make_pool(options: DatabaseOptions, *, purpose: str, size: int) -> AsyncConnectionPool:
    """At most ``size`` sessions, none before it is opened, each with our settings.

    Whoever makes a session of its own from the pool's connection string (the queue, to listen) finds our tables too.
    """

    def info() -> str:
        plain = options.conninfo(purpose, writable=True)
        theirs = conninfo_to_dict(plain).get("options", "")
        return make_conninfo(
            plain, options=f"{theirs} -c search_path={_escaped(options.schema)},pg_temp".strip()
        )

    configure = partial(_configure, options.schema, _STATEMENT_TIMEOUT)
    return _pool(info, options.application_name(purpose), configure, size=size)


def make_reading_pool(options: DatabaseOptions, *, purpose: str, size: int) -> AsyncConnectionPool:
    """The same for sessions that only read: a standby will do, a query has 10 s, and no more than ``_MOST_READING``
    calls wait for a session, which may turn out to be lost: nobody asks it before."""
    info = partial(options.conninfo, purpose, writable=False)
    configure = partial(_configure_reading, options.schema)
    return _pool(
        info,
        options.application_name(purpose),
        configure,
        size=size,
        check=None,
        wait=_READ_WAIT_S,
        most=_MOST_READING,
    )


def _pool(
    info: Callable[[], str],
    name: str,
    configure: Callable[[AsyncConnection], Awaitable[None]],
    *,
    size: int,
    check: Callable[[AsyncConnection], Awaitable[None]] | None = AsyncConnectionPool.check_connection,
    wait: float = _WAIT_S,
    most: int = _MOST_WAITING,
) -> AsyncConnectionPool:
    return _Pool(
        info,
        # A statement that is prepared may get a plan for any bounds at all, which goes through every chunk there is.
        kwargs={"prepare_threshold": None},
        min_size=0,
        max_size=size,
        max_waiting=most,
        open=False,
        configure=configure,
        check=check,
        timeout=wait,
        reconnect_timeout=wait,
        name=name,
    )


async def _configure(schema: str, statement_timeout: str, connection: AsyncConnection) -> None:
    settings = {"schema": schema, "lock_timeout": _LOCK_TIMEOUT, "statement_timeout": statement_timeout}
    await connection.execute(query("session", "configure"), settings)
    await connection.commit()


async def _configure_reading(schema: str, connection: AsyncConnection) -> None:
    await _configure(schema, _READ_TIMEOUT, connection)
    await connection.execute(query("session", "only_read"))
    await connection.commit()
    await connection.set_autocommit(True)


def _escaped(schema: str) -> str:
    """An identifier within libpq's ``options``, where spaces and backslashes separate."""
    quoted = '"' + schema.replace('"', '""') + '"'
    return quoted.replace("\\", "\\\\").replace(" ", "\\ ")
