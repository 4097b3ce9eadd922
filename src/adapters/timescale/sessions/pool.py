"""A few sessions that many share: for short statements that are in nobody's way."""

from __future__ import annotations

from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool

from ..options import DatabaseOptions, conninfo
from ..queries import query

_LOCK_TIMEOUT, _STATEMENT_TIMEOUT = "10s", "30s"
_WAIT_S = 20.0


def make_pool(options: DatabaseOptions, *, purpose: str, size: int) -> AsyncConnectionPool:
    """At most ``size`` sessions, none before it is opened, each with our settings.

    Whoever makes a session of its own from the pool's connection string (the queue, to listen) finds our tables too.
    """
    info = conninfo(options.url, application_name=options.application_name(purpose), writable=True)
    theirs = conninfo_to_dict(info).get("options", "")
    info = make_conninfo(info, options=f"{theirs} -c search_path={_escaped(options.schema)},pg_temp".strip())

    async def configure(connection: AsyncConnection) -> None:
        settings = {
            "schema": options.schema,
            "lock_timeout": _LOCK_TIMEOUT,
            "statement_timeout": _STATEMENT_TIMEOUT,
        }
        await connection.execute(query("session", "configure"), settings)
        await connection.commit()

    return AsyncConnectionPool(
        info,
        min_size=0,
        max_size=size,
        open=False,
        configure=configure,
        check=AsyncConnectionPool.check_connection,
        timeout=_WAIT_S,
        reconnect_timeout=_WAIT_S,
        name=options.application_name(purpose),
    )


def _escaped(schema: str) -> str:
    """An identifier within libpq's ``options``, where spaces and backslashes separate."""
    quoted = '"' + schema.replace('"', '""') + '"'
    return quoted.replace("\\", "\\\\").replace(" ", "\\ ")
