"""Where the list of Alpha tokens is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from ...ports.metrics import AlphaToken
from .ledger.days import utc
from .options import DatabaseOptions
from .queries import query
from .reports.coverage import reading
from .sessions.shared import SharedSession, fetch

_FIELDS = (
    "alpha_id",
    "symbol",
    "name",
    "chain_id",
    "contract_address",
    "cex_coin_name",
    "offline",
    "listing_cex",
    "price",
    "volume_24h",
    "market_cap",
    "liquidity",
)


class AlphaStore:
    """``ports.metrics.AlphaSink``. Raises ``Unavailable`` or ``Misconfigured``."""

    def __init__(self, session: SharedSession) -> None:
        self._session = session

    async def refresh(self, tokens: Sequence[AlphaToken]) -> tuple[int, int]:
        """See ``ports.metrics.AlphaSink``. An empty list is refused: it would take every token off."""
        if not tokens:
            raise ValueError("an empty list is no list")
        given: dict[str, object] = {name: [getattr(token, name) for token in tokens] for name in _FIELDS}
        given["listing_time"] = [
            None if token.listing_ms is None else utc(token.listing_ms) for token in tokens
        ]
        given["exchange"] = self._session.exchange

        async def work(connection: AsyncConnection) -> tuple[int, int]:
            async with connection.transaction():
                ((added, gone),) = await fetch(connection, query("alpha", "refresh"), given)
                await fetch(connection, query("alpha", "flag_instruments"), given)
            return added, gone

        return await self._session.call(work)

    async def close(self) -> None:
        await self._session.close()


async def read_tokens(options: DatabaseOptions) -> list[dict[str, Any]]:
    """The listed tokens by symbol, as a reader sees them: each with the contracts whose base asset it is.

    Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``.
    """
    async with reading(options, "alpha") as session:
        return await session.call(_read(session.connection, options.exchange))


async def _read(connection: AsyncConnection, exchange: str) -> list[dict[str, Any]]:
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query("alpha", "tokens"), {"exchange": exchange})
        return await cursor.fetchall()
