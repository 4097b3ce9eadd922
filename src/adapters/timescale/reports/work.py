"""What tasks, trades, swaps, bars and levels are at, for ``marketd status``: from ledgers, never from hypertables."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from ..options import DatabaseOptions
from ..queries import query
from ..sessions.session import Session

Rows = list[dict[str, Any]]


async def inspect_work(url: str, schema: str, exchange: str) -> dict[str, Any]:
    """Lists of rows under ``trades``, ``pools``, ``bars``, ``levels``, and ``tasks``; for JSON, times as ISO 8601 text.

    The schema must be whole. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``.
    """
    options = DatabaseOptions(url, schema=schema, exchange=exchange, role="jobs")
    session = await Session.connect(options, purpose="status", writable=False, prepare_threshold=None)
    try:
        return await session.call(_inspect(session.connection, {"exchange": exchange}))
    finally:
        session.drop()


async def _inspect(connection: AsyncConnection, who: Mapping[str, str]) -> dict[str, Any]:
    [heard] = await _rows(connection, query("tasks", "workers"), {})
    failures = await _rows(connection, query("work", "last_failure"), {})
    return {
        "tasks": {
            "states": {
                row["state"]: row["tasks"] for row in await _rows(connection, query("work", "tasks"), {})
            },
            "workers": heard["count"],
            "last_failure": failures[0] if failures else None,
        },
        "trades": await _rows(connection, query("work", "trades"), {}),
        "pools": await _rows(connection, query("work", "pools"), {}),
        "bars": await _rows(connection, query("work", "bars"), who),
        "levels": await _rows(connection, query("work", "levels"), {}),
    }


async def _rows(connection: AsyncConnection, statement: LiteralString, values: Mapping[str, str]) -> Rows:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, values)
        return [
            {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
            for row in await cursor.fetchall()
        ]
