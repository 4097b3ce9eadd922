-- What `marketd export` reads, one partition at a time, and what `marketd import` puts back besides data.

-- name: months
-- By the ledger, so that no data is read to find out where there is some. The metrics of a day end on the next one.
SELECT symbol, date_trunc('month', day)::date AS month
FROM coverage_days
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND have > 0
GROUP BY symbol, month
ORDER BY symbol COLLATE "C", month;

-- name: trade_days
SELECT exchange, symbol, day::date AS day
FROM trade_reach
CROSS JOIN LATERAL generate_series(
    date_trunc('day', first_ts AT TIME ZONE 'UTC'), last_ts AT TIME ZONE 'UTC', interval '1 day'
) AS days (day)
WHERE first_id <= last_id
GROUP BY exchange, symbol, day
ORDER BY exchange, symbol COLLATE "C", day;

-- name: symbols
-- Every contract that ever was listed, also those of which nothing is stored, or not any more.
SELECT DISTINCT symbol FROM instruments WHERE exchange = %(exchange)s;

-- name: candles_state
-- Changes whenever a row comes, goes or is mended: what has the same state need not be read again.
SELECT count(*), coalesce(sum((extract(epoch FROM updated_at) * 1000000)::bigint), 0)
FROM candles_1m
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND bucket_ts >= %(since)s AND bucket_ts < %(until)s;

-- name: metrics_state
SELECT count(*), coalesce(sum((extract(epoch FROM updated_at) * 1000000)::bigint), 0)
FROM binance_futures_metrics_5m
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND create_time > %(since)s AND create_time <= %(until)s;

-- name: funding_state
SELECT count(*), coalesce(sum((extract(epoch FROM updated_at) * 1000000)::bigint), 0)
FROM funding_rates
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND funding_time >= %(since)s AND funding_time < %(until)s;

-- name: trades_state
SELECT count(*), coalesce(sum(trade_id), 0)
FROM agg_trades
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND ts >= %(since)s AND ts < %(until)s;

-- name: instruments_state
SELECT count(*), coalesce(sum((extract(epoch FROM last_seen) * 1000000)::bigint), 0)
FROM instruments
WHERE exchange = %(exchange)s;

-- name: dropped_before
-- Up to when rows were dropped with their chunks: before the oldest chunk that is left, and on days that the ledger calls
-- expired. NULL where there is neither.
SELECT greatest(
    (SELECT min(range_start) FROM timescaledb_information.chunks
     WHERE hypertable_schema = current_schema() AND hypertable_name = %(table)s),
    (SELECT (max(day) + 1)::timestamp AT TIME ZONE 'UTC' FROM coverage_days
     WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol = %(symbol)s AND expired > 0
       AND day >= (%(since)s AT TIME ZONE 'UTC')::date AND day < (%(until)s AT TIME ZONE 'UTC')::date)
);

-- name: candles
COPY (
    SELECT exchange, symbol, (extract(epoch FROM bucket_ts) * 1000000)::bigint, open, high, low, close, volume,
           quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume, source, authority, revision
    FROM candles_1m
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND bucket_ts >= %(since)s AND bucket_ts < %(until)s
    ORDER BY bucket_ts
) TO STDOUT (FORMAT csv);

-- name: metrics
COPY (
    SELECT exchange, symbol, (extract(epoch FROM create_time) * 1000000)::bigint,
           sum_open_interest, sum_open_interest_value, count_toptrader_long_short_ratio,
           sum_toptrader_long_short_ratio, count_long_short_ratio, sum_taker_long_short_vol_ratio,
           sum_open_interest_rank, sum_open_interest_value_rank, count_toptrader_long_short_ratio_rank,
           sum_toptrader_long_short_ratio_rank, count_long_short_ratio_rank, sum_taker_long_short_vol_ratio_rank,
           source, authority
    FROM binance_futures_metrics_5m
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND create_time > %(since)s AND create_time <= %(until)s
    ORDER BY create_time
) TO STDOUT (FORMAT csv);

-- name: funding
COPY (
    SELECT exchange, symbol, (extract(epoch FROM funding_time) * 1000000)::bigint, funding_rate, mark_price,
           interval_hours, funding_rate_rank, mark_price_rank, interval_hours_rank, source, authority
    FROM funding_rates
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND funding_time >= %(since)s AND funding_time < %(until)s
    ORDER BY funding_time
) TO STDOUT (FORMAT csv);

-- name: trades
COPY (
    SELECT exchange, symbol, trade_id, (extract(epoch FROM ts) * 1000000)::bigint, price, quantity,
           is_buyer_maker::integer
    FROM agg_trades
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND ts >= %(since)s AND ts < %(until)s
    ORDER BY ts, trade_id
) TO STDOUT (FORMAT csv);

-- name: instruments
COPY (
    SELECT exchange, symbol, onboard_ts::text, end_ts::text, contract_type, status, base, quote, delivery_ts::text,
           tick_size, step_size, archive_symbol, origin
    FROM instruments
    WHERE exchange = %(exchange)s
    ORDER BY symbol COLLATE "C", onboard_ts
) TO STDOUT (FORMAT csv, FORCE_QUOTE *);

-- name: put_instruments
-- What is known here already is newer than any export.
INSERT INTO instruments (
    exchange, symbol, onboard_ts, end_ts, contract_type, status, base, quote, delivery_ts, tick_size, step_size,
    archive_symbol, origin
)
SELECT %(exchange)s, symbol, onboard_ts, end_ts, contract_type, status, base, quote, delivery_ts, tick_size, step_size,
       archive_symbol, origin
FROM unnest(
    %(symbol)s::text[], %(onboard_ts)s::timestamptz[], %(end_ts)s::timestamptz[], %(contract_type)s::text[],
    %(status)s::text[], %(base)s::text[], %(quote)s::text[], %(delivery_ts)s::timestamptz[], %(tick_size)s::text[],
    %(step_size)s::text[], %(archive_symbol)s::text[], %(origin)s::text[]
) AS said (symbol, onboard_ts, end_ts, contract_type, status, base, quote, delivery_ts, tick_size, step_size,
           archive_symbol, origin)
ORDER BY symbol COLLATE "C", onboard_ts
ON CONFLICT (exchange, symbol, onboard_ts) DO NOTHING
RETURNING symbol;
