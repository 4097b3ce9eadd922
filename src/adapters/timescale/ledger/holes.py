"""Finds the minutes that are not stored, on a connection of its own so that repair never waits for the writer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from psycopg import AsyncConnection

from ....model import DAY_MS, MINUTE_MS, Gap, floor_minute
from ....telemetry.metrics import Metrics
from ..options import DatabaseOptions
from ..queries import query
from ..sessions.session import Session
from ..sessions.shared import fetch
from .days import day_of, start_of, utc

REASON = "missing"


class HoleSearch:
    """``ports.HoleFinder``. One connection, opened by the first search and again after it was lost.

    Only symbols whose lines in the ledger do not say that everything is there are searched, so a search costs what is
    missing; where the ledger says nothing yet, all are.
    """

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
        async with self._turn:
            session = await self._ensure()
            rows = await session.call(self._search(session.connection, asked, until))
        return [Gap(symbol, from_ms, to_ms, REASON) for symbol, from_ms, to_ms in rows]

    async def _search(
        self, connection: AsyncConnection, asked: Mapping[str, int], until: int
    ) -> list[tuple[str, int, int]]:
        lines = self._columns(asked, until) | _last_day(until)
        rows = await fetch(connection, query("coverage", "incomplete_symbols"), lines)
        incomplete = {symbol: asked[symbol] for symbol in sorted(str(row[0]) for row in rows)}
        if self._metrics:
            self._metrics.gap_symbols_searched.inc(len(incomplete))
        if not incomplete:
            return []
        found = await fetch(connection, query("candles", "holes"), self._columns(incomplete, until))
        return [(str(symbol), int(start), int(end)) for symbol, start, end in found]

    def _columns(self, asked: Mapping[str, int], until: int) -> dict[str, object]:
        return {
            "exchange": self._options.exchange,
            "symbols": list(asked),
            "since": [utc(start) for start in asked.values()],
            "earliest": utc(min(asked.values())),
            "until": utc(until),
        }

    async def close(self) -> None:
        """Drop the connection; the next search makes a new one."""
        if self._session is not None:
            self._session.drop()
            self._session = None

    async def _ensure(self) -> Session:
        if self._session is None or not self._session.alive:
            # Of the server that takes writes: on one that lags, whatever was stored since would be missing. Never
            # prepared: only a plan made for these very bounds leaves out the chunks that cannot matter.
            self._session = await Session.connect(
                self._options, purpose="repair", writable=True, prepare_threshold=None, on_error=self._count
            )
        return self._session

    def _count(self, sqlstate_class: str) -> None:
        if self._metrics:
            self._metrics.database_errors.labels(sqlstate_class).inc()


def _last_day(until: int) -> dict[str, object]:
    """The day of the last minute before ``until``, and how many of its minutes lie before it."""
    day = day_of(until - 1)
    return {
        "last_day": day,
        "last_day_end": utc(start_of(day) + DAY_MS),
        "minutes": (until - start_of(day)) // MINUTE_MS,
    }
