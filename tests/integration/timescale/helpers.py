"""What the database tests share: a candle, a store that is closed, and plain SQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.model import MINUTE_MS, Authority, Candle

START_MS = 29_856_383 * MINUTE_MS
CANDLE = Candle(
    symbol="BTCUSDT",
    open_ms=START_MS,
    open=83084.9,
    high=83091.7,
    low=83051.2,
    close=83091.6,
    volume=13.551,
    quote_volume=1125714.7396,
    trade_count=1027,
    taker_buy_volume=6.426,
    taker_buy_quote_volume=533856.6686,
    source="binance_ws",
    authority=Authority.STREAM,
)


def minutes(count: int, symbol: str = "BTCUSDT") -> list[Candle]:
    """``count`` consecutive candles of one symbol."""
    return [replace(CANDLE, symbol=symbol, open_ms=START_MS + n * MINUTE_MS) for n in range(count)]


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[CandleStore]:
    """An open store on ``url``."""
    store = CandleStore(DatabaseOptions(url, **options))
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def fetch(
    url: str, statement: LiteralString, parameters: Sequence[object] = ()
) -> list[tuple[Any, ...]]:
    """The rows of one statement in the default schema, in a session of its own."""
    async with await connect(url) as connection:
        cursor = await connection.execute(statement, parameters)
        return await cursor.fetchall() if cursor.description else []


async def connect(url: str) -> psycopg.AsyncConnection:
    """A plain session with our search path."""
    return await psycopg.AsyncConnection.connect(
        url, autocommit=True, options="-c search_path=market_data,public -c TimeZone=UTC"
    )


async def listed(url: str, symbol: str, *onboard_ms: int) -> None:
    """Listings of a symbol, each from a time (UTC ms) on."""
    for start in onboard_ms:
        await fetch(
            url,
            "INSERT INTO instruments (exchange, symbol, onboard_ts, contract_type, status, base, quote, archive_symbol,"
            " origin) VALUES ('binance_futures_um', %s, to_timestamp(%s), 'PERPETUAL', 'TRADING', 'X', 'USDT', %s,"
            " 'exchange_info')",
            [symbol, start / 1000, symbol],
        )


async def stored(url: str) -> list[tuple[Any, ...]]:
    """All candles as ``as_tuple`` gives them, in key order."""
    return await fetch(
        url,
        "SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, open, high, low, close, volume, quote_volume,"
        " trade_count, taker_buy_volume, taker_buy_quote_volume, source, authority::int, revision"
        ' FROM candles_1m ORDER BY symbol COLLATE "C", bucket_ts',
    )


def as_tuple(candle: Candle) -> tuple[Any, ...]:
    return (*candle.key, *candle.values, candle.source, int(candle.authority), candle.revision)


def through(url: str, port: int) -> str:
    """``url`` with the port of a proxy on 127.0.0.1."""
    parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    return make_conninfo("", **{**parts, "host": "127.0.0.1", "port": str(port)})


def server_address(url: str) -> tuple[str, int]:
    """Where the server of ``url`` listens, for a proxy in front of it."""
    parts = conninfo_to_dict(url)
    return str(parts["host"]), int(str(parts["port"]))
