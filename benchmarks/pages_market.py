"""What ``pages`` looks at: 740 symbols with a year in the ledger, and one with candles, bars, metrics and levels."""

from __future__ import annotations

import psycopg
from psycopg.types.json import Jsonb

EXCHANGE = "binance_futures_um"
SYMBOL = "A0000USDT"
BARS = 6_000
"""Hours of the chart's symbol: more than anybody scrolls through in one go."""

# A day in 20 lacks something, each symbol another one: no two rows of the map are alike, and few days in a row are.
_LEDGER = """
INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)
SELECT %(exchange)s, 'candles_1m', 'A' || lpad(n::text, 4, '0') || 'USDT', today - back, 1440,
       CASE WHEN (n * 31 + back * 17) %% 20 = 0 THEN 1440 - (n * 7 + back * 13) %% 1440 ELSE 1440 END
FROM generate_series(0, %(symbols)s - 1) AS n, generate_series(1, %(days)s) AS back,
     (SELECT (now() AT TIME ZONE 'UTC')::date AS today) AS clock
"""
_LISTED = """
INSERT INTO instruments (exchange, symbol, onboard_ts, contract_type, status, base, quote, archive_symbol, origin)
SELECT %(exchange)s, symbol, now() - interval '400 days', 'PERPETUAL', 'TRADING', 'A', 'USDT', symbol, 'exchange_info'
FROM (SELECT 'A' || lpad(n::text, 4, '0') || 'USDT' AS symbol FROM generate_series(0, %(symbols)s - 1) AS n) AS made
"""
_BARS = """
INSERT INTO bars (exchange, symbol, kind, size, open_ts, close_ts, open, high, low, close, volume, quote_volume,
                  trade_count, buy_volume, vwap, missing_minutes)
SELECT %(exchange)s, %(symbol)s, 'time', 3600000, ts, ts + interval '1 hour', price, price * 1.01, price * 0.99,
       price * (1 + 0.008 * sin(n)), 12.345, 1234.5678, 321, 6.789, price, CASE WHEN n %% 50 = 0 THEN 7 ELSE 0 END
FROM (SELECT date_trunc('hour', now()) - n * interval '1 hour' AS ts, n, 100 + 10 * sin(n / 90.0) AS price
      FROM generate_series(1, %(bars)s) AS n) AS made
"""
_FRONT = """
INSERT INTO bar_fronts (exchange, symbol, made_to) VALUES (%(exchange)s, %(symbol)s, date_trunc('hour', now()))
"""
_MINUTES = """
INSERT INTO candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count,
                        taker_buy_volume, authority, source)
SELECT %(exchange)s, %(symbol)s, ts, 100.25, 101.5, 99.75, 100.5, 12.345, 1234.5678, 321, 6.789, 3, 'b'
FROM generate_series(date_trunc('hour', now()) - interval '2 days', date_trunc('minute', now()) - interval '1 minute',
                     interval '1 minute') AS ts
"""
_METRICS = """
INSERT INTO binance_futures_metrics_5m (
    exchange, symbol, create_time, sum_open_interest, sum_open_interest_value, count_toptrader_long_short_ratio,
    sum_toptrader_long_short_ratio, count_long_short_ratio, sum_taker_long_short_vol_ratio, sum_open_interest_rank,
    sum_open_interest_value_rank, count_toptrader_long_short_ratio_rank, sum_toptrader_long_short_ratio_rank,
    count_long_short_ratio_rank, sum_taker_long_short_vol_ratio_rank, authority, source)
SELECT %(exchange)s, %(symbol)s, ts, 90000, 7e9, 1.4, 1.9, 1.2, 1.1, 3, 3, 3, 3, 3, 3, 3, 'b'
FROM generate_series(date_trunc('day', now()) - interval '250 days', date_trunc('hour', now()),
                     interval '5 minutes') AS ts
"""
_SEEN = """
INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)
SELECT %(exchange)s, dataset, %(symbol)s, (now() AT TIME ZONE 'UTC')::date - back, 3, 3
FROM generate_series(0, 250) AS back, unnest(ARRAY['metrics_5m', 'funding']) AS dataset
"""
_FUNDING = """
INSERT INTO funding_rates (exchange, symbol, funding_time, funding_rate, funding_rate_rank, authority, source)
SELECT %(exchange)s, %(symbol)s, ts, 0.0001, 3, 3, 'b'
FROM generate_series(date_trunc('day', now()) - interval '250 days', now(), interval '8 hours') AS ts
"""
_RESULTS = """
INSERT INTO analysis_results (exchange, symbol, market_type, timeframe, input_limit, last_price, support_levels,
                              resistance_levels, details, known_from, known_to)
SELECT 'binance', 'A' || lpad(n::text, 4, '0') || 'USDT', 'future', '1h', 2000, 100, %(supports)s, %(resistances)s,
       '{}', date_trunc('hour', now()), date_trunc('hour', now())
FROM generate_series(0, %(symbols)s - 1) AS n
"""
_TASKS = """
INSERT INTO tasks (task_id, kind, state, created_at, started_at, finished_at)
SELECT 'bars-' || n, 'Bars', 'SUCCESS', now() - n * interval '1 minute', now(), now()
FROM generate_series(1, 300) AS n
"""
_ALERTS = """
INSERT INTO alerts (exchange, symbol, price, direction, watermark)
SELECT %(exchange)s, 'A' || lpad(n::text, 4, '0') || 'USDT', 100 + n, 'long', date_trunc('minute', now())
FROM generate_series(0, 199) AS n
"""
_FIRED = """
INSERT INTO alert_events (alert_id, bucket_ts, price, direction, close, delivery)
SELECT alert_id, watermark, price, direction, price, 'none' FROM alerts
"""
_BATCH = "INSERT INTO batches (name) VALUES ('November')"
_OPPORTUNITIES = """
INSERT INTO arbitrage_opportunities (
    batch_id, block_time, block_number, log_index, profit_usdt, buy_price, sell_price, buy_platform, sell_platform,
    chain, pool, exchange, symbol, mode, status, block_hash, transaction_hash, details_json, risk_metrics_json)
SELECT (SELECT max(batch_id) FROM batches), now() - n * interval '5 minutes', 21000000 - n, 1, 12 + 30 * sin(n), 3000,
       3010, 'ethereum', 'binance_spot', 'ethereum', '0x88e6', 'binance_spot', 'ETHUSDT', 'screen', 'screened',
       '0x', '0x', '{}', '{}'
FROM generate_series(1, 20000) AS n
"""
_SERIES = """
INSERT INTO price_series (venue, market, interval_seconds, bucket_ts, open, high, low, close, vwap, volume,
                          quote_volume, trade_count)
SELECT venue, market, seconds, ts, 3000, 3010, 2990, 3005, 3001, 1, 3000, 1
FROM (VALUES ('binance_spot', 'ETHUSDT'), ('ethereum', '0x88e6')) AS side (venue, market),
     (VALUES (60), (3600)) AS size (seconds),
     LATERAL (SELECT to_timestamp(floor(extract(epoch FROM now()) / seconds) * seconds - n * seconds) AS ts
              FROM generate_series(0, 100000 * 60 / seconds) AS n) AS times
"""
_ALL = (
    _LEDGER,
    _LISTED,
    _BARS,
    _FRONT,
    _MINUTES,
    _METRICS,
    _SEEN,
    _FUNDING,
    _RESULTS,
    _TASKS,
    _ALERTS,
    _FIRED,
    _BATCH,
    _OPPORTUNITIES,
    _SERIES,
)


def fill(url: str, symbols: int, days: int) -> None:
    """Store it in an empty database: so many symbols, each with so many days."""
    values = {
        "exchange": EXCHANGE,
        "symbol": SYMBOL,
        "symbols": symbols,
        "days": days,
        "bars": BARS,
        "supports": Jsonb([_level("s", price) for price in (98.0, 96.5, 95.0)]),
        "resistances": Jsonb([_level("r", price) for price in (103.0, 105.5)]),
    }
    with psycopg.connect(url, options="-c search_path=market_data,public -c TimeZone=UTC") as connection:
        for statement in _ALL:
            connection.execute(statement, values)
    with psycopg.connect(url, autocommit=True, options="-c search_path=market_data,public") as connection:
        connection.execute("ANALYZE")


def _level(side: str, price: float) -> dict[str, object]:
    return {
        "id": f"{side}{price}",
        "price": price,
        "low": price * 0.999,
        "high": price * 1.001,
        "score": 71.5,
        "state": "formed",
        "pivots": 4,
        "tests": 1,
        "founded_at": "2026-11-20T00:00:00Z",
    }
