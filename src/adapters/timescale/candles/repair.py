"""Where fetched candles of the past go: beside the live writer, without its lock, into claimed months."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from psycopg import AsyncConnection

from ....model import Authority, Candle, Dataset, WriteResult
from ....ports.writing import Changed, nobody
from ..ledger.days import day_of, utc
from ..queries import query
from ..rows import rejected_row, winners
from ..sessions.shared import SharedSession, fetch
from .landing import LandingTable


class RepairStore:
    """``ports.RepairSink``, and a reader of stored candles. One call at a time on a session of its own.

    ``changed`` is told what was committed.
    """

    def __init__(self, session: SharedSession, changed: Changed = nobody) -> None:
        self._session, self._changed = session, changed
        self._landing = LandingTable(session.exchange)

    async def write(self, candles: Sequence[Candle]) -> WriteResult:
        """Store ``candles`` in one transaction; a stored row gives way only to one of larger rank.

        Raises ``Unavailable``, ``BadData`` or ``Misconfigured``.
        """
        rows = winners(candles)
        if not rows:
            return WriteResult(0, 0, 0)

        async def work(connection: AsyncConnection) -> tuple[int, int]:
            await self._landing.prepare(connection)
            async with connection.transaction():
                claims = {"exchange": self._session.exchange, **_claims(rows)}
                await fetch(connection, query("repairs", "claim"), claims)
                return await self._landing.merge(connection, rows)

        inserted, replaced = await self._session.call(work)
        if inserted or replaced:
            for row in rows:
                self._changed(row.symbol, row.open_ms)
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


def _claims(rows: Sequence[Candle]) -> dict[str, object]:
    """The months that rows lie in, as the importer claims them."""
    months = sorted({(row.symbol, f"{day_of(row.open_ms):%Y-%m}") for row in rows})
    return {
        "dataset": Dataset.CANDLES.value,
        "symbols": [symbol for symbol, _ in months],
        "months": [month for _, month in months],
    }
