"""Where trades go, and what is known of their ids; see docs/adr/0042-trades-by-id.md, 0047-trades-by-listing.md."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psycopg import AsyncConnection

from ....model import FIRST_LISTING_MS, Trade, TradeGap, TradeListing, TradeReach, TradeResult
from ..instruments import NEVER_MS
from ..ledger.days import utc
from ..queries import query
from ..rows import printable
from ..sessions.shared import SharedSession
from .landing import TradeLanding

_DETAIL = "stored otherwise; the stored trade stays"


class TradeStore:
    """``ports.trades.TradeSink`` and ``TradeLedger``, of the exchange of its session. Safe to repeat.

    Raises ``Unavailable``, ``BadData`` or ``Misconfigured``.
    """

    def __init__(self, session: SharedSession) -> None:
        self._session = session
        self._landing = TradeLanding(session.exchange)

    async def write(self, trades: Sequence[Trade]) -> TradeResult:
        """See ``ports.trades.TradeSink``: one transaction."""

        async def work(connection: AsyncConnection) -> TradeResult:
            await self._landing.prepare(connection)
            async with connection.transaction():
                result = await self._landing.take_in(connection, trades)
                for trade in result.differing:
                    await connection.execute(query("candles", "insert_rejected"), self._differing(trade))
                return result

        return await self._session.call(work)

    async def listings(self, symbols: Collection[str]) -> dict[str, list[TradeListing]]:
        """See ``ports.trades.TradeLedger``. A market whose listings are not followed has one listing a symbol."""
        found: dict[str, list[TradeListing]] = {}
        given = {**self._of(symbols), "never": utc(NEVER_MS)}
        for symbol, *listing in await self._session.rows(query("trades", "listings"), given):
            found.setdefault(symbol, []).append(TradeListing(*listing))
        return {
            symbol: found.get(symbol) or [TradeListing(FIRST_LISTING_MS, NEVER_MS, symbol)]
            for symbol in symbols
        }

    async def reach(self) -> dict[tuple[str, int], TradeReach]:
        """See ``ports.trades.TradeLedger``."""
        given = {"exchange": self._session.exchange}
        found = [TradeReach(*row) for row in await self._session.rows(query("trades", "reach"), given)]
        return {(reach.symbol, reach.listing_ms): reach for reach in found}

    async def watermark(self, since_ms: int) -> dict[str, tuple[int, int]]:
        """See ``ports.trades.TradeLedger``."""
        given = {"exchange": self._session.exchange, "since": utc(since_ms)}
        rows = await self._session.rows(query("trades", "watermark"), given)
        return {
            symbol: (closed_id, round(closed_ts.timestamp() * 1000))
            for symbol, _, _, closed_id, closed_ts in rows
        }

    async def open_gaps(self, symbols: Collection[str], now_ms: int, limit: int) -> list[TradeGap]:
        """See ``ports.trades.TradeLedger``."""
        given = {**self._of(symbols), "now": utc(now_ms), "limit": limit}
        return [TradeGap(*row) for row in await self._session.rows(query("trades", "open_gaps"), given)]

    async def asked(self, gap: TradeGap, now_ms: int) -> None:
        """See ``ports.trades.TradeLedger``."""
        await self._session.rows(query("trades", "asked"), {"gap_id": gap.gap_id, "now": utc(now_ms)})

    async def settle(self, symbols: Collection[str], since_ms: int) -> int:
        """See ``ports.trades.TradeLedger``. What a new listing changes about old trades is seen to first."""
        await self._session.rows(query("trades", "fit"), self._of(symbols))
        await self._session.rows(query("trades", "leave"), {**self._of(symbols), "since": utc(since_ms)})
        return len(await self._session.rows(query("trades", "prove"), self._of(symbols)))

    async def close(self) -> None:
        await self._session.close()

    def _of(self, symbols: Collection[str]) -> dict[str, object]:
        return {"exchange": self._session.exchange, "symbols": sorted(symbols)}

    def _differing(self, trade: Trade) -> dict[str, object]:
        """The columns of ``rejected_rows``."""
        return {
            "exchange": self._session.exchange,
            "reason": "trade_differs",
            "symbol": printable(trade.symbol, 200),
            "open_ms": trade.ts_ms,
            "detail": _DETAIL,
            "raw_row": printable(repr(trade)),
        }
