"""How trades come in: by COPY into a landing table, and on into ``agg_trades`` as far as their ids are not there yet.

What was stored is told back as runs of ids, and by these runs the reach and the gaps of each listing move in the same
transaction (docs/adr/0042-trades-by-id.md, 0047-trades-by-listing.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection

from ....model import Trade, TradeResult, listing_of
from ..queries import query
from ..sessions.incoming import IncomingTable
from ..sessions.shared import fetch
from .runs import Run, run_columns

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMN_TYPES = ("text", "timestamptz", "int8", "timestamptz", "float8", "float8", "bool")
_Placed = tuple[int, Trade]  # with the start of its listing


class TradeLanding(IncomingTable):
    """``trades_incoming`` of whichever session it is given."""

    def __init__(self, exchange: str) -> None:
        super().__init__(drop=query("trades", "drop_incoming"), create=query("trades", "create_incoming"))
        self._exchange = exchange

    async def take_in(self, connection: AsyncConnection, trades: Iterable[Trade]) -> TradeResult:
        """Store the trades whose ids are not there yet, within the caller's transaction.

        Of two of one listing with one id the first counts. Every trade that was there is compared with what is stored.
        """
        given = list(trades)
        if not given:
            return TradeResult(0, 0)
        cuts = await self._lock(connection, sorted({trade.symbol for trade in given}))
        rows = _one_an_id(given, cuts)
        await self._copy(connection, rows)
        exchange = {"exchange": self._exchange}
        runs = [Run(*row) for row in await fetch(connection, query("trades", "take_in"), exchange)]
        inserted, gaps = sum(run.ids for run in runs), 0
        if runs:
            new = await fetch(connection, query("trades", "account"), run_columns(self._exchange, runs))
            gaps = sum(last_id - first_id + 1 for _, first_id, last_id in new)
        differing = await self._differing(connection, rows) if inserted < len(rows) else ()
        return TradeResult(inserted, len(given) - inserted, differing, gaps)

    async def _lock(self, connection: AsyncConnection, symbols: list[str]) -> dict[str, list[int]]:
        """Where the symbols were listed again, as it stays for what this transaction takes in."""
        asked = {"exchange": self._exchange, "symbols": symbols}
        if len(await fetch(connection, query("trades", "lock"), asked)) < len(symbols):
            await fetch(connection, query("trades", "begin"), asked)
            await fetch(connection, query("trades", "lock"), asked)
        return dict(await fetch(connection, query("trades", "fit"), asked))

    async def _copy(self, connection: AsyncConnection, rows: Sequence[_Placed]) -> None:
        async with connection.cursor() as cursor, cursor.copy(query("trades", "copy_incoming")) as copy:
            copy.set_types(_COLUMN_TYPES)
            for listing_ms, row in rows:
                listing, at = (_EPOCH + timedelta(milliseconds=ms) for ms in (listing_ms, row.ts_ms))
                await copy.write_row(
                    (row.symbol, listing, row.trade_id, at, row.price, row.quantity, row.is_buyer_maker)
                )

    async def _differing(self, connection: AsyncConnection, rows: Sequence[_Placed]) -> tuple[Trade, ...]:
        times = [row.ts_ms for _, row in rows]
        bounds = {
            "exchange": self._exchange,
            "since": _EPOCH + timedelta(milliseconds=min(times)),
            "until": _EPOCH + timedelta(milliseconds=max(times)),
        }
        return tuple(Trade(*row) for row in await fetch(connection, query("trades", "differing"), bounds))


def _one_an_id(trades: Sequence[Trade], cuts: Mapping[str, Sequence[int]]) -> list[_Placed]:
    """One trade an id of a listing, the first that came, in order."""
    found: dict[tuple[str, int, int], Trade] = {}
    for trade in trades:
        listing_ms = listing_of(trade.ts_ms, cuts.get(trade.symbol, ()))
        found.setdefault((trade.symbol, listing_ms, trade.trade_id), trade)
    return [(key[1], found[key]) for key in sorted(found)]
