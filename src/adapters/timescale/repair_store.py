"""Where fetched candles of the past go: beside the live writer, without its lock, into claimed months."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from psycopg import AsyncConnection

from ...model import Authority, Candle, Dataset, WriteResult
from .days import day_of, utc
from .ledger_work import row_columns
from .queries import query
from .rows import COLUMN_TYPES, as_row, rejected_row, winners
from .shared_session import SharedSession, fetch

_RENEW_S = 6 * 3600.0
"""A temporary table that lives for weeks would hold back ``datfrozenxid`` (see ``store``)."""


class RepairStore:
    """``ports.RepairSink``, and a reader of stored candles. One call at a time on a session of its own."""

    def __init__(self, session: SharedSession) -> None:
        self._session = session
        self._made_on: AsyncConnection | None = None
        self._made_at = 0.0

    async def write(self, candles: Sequence[Candle]) -> WriteResult:
        """Store ``candles`` in one transaction; a stored row gives way only to one of larger rank.

        Raises ``Unavailable``, ``BadData`` or ``Misconfigured``.
        """
        rows = winners(candles)
        if not rows:
            return WriteResult(0, 0, 0)

        async def work(connection: AsyncConnection) -> tuple[int, int]:
            await self._have_table(connection)
            async with connection.transaction():
                return await self._write(connection, rows)

        inserted, replaced = await self._session.call(work)
        return WriteResult(inserted, replaced, len(candles) - inserted - replaced)

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None:
        """Keep a row that cannot be stored as text in ``rejected_rows``; again only counts it up."""
        row = rejected_row(self._session.exchange, candle, reason=reason, detail=detail)
        await self._session.rows(query("candles", "insert_rejected"), row)

    async def stored(self, symbol: str, from_ms: int, to_ms: int) -> list[Candle]:
        """The stored candles of [from_ms, to_ms), in order."""
        given = {
            "exchange": self._session.exchange,
            "symbol": symbol,
            "since": utc(from_ms),
            "until": utc(to_ms),
        }
        rows = await self._session.rows(query("repairs", "stored_between"), given)
        return [replace(Candle(symbol, *row), authority=Authority(row[-2])) for row in rows]

    async def _write(self, connection: AsyncConnection, rows: Sequence[Candle]) -> tuple[int, int]:
        exchange = {"exchange": self._session.exchange}
        await fetch(connection, query("repairs", "claim"), exchange | _claims(rows))
        async with connection.cursor() as cursor, cursor.copy(query("candles", "copy_incoming")) as copy:
            copy.set_types(COLUMN_TYPES)
            for row in rows:
                await copy.write_row(as_row(row))
        [(inserted, replaced, absences)] = await fetch(connection, query("candles", "upsert"), exchange)
        if absences:
            keys = row_columns(self._session.exchange, Dataset.CANDLES, (row.key for row in rows))
            await fetch(connection, query("absences", "take_back_absences"), keys)
        return inserted, replaced

    async def _have_table(self, connection: AsyncConnection) -> None:
        if self._made_on is connection and time.monotonic() - self._made_at < _RENEW_S:
            return
        await fetch(connection, query("candles", "drop_incoming"), {})
        await fetch(connection, query("candles", "create_incoming"), {})
        self._made_on, self._made_at = connection, time.monotonic()


def _claims(rows: Sequence[Candle]) -> dict[str, object]:
    """The months that rows lie in, as the importer claims them."""
    months = sorted({(row.symbol, f"{day_of(row.open_ms):%Y-%m}") for row in rows})
    return {
        "dataset": Dataset.CANDLES.value,
        "symbols": [symbol for symbol, _ in months],
        "months": [month for _, month in months],
    }
