-- What `marketd import` reads in another program's database, and what it notes in ours. Names in braces are filled in
-- as identifiers once the tables were found.

-- name: tables
-- Every table with its columns, but those of the system and of the extension itself.
SELECT table_schema::text, table_name::text, array_agg(column_name::text)
FROM information_schema.columns
WHERE table_name IN ('candles_1m', 'binance_futures_metrics_5m')
  AND table_schema NOT LIKE 'pg\_%%' AND table_schema NOT LIKE '\_timescaledb\_%%'
GROUP BY 1, 2
ORDER BY 1, 2;

-- name: patience
-- Looking for symbols walks every chunk's index; single months are quick.
SELECT set_config('statement_timeout', '10min', false), set_config('default_transaction_read_only', 'on', false);

-- name: symbols
WITH RECURSIVE listed AS (
    (SELECT symbol FROM {table} WHERE exchange = %(exchange)s ORDER BY symbol LIMIT 1)
    UNION ALL
    SELECT (
        SELECT symbol FROM {table}
        WHERE exchange = %(exchange)s AND symbol > listed.symbol
        ORDER BY symbol LIMIT 1
    )
    FROM listed
    WHERE listed.symbol IS NOT NULL
)
SELECT symbol::text FROM listed WHERE symbol IS NOT NULL ORDER BY symbol COLLATE "C";

-- name: span
-- A column without a time zone is taken for UTC, which is what the session is set to.
SELECT (extract(epoch FROM min({time})::timestamptz) * 1000)::bigint,
       (extract(epoch FROM max({time})::timestamptz) * 1000)::bigint
FROM {table}
WHERE exchange = %(exchange)s AND symbol = %(symbol)s;

-- name: candles
SELECT (extract(epoch FROM bucket_ts::timestamptz) * 1000)::bigint, open::float8, high::float8, low::float8,
       close::float8, volume::float8, {quote_volume}::float8, {trade_count}::bigint, {taker_buy_volume}::float8,
       {taker_buy_quote_volume}::float8, {is_closed}::boolean
FROM {table}
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND bucket_ts >= %(since)s AND bucket_ts < %(until)s
ORDER BY bucket_ts;

-- name: metrics
SELECT (extract(epoch FROM create_time::timestamptz) * 1000)::bigint, {sum_open_interest}::numeric,
       {sum_open_interest_value}::numeric, {count_toptrader_long_short_ratio}::numeric,
       {sum_toptrader_long_short_ratio}::numeric, {count_long_short_ratio}::numeric,
       {sum_taker_long_short_vol_ratio}::numeric, {is_closed}::boolean
FROM {table}
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND create_time >= %(since)s AND create_time < %(until)s
ORDER BY create_time;

-- name: done
SELECT symbol, month FROM takeovers
WHERE exchange = %(exchange)s AND source = %(source)s AND dataset = %(dataset)s;

-- name: note
INSERT INTO takeovers (exchange, source, dataset, symbol, month, rows_read, inserted, refused)
VALUES (%(exchange)s, %(source)s, %(dataset)s, %(symbol)s, %(month)s, %(rows_read)s, %(inserted)s, %(refused)s)
ON CONFLICT (exchange, source, dataset, symbol, month) DO UPDATE SET
    rows_read = excluded.rows_read,
    inserted = takeovers.inserted + excluded.inserted,
    refused = excluded.refused,
    done_at = now();

-- name: listings
SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint AS onboard_ms,
       (extract(epoch FROM least(end_ts, '9999-01-01 00:00+00')) * 1000)::bigint AS end_ms
FROM instruments
WHERE exchange = %(exchange)s
ORDER BY symbol COLLATE "C", onboard_ts;
