"""How trades come in: by COPY into a landing table, and on into ``agg_trades`` as far as their ids are not there yet.

What was stored is told back as runs of ids, and by these runs the reach and the gaps of each symbol move in the same
transaction (docs/adr/0042-trades-by-id.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from psycopg import AsyncConnection

from ....model import Trade, TradeResult
from ..queries import query
from ..sessions.shared import fetch
from .runs import Run, run_columns

_RENEW_S = 6 * 3600.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_COLUMN_TYPES = ("text", "int8", "timestamptz", "float8", "float8", "bool")


class TradeLanding:
    """``trades_incoming`` of whichever session it is given."""

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange
        self._made_on: AsyncConnection | None = None
        self._made_at = 0.0

    async def prepare(self, connection: AsyncConnection) -> None:
        """Make the table where the session has none, or one that is old. Outside of any transaction."""
        if self._made_on is connection and time.monotonic() - self._made_at < _RENEW_S:
            return
        await connection.execute(query("trades", "drop_incoming"))
        await connection.execute(query("trades", "create_incoming"))
        self._made_on, self._made_at = connection, time.monotonic()

    async def take_in(self, connection: AsyncConnection, trades: Iterable[Trade]) -> TradeResult:
        """Store the trades whose ids are not there yet, within the caller's transaction.

        Of two with one id the first counts. Every trade that was there is compared with what is stored.
        """
        given = list(trades)
        rows = _one_an_id(given)
        if not rows:
            return TradeResult(0, 0)
        await self._lock(connection, sorted({row.symbol for row in rows}))
        await self._copy(connection, rows)
        exchange = {"exchange": self._exchange}
        runs = [Run(*row) for row in await fetch(connection, query("trades", "take_in"), exchange)]
        inserted, gaps = sum(run.ids for run in runs), 0
        if runs:
            new = await fetch(connection, query("trades", "account"), run_columns(self._exchange, runs))
            gaps = sum(last_id - first_id + 1 for _, first_id, last_id in new)
        differing = await self._differing(connection, rows) if inserted < len(rows) else ()
        return TradeResult(inserted, len(given) - inserted, differing, gaps)

    async def _lock(self, connection: AsyncConnection, symbols: list[str]) -> None:
        asked = {"exchange": self._exchange, "symbols": symbols}
        if len(await fetch(connection, query("trades", "lock"), asked)) < len(symbols):
            await fetch(connection, query("trades", "begin"), asked)
            await fetch(connection, query("trades", "lock"), asked)

    async def _copy(self, connection: AsyncConnection, rows: Sequence[Trade]) -> None:
        async with connection.cursor() as cursor, cursor.copy(query("trades", "copy_incoming")) as copy:
            copy.set_types(_COLUMN_TYPES)
            for row in rows:
                at = _EPOCH + timedelta(milliseconds=row.ts_ms)
                await copy.write_row(
                    (row.symbol, row.trade_id, at, row.price, row.quantity, row.is_buyer_maker)
                )

    async def _differing(self, connection: AsyncConnection, rows: Sequence[Trade]) -> tuple[Trade, ...]:
        times = [row.ts_ms for row in rows]
        bounds = {
            "exchange": self._exchange,
            "since": _EPOCH + timedelta(milliseconds=min(times)),
            "until": _EPOCH + timedelta(milliseconds=max(times)),
        }
        return tuple(Trade(*row) for row in await fetch(connection, query("trades", "differing"), bounds))


def _one_an_id(trades: Sequence[Trade]) -> list[Trade]:
    """One trade an id, the first that came, in order."""
    found: dict[tuple[str, int], Trade] = {}
    for trade in trades:
        found.setdefault(trade.key, trade)
    return [found[key] for key in sorted(found)]
