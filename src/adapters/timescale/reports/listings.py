"""The listing intervals in the database, for `marketd symbols --listings`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg import AsyncConnection
from psycopg.rows import class_row

from ..options import DatabaseOptions
from ..queries import query
from .coverage import reading


@dataclass(frozen=True, slots=True)
class Interval:
    """One time of trading of one contract; ``end_ts`` is None while it trades or is halted without an end.

    ``archive_symbol`` is the name of its folder in the archive, ``origin`` where we know it from, ``alpha`` whether
    its base is on the list of Alpha tokens.
    """

    symbol: str
    onboard_ts: datetime
    end_ts: datetime | None
    status: str
    contract_type: str
    archive_symbol: str
    origin: str
    alpha: bool


async def read_intervals(options: DatabaseOptions) -> list[Interval]:
    """All of them, by symbol and time. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
    async with reading(options, "symbols") as session:
        return await session.call(_read(session.connection, options.exchange))


async def _read(connection: AsyncConnection, exchange: str) -> list[Interval]:
    async with connection.cursor(row_factory=class_row(Interval)) as cursor:
        await cursor.execute(query("sight", "intervals"), {"exchange": exchange})
        return await cursor.fetchall()
