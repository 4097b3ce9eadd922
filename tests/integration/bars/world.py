"""What the tests of bars share: candles of made-up markets in the database, and the bars that are there."""

from __future__ import annotations

import itertools
import math
import time
from bisect import bisect_left
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from src.adapters.timescale.copying.tables import DatabaseTables
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.analysis.bars.keeping import keep
from src.analysis.bars.ranges import KEPT_MS
from src.model import MINUTE_MS, Authority, Candle, Trade, floor_minute
from tests import naive
from tests.integration.timescale.helpers import fetch, opened

_numbers = itertools.count()
Kept = tuple[int, naive.Bar, int]  # size, bar, missing minutes


def quiet(text: str, share: float | None = None) -> None:
    """Who listens to no progress."""


@dataclass
class Market:
    """One exchange of a test's own in a shared database."""

    url: str
    exchange: str = field(default_factory=lambda: f"market_{time.time_ns()}_{next(_numbers)}")

    async def store(self, *batches: Sequence[Candle]) -> None:
        """Through the writer, one transaction a batch."""
        async with opened(self.url, exchange=self.exchange) as store:
            for batch in batches:
                await store.write(batch, [])

    async def listed(self, symbol: str, *onboard_ms: int) -> None:
        for start in onboard_ms:
            await fetch(
                self.url,
                "INSERT INTO instruments (exchange, symbol, onboard_ts, contract_type, status, base, quote,"
                " archive_symbol, origin)"
                " VALUES (%s, %s, to_timestamp(%s), 'PERPETUAL', 'TRADING', 'X', 'USDT', 'X', 'exchange_info')",
                [self.exchange, symbol, start / 1000],
            )

    def keep(self, days: int = 1000, note: Any = quiet) -> Mapping[str, Any]:
        """One run of the task."""
        with self.tables() as tables:
            return keep(tables=tables, note=note, exchange=self.exchange, days=days)

    @contextmanager
    def tables(self) -> Iterator[DatabaseTables]:
        tables = DatabaseTables(DatabaseOptions(self.url, exchange=self.exchange))
        try:
            yield tables
        finally:
            tables.close()

    async def front(self, symbol: str) -> int:
        """Up to when the bars of a symbol are made."""
        rows = await self._fetch(
            "SELECT (extract(epoch FROM made_to) * 1000)::bigint FROM bar_fronts"
            " WHERE exchange = %(exchange)s AND symbol = %(symbol)s",
            symbol=symbol,
        )
        return int(rows[0][0])

    async def changes(self) -> int:
        """Lines that wait for bars to be made again."""
        rows = await self._fetch("SELECT count(*) FROM candle_changes WHERE exchange = %(exchange)s")
        return int(rows[0][0])

    async def bars(self, symbol: str) -> list[Kept]:
        """What is kept of a symbol, by size and time."""
        rows = await self._fetch(
            "SELECT size, (extract(epoch FROM open_ts) * 1000)::bigint, (extract(epoch FROM close_ts) * 1000)::bigint,"
            " first_trade_id, open, high, low, close, volume, coalesce(quote_volume, 'NaN'), coalesce(trade_count, -1),"
            " coalesce(buy_volume, 'NaN'), coalesce(vwap, 'NaN'), missing_minutes FROM bars"
            " WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND kind = 'time' ORDER BY size, open_ts",
            symbol=symbol,
        )
        return [(int(row[0]), row[1:13], row[13]) for row in rows]

    async def built(self, symbol: str, kind: str, size: float) -> list[tuple[naive.Bar, int | None]]:
        """The bars of one kind and size, and how many minutes each lacks."""
        rows = await self._fetch(
            "SELECT (extract(epoch FROM open_ts) * 1000)::bigint, (extract(epoch FROM close_ts) * 1000)::bigint,"
            " first_trade_id, open, high, low, close, volume, coalesce(quote_volume, 'NaN'), coalesce(trade_count, -1),"
            " coalesce(buy_volume, 'NaN'), coalesce(vwap, 'NaN'), missing_minutes FROM bars"
            " WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND kind = %(kind)s AND size = %(size)s"
            " ORDER BY open_ts, first_trade_id",
            symbol=symbol,
            kind=kind,
            size=size,
        )
        return [(row[:12], row[12]) for row in rows]

    async def state(self, symbol: str, kind: str, size: float) -> bytes:
        """What is in progress of bars of trades."""
        rows = await self._fetch(
            "SELECT state FROM bar_state"
            " WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND kind = %(kind)s AND size = %(size)s",
            symbol=symbol,
            kind=kind,
            size=size,
        )
        return bytes(rows[0][0])

    async def trade(self, *batches: Sequence[Trade]) -> None:
        """Trades through their store, one transaction a batch."""
        store = TradeStore(SharedSession(DatabaseOptions(self.url, exchange=self.exchange), purpose="trades"))
        for batch in batches:
            await store.write(batch)
        await store.close()

    async def give_up_gaps(self) -> None:
        """As if the archive lacked every trade that is missing now."""
        await fetch(
            self.url,
            "UPDATE trade_gaps SET state = 'absent' WHERE exchange = %s AND state = 'open'",
            [self.exchange],
        )

    async def stored(self, symbol: str) -> list[naive.Candle]:
        """The candles of a symbol in order."""
        return await self._fetch(
            "SELECT (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume,"
            " coalesce(quote_volume, 'NaN'), coalesce(trade_count, -1), coalesce(taker_buy_volume, 'NaN')"
            " FROM candles_1m WHERE exchange = %(exchange)s AND symbol = %(symbol)s ORDER BY bucket_ts",
            symbol=symbol,
        )

    async def twins(self, symbol: str, cuts: Sequence[int] = ()) -> list[Kept]:
        """The bars that the naive twin makes of the candles that are there, of those that are over by the front."""
        return naive_kept(await self.stored(symbol), await self.front(symbol), cuts)

    async def _fetch(self, statement: Any, **values: Any) -> list[tuple[Any, ...]]:
        async with await psycopg.AsyncConnection.connect(
            self.url, autocommit=True, options="-c search_path=market_data,public -c TimeZone=UTC"
        ) as connection:
            cursor = await connection.execute(statement, {"exchange": self.exchange, **values})
            return await cursor.fetchall()


