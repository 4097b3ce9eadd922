"""What `marketd import` writes down of its way, and what it must know of listings."""

from __future__ import annotations

from datetime import date
from typing import Any, LiteralString

from psycopg import AsyncConnection

from ....model import Dataset, Listing
from ..options import DatabaseOptions
from ..queries import query
from ..sessions.session import Session


class Takeovers:
    """``ports.TakeoverNotes`` for one dataset of one source, on a connection of its own."""

    def __init__(self, options: DatabaseOptions, dataset: Dataset, source: str) -> None:
        self._options = options
        self._who: dict[str, object] = {
            "exchange": options.exchange,
            "dataset": dataset.value,
            "source": source,
        }
        self._session: Session | None = None

    async def listings(self) -> dict[str, list[Listing]]:
        """All listing intervals we know, by symbol."""
        found: dict[str, list[Listing]] = {}
        for symbol, onboard_ms, end_ms in await self._run(query("foreign", "listings"), {}):
            found.setdefault(str(symbol), []).append(Listing(str(symbol), int(onboard_ms), int(end_ms)))
        return found

    async def done(self) -> set[tuple[str, date]]:
        """The months that were taken over whole, by symbol and first day."""
        rows = await self._run(query("foreign", "done"), {})
        return {(str(symbol), month) for symbol, month in rows}

    async def note(self, symbol: str, month: date, *, rows_read: int, inserted: int, refused: int) -> None:
        """Note a month, again if need be."""
        line: dict[str, object] = {"symbol": symbol, "month": month, "rows_read": rows_read}
        await self._run(query("foreign", "note"), {**line, "inserted": inserted, "refused": refused})

    async def close(self) -> None:
        if self._session is not None:
            self._session.drop()
            self._session = None

    async def _run(self, statement: LiteralString, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
        if self._session is None or not self._session.alive:
            self._session = await Session.connect(self._options, purpose="import-notes", writable=True)
        work = _rows(self._session.connection, statement, {**self._who, **parameters})
        return await self._session.call(work)


async def _rows(
    connection: AsyncConnection, statement: LiteralString, parameters: dict[str, object]
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(statement, parameters)
    return await cursor.fetchall() if cursor.description else []
