"""Finds the minutes that are not stored, on a connection of its own so that repair never waits for the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection

from ...model import MINUTE_MS, Gap, floor_minute
from ...telemetry.metrics import Metrics
from .options import DatabaseOptions
from .queries import query
from .session import Session

REASON = "missing"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HoleSearch:
    """``ports.HoleFinder``. One connection, opened by the first search and again after it was lost."""

    def __init__(self, options: DatabaseOptions, metrics: Metrics | None = None) -> None:
        self._options = options
        self._metrics = metrics
        self._session: Session | None = None
        self._turn = asyncio.Lock()

    async def holes(self, since: Mapping[str, int], until_ms: int) -> list[Gap]:
        """The minutes of [since[symbol], until_ms) that have no row, as few gaps as can be, by symbol and time.

        Only whole minutes count: a ``since`` inside a minute begins with the next one, an ``until_ms`` inside one
        ends before it. A symbol without rows is one gap. Raises ``Unavailable`` or ``Misconfigured``.
        """
        until = floor_minute(until_ms)
        starts = {symbol: floor_minute(start + MINUTE_MS - 1) for symbol, start in since.items()}
        asked = {symbol: start for symbol, start in sorted(starts.items()) if start < until}
        if not asked:
            return []
        parameters: dict[str, object] = {
            "exchange": self._options.exchange,
            "symbols": list(asked),
            "since": [_time(start) for start in asked.values()],
            "earliest": _time(min(asked.values())),
            "until": _time(until),
        }
        async with self._turn:
            session = await self._ensure()
            rows = await session.call(_fetch(session.connection, parameters))
        return [Gap(symbol, from_ms, to_ms, REASON) for symbol, from_ms, to_ms in rows]

    async def close(self) -> None:
        """Drop the connection; the next search makes a new one."""
        if self._session is not None:
            self._session.drop()
            self._session = None

    async def _ensure(self) -> Session:
        if self._session is None or not self._session.alive:
            # Never prepared: only a plan made for these very bounds leaves out the chunks that cannot matter.
            self._session = await Session.connect(
                self._options, purpose="repair", writable=False, prepare_threshold=None, on_error=self._count
            )
        return self._session

    def _count(self, sqlstate_class: str) -> None:
        if self._metrics:
            self._metrics.database_errors.labels(sqlstate_class).inc()


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


async def _fetch(connection: AsyncConnection, parameters: dict[str, object]) -> list[tuple[str, int, int]]:
    cursor = await connection.execute(query("candles", "holes"), parameters)
    return [(str(symbol), int(start), int(end)) for symbol, start, end in await cursor.fetchall()]
