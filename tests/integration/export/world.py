"""A database with some of everything that is exported, and how two databases are compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg

from src.adapters.timescale.candles.repair import RepairStore
from src.adapters.timescale.metrics.funding import FundingStore
from src.adapters.timescale.metrics.store import MetricStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.model import FIVE_MINUTES_MS, MINUTE_MS, Authority, Candle, FundingRate, FuturesMetric, Trade

EXCHANGE = "binance_futures_um"
SYMBOLS = ("BTCUSDT", "币安人生USDT", "1000PEPEUSDT", "..USDT")
"""Names that a folder can have, and some that it should not have."""
NEW_YEAR_MS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)

_TABLES = {
    "instruments": "exchange, symbol, onboard_ts, end_ts::text, contract_type, status, base, quote, delivery_ts,"
    " tick_size, step_size, archive_symbol, origin",
    "candles_1m": "exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count,"
    " taker_buy_volume, taker_buy_quote_volume, is_closed, source, authority, revision",
    "binance_futures_metrics_5m": "exchange, symbol, create_time, sum_open_interest, sum_open_interest_value,"
    " count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio, count_long_short_ratio,"
    " sum_taker_long_short_vol_ratio, sum_open_interest_rank, sum_open_interest_value_rank,"
    " count_toptrader_long_short_ratio_rank, sum_toptrader_long_short_ratio_rank, count_long_short_ratio_rank,"
    " sum_taker_long_short_vol_ratio_rank, source, authority",
    "funding_rates": "exchange, symbol, funding_time, funding_rate, mark_price, interval_hours, funding_rate_rank,"
    " mark_price_rank, interval_hours_rank, source, authority",
    "agg_trades": "exchange, symbol, trade_id, ts, price, quantity, is_buyer_maker",
    "trade_reach": "exchange, symbol, listing_ts, first_id, last_id, first_ts, last_ts",
    "coverage_days": "exchange, dataset, symbol, day, have",
}
"""Every column that an import can know: not when a row came in here, and what the patrol works out by itself."""


def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all these tables, in order."""
    with psycopg.connect(url, options="-c search_path=market_data,public -c TimeZone=UTC") as connection:
        return {
            table: connection.execute(
                f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3, 4".encode()
            ).fetchall()
            for table, columns in _TABLES.items()
        }


async def fill(url: str) -> None:
    """Candles of three authorities, revisions and NULLs; metrics and funding put together; trades with a hole."""
    with psycopg.connect(url, options="-c search_path=market_data,public", autocommit=True) as connection:
        for symbol in SYMBOLS:
            connection.execute(
                "INSERT INTO instruments (exchange, symbol, onboard_ts, end_ts, contract_type, status, base, quote,"
                " archive_symbol, origin, tick_size) VALUES (%s, %s, '2025-01-01Z', 'infinity', 'PERPETUAL',"
                " 'TRADING', %s, 'USDT', %s, 'exchange_info', '0.10')",
                [EXCHANGE, symbol, symbol[:-4], symbol],
            )
    session = SharedSession(DatabaseOptions(url, exchange=EXCHANGE), purpose="test")
    try:
        for symbol in SYMBOLS:
            await RepairStore(session).write(candles(symbol))
            await MetricStore(session).write(metrics(symbol))
            await FundingStore(session).write(funding(symbol))
        await TradeStore(session).write(trades("BTCUSDT", EXCHANGE))
    finally:
        await session.close()
    spot = SharedSession(DatabaseOptions(url, exchange="binance_spot"), purpose="test")
    try:
        await TradeStore(spot).write(trades("BTCUSDT", "binance_spot"))
    finally:
        await spot.close()


def candles(symbol: str) -> list[Candle]:
    """An hour on both sides of a new year, with digits that only exact text and floats hold."""
    rows = []
    for number in range(-60, 60):
        price = 0.1 + 0.2 + number / 7 + 100
        row = Candle(
            symbol, NEW_YEAR_MS + number * MINUTE_MS, price, price * 1.1, price * 0.9, price, 5e-324 if number == 3
            else 1e15 / 3, 1.5, 7, 0.0, 0.25, "binance_ws", Authority.STREAM,
        )  # fmt: skip
        if number % 3 == 1:
            row = replace(row, source="binance_archive", authority=Authority.ARCHIVE, revision=number % 4)
        if number % 3 == 2:
            row = replace(
                row, source="tradecat", authority=Authority.FOREIGN, quote_volume=None, trade_count=None
            )
        rows.append(row)
    return rows


def metrics(symbol: str) -> list[FuturesMetric]:
    """Rows of REST and of the archive that complete each other, others that are NULL in part."""
    rows = []
    for number in range(-20, 20):
        end_ms = NEW_YEAR_MS + number * FIVE_MINUTES_MS
        rest = {
            "sum_open_interest": Decimal("2.71828182845904523536028747135266"),
            "count_long_short_ratio": Decimal(1),
        }
        rows.append(FuturesMetric.of(symbol, end_ms, rest, "binance_rest", Authority.REST))
        if number % 2:
            archive = {"sum_open_interest_value": Decimal("1e-12"), "count_long_short_ratio": Decimal("1.50")}
            part = FuturesMetric.of(symbol, end_ms, archive, "binance_archive", Authority.ARCHIVE)
            rows.append(replace(part, revision=number % 3))
    return rows


def funding(symbol: str) -> list[FundingRate]:
    rows = []
    for number in range(-3, 3):
        at_ms = NEW_YEAR_MS + number * 8 * 3_600_000
        rate = Decimal("0.00010000") * number
        rows.append(FundingRate(symbol, at_ms, rate, Decimal("91.5"), None, "binance_rest", Authority.REST))
        if number % 2:
            rows.append(FundingRate(symbol, at_ms, rate, None, 8, "binance_archive", Authority.ARCHIVE))
    return rows


def trades(symbol: str, exchange: str) -> list[Trade]:
    """Two days, a hole of ids between them; of two markets with one name, whose ids are not the same."""
    first = 10 if exchange == EXCHANGE else 5000
    return [
        Trade(
            symbol,
            first + number + (7 if number >= 50 else 0),
            NEW_YEAR_MS + (number - 50) * 777,
            90.1,
            0.003,
            number % 2 == 0,
        )
        for number in range(100)
    ]


def months(symbols: Sequence[str], minutes: int) -> list[Candle]:
    """A few minutes of three months of each symbol: many small partitions."""
    starts = [int(datetime(2025, month, 1, tzinfo=UTC).timestamp() * 1000) for month in (3, 4, 5)]
    return [
        Candle(
            symbol,
            start + number * MINUTE_MS,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1.0,
            1,
            1.0,
            1.0,
            "binance_ws",
            Authority.STREAM,
        )
        for symbol in symbols
        for start in starts
        for number in range(minutes)
    ]