def naive_kept(candles: Sequence[naive.Candle], until_ms: int, cuts: Sequence[int] = ()) -> list[Kept]:
    """Every size from minutes, with how many minutes each bar lacks."""
    made: list[Kept] = []
    minutes = [candle[0] for candle in candles]
    for size in KEPT_MS:
        for bar in naive.time_bars_of_candles(candles, size, cuts, until_ms):
            if bar[1] <= until_ms:
                there = bisect_left(minutes, bar[1]) - bisect_left(minutes, bar[0])
                made.append((size, bar, (bar[1] - bar[0]) // MINUTE_MS - there))
    return made


def same(kept: Sequence[Kept], others: Sequence[Kept]) -> bool:
    """Equal to the bit."""
    return [(size, missing) for size, _, missing in kept] == [
        (size, missing) for size, _, missing in others
    ] and naive.same([bar for _, bar, _ in kept], [bar for _, bar, _ in others])


def candle(symbol: str, row: naive.Candle, *, revision: int = 0) -> Candle:
    """A row of the naive twins as the venue's, from the archive."""
    open_ms, first, high, low, close, volume, quote, count, buy = row
    return Candle(
        symbol=symbol,
        open_ms=open_ms,
        open=first,
        high=high,
        low=low,
        close=close,
        volume=volume,
        quote_volume=None if math.isnan(quote) else quote,
        trade_count=None if count < 0 else count,
        taker_buy_volume=None if math.isnan(buy) else buy,
        taker_buy_quote_volume=None,
        source="test",
        authority=Authority.ARCHIVE,
        revision=revision,
    )


def plain(symbol: str, start_ms: int, count: int, *, leave: Container[int] = ()) -> list[Candle]:
    """``count`` minutes from ``start_ms`` on, without those in ``leave``; no two are equal."""
    return [
        candle(
            symbol,
            (
                start_ms + n * MINUTE_MS,
                10 + n / 8,
                11 + n / 8,
                9 + n / 8,
                10.5 + n / 8,
                0.1 * n,
                1.1 * n,
                n + 1,
                0.05 * n,
            ),
        )
        for n in range(count)
        if n not in leave
    ]


def this_minute() -> int:
    return floor_minute(time.time_ns() // 1_000_000)
