"""What the ledger tests share: days full of candles, and listings."""

from __future__ import annotations

from collections.abc import Sequence

from src.model import Listing

from .helpers import connect, fetch

EXCHANGE = "binance_futures_um"


async def fill(url: str, symbols: Sequence[str], from_ms: int, to_ms: int) -> None:
    """Candles of every minute of [from_ms, to_ms), and their count, as an import leaves them."""
    async with await connect(url) as connection:
        await connection.execute(
            "INSERT INTO candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, authority, source)"
            " SELECT %s, symbol, ts, 1, 1, 1, 1, 0, 3, 't' FROM unnest(%s::text[]) AS symbol,"
            " generate_series(to_timestamp(%s), to_timestamp(%s) - interval '1 minute', interval '1 minute') AS ts",
            [EXCHANGE, list(symbols), from_ms // 1000, to_ms // 1000],
        )
        await connection.execute(
            "INSERT INTO coverage_days AS line (exchange, dataset, symbol, day, have)"
            " SELECT exchange, 'candles_1m', symbol, bucket_ts::date, count(*) FROM candles_1m GROUP BY 1, 3, 4"
            " ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET have = excluded.have"
        )


async def list_symbol(url: str, *listings: Listing) -> None:
    for item in listings:
        await fetch(
            url,
            "INSERT INTO instruments (exchange, symbol, onboard_ts, end_ts, contract_type, status, base, quote,"
            " archive_symbol, origin) VALUES (%s, %s, to_timestamp(%s), to_timestamp(%s), 'PERPETUAL', 'TRADING',"
            " 'X', 'USDT', 'X', 'exchange_info')",
            [EXCHANGE, item.symbol, item.onboard_ms // 1000, item.end_ms // 1000],
        )
