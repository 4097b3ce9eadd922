"""The landing table of a session: rows come in by COPY, and one statement takes them on into ``candles_1m``."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import LiteralString

from psycopg import AsyncConnection

from ....model import Candle, Dataset
from ....slices import pieces
from ..ledger.work import row_columns
from ..queries import query
from ..rows import COLUMN_TYPES, as_row
from ..sessions.incoming import IncomingTable

_AT_ONCE = 250
"""Rows that are encoded before the rest of the loop gets its turn."""


class LandingTable(IncomingTable):
    """``candles_incoming`` of whichever session it is given. Rows are in order of their keys, none twice.

    ``merge`` and ``insert`` run inside the caller's transaction and return the rows inserted and replaced.
    """

    def __init__(self, exchange: str) -> None:
        super().__init__(drop=query("candles", "drop_incoming"), create=query("candles", "create_incoming"))
        self._exchange = exchange

    async def merge(self, connection: AsyncConnection, rows: Sequence[Candle]) -> tuple[int, int]:
        """Guarded: a stored row gives way only to one of larger ``Candle.rank``."""
        return await self._take_on(connection, rows, query("candles", "upsert"))

    async def insert(self, connection: AsyncConnection, rows: Sequence[Candle]) -> tuple[int, int]:
        """Rows of which none should be stored, one of each symbol; ``UniqueViolation`` if one is."""
        return await self._take_on(connection, rows, query("candles", "insert_new"))

    async def _take_on(
        self, connection: AsyncConnection, rows: Sequence[Candle], statement: LiteralString
    ) -> tuple[int, int]:
        async with connection.cursor() as cursor:
            async with cursor.copy(query("candles", "copy_incoming")) as copy:
                copy.set_types(COLUMN_TYPES)
                for some in pieces(rows, _AT_ONCE):
                    for row in some:
                        await copy.write_row(as_row(row))
                    await asyncio.sleep(0)  # writing a row waits for nobody
            await cursor.execute(statement, {"exchange": self._exchange})
            inserted, replaced, absences = await cursor.fetchone() or (0, 0, False)
            if absences:
                keys = row_columns(self._exchange, Dataset.CANDLES, (row.key for row in rows))
                await cursor.execute(query("absences", "take_back_absences"), keys)
        return inserted, replaced
