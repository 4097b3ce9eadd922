-- What the API shows of analyses and batches. Times are UTC milliseconds.

-- name: knows
SELECT EXISTS (SELECT FROM instruments WHERE exchange = %(exchange)s AND symbol = %(symbol)s);

-- name: has_ended
-- Whether every listing of a symbol is over: it was delisted, or is halted.
SELECT NOT EXISTS (
    SELECT FROM instruments WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND end_ts > now()
);

-- name: result
SELECT id, exchange, symbol, market_type, timeframe, input_limit, last_price, support_levels, resistance_levels, details,
       (extract(epoch FROM known_from) * 1000)::bigint AS known_from_ms,
       (extract(epoch FROM known_to) * 1000)::bigint AS known_to_ms,
       (extract(epoch FROM created_at) * 1000)::bigint AS created_at,
       (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
FROM analysis_results
WHERE id = %(id)s;

-- name: results
-- The newest first, but what has just the name that was looked for before everything else. A row a series: a few thousand.
SELECT id, exchange, symbol, market_type, timeframe, input_limit, last_price, support_levels, resistance_levels, details,
       (extract(epoch FROM known_from) * 1000)::bigint AS known_from_ms,
       (extract(epoch FROM known_to) * 1000)::bigint AS known_to_ms,
       (extract(epoch FROM created_at) * 1000)::bigint AS created_at,
       (extract(epoch FROM updated_at) * 1000)::bigint AS updated_at
FROM analysis_results
WHERE (%(part)s::text IS NULL OR strpos(upper(symbol), upper(%(part)s)) > 0)
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
  AND (%(market_type)s::text IS NULL OR market_type = %(market_type)s)
ORDER BY (symbol = upper(%(part)s)) DESC NULLS LAST, updated_at DESC, id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: results_total
SELECT count(*)
FROM analysis_results
WHERE (%(part)s::text IS NULL OR strpos(upper(symbol), upper(%(part)s)) > 0)
  AND (%(timeframe)s::text IS NULL OR timeframe = %(timeframe)s)
  AND (%(market_type)s::text IS NULL OR market_type = %(market_type)s);

-- name: batches
-- The newest first, from below a number on.
SELECT batch.batch_id, batch.name, found.opportunities, found.profit_usdt, found.first_ms, found.last_ms,
       (extract(epoch FROM batch.created_at) * 1000)::bigint AS created_ms,
       (extract(epoch FROM batch.updated_at) * 1000)::bigint AS updated_ms,
       batch.report
FROM (
    SELECT batch_id, name, report, created_at, updated_at
    FROM batches
    WHERE (%(before)s::integer IS NULL OR batch_id < %(before)s) AND batch_id = coalesce(%(batch_id)s::integer, batch_id)
    ORDER BY batch_id DESC
    LIMIT %(limit)s
) AS batch
CROSS JOIN LATERAL (
    SELECT count(*) AS opportunities, sum(profit_usdt) AS profit_usdt,
           (extract(epoch FROM min(block_time)) * 1000)::bigint AS first_ms,
           (extract(epoch FROM max(block_time)) * 1000)::bigint AS last_ms
    FROM arbitrage_opportunities
    WHERE arbitrage_opportunities.batch_id = batch.batch_id
) AS found
ORDER BY batch.batch_id DESC;

-- name: opportunities
SELECT opportunity_id, (extract(epoch FROM block_time) * 1000)::bigint AS block_time, block_number, profit_usdt,
       buy_price, sell_price, buy_platform, sell_platform, chain, pool, exchange, symbol, mode, status,
       transaction_hash, details_json AS details, risk_metrics_json AS risk_metrics
FROM arbitrage_opportunities
WHERE batch_id = %(batch_id)s
  AND (%(min_profit)s::float8 IS NULL OR profit_usdt >= %(min_profit)s)
  AND (%(mode)s::text IS NULL OR mode = %(mode)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(buy_platform)s::text IS NULL OR buy_platform = %(buy_platform)s)
ORDER BY block_time, opportunity_id
LIMIT %(limit)s OFFSET %(offset)s;

-- name: opportunities_total
SELECT count(*)
FROM arbitrage_opportunities
WHERE batch_id = %(batch_id)s
  AND (%(min_profit)s::float8 IS NULL OR profit_usdt >= %(min_profit)s)
  AND (%(mode)s::text IS NULL OR mode = %(mode)s)
  AND (%(status)s::text IS NULL OR status = %(status)s)
  AND (%(buy_platform)s::text IS NULL OR buy_platform = %(buy_platform)s);

-- name: batch_sides
-- The two sides of a batch, and between when it has opportunities: of the pair that it has last, where it has several.
SELECT last.exchange, last.symbol, last.chain, last.pool,
       (extract(epoch FROM span.first_ts) * 1000)::bigint AS first_ms,
       (extract(epoch FROM span.last_ts) * 1000)::bigint AS last_ms
FROM (
    SELECT exchange, symbol, chain, pool
    FROM arbitrage_opportunities
    WHERE batch_id = %(batch_id)s
    ORDER BY block_time DESC
    LIMIT 1
) AS last
CROSS JOIN (
    SELECT min(block_time) AS first_ts, max(block_time) AS last_ts
    FROM arbitrage_opportunities
    WHERE batch_id = %(batch_id)s
) AS span;

-- name: prices
-- The last price of each stretch of so many seconds, which is that of one bucket or of several.
SELECT (extract(epoch FROM stretch) * 1000)::bigint AS time_ms, price
FROM (
    SELECT DISTINCT ON (stretch) date_bin(%(width)s * interval '1 second', bucket_ts, 'epoch') AS stretch, close AS price
    FROM price_series
    WHERE venue = %(venue)s AND market = %(market)s AND interval_seconds = %(seconds)s
      AND bucket_ts >= to_timestamp(%(since_ms)s / 1000.0) AND bucket_ts < to_timestamp(%(until_ms)s / 1000.0)
    ORDER BY stretch, bucket_ts DESC
) AS last
ORDER BY stretch
LIMIT %(limit)s;

-- name: profit
-- What was made in each stretch of so many milliseconds.
SELECT (extract(epoch FROM date_bin(%(width_ms)s * interval '1 millisecond', block_time, 'epoch')) * 1000)::bigint
           AS time_ms,
       sum(profit_usdt) AS profit_usdt
FROM arbitrage_opportunities
WHERE batch_id = %(batch_id)s AND profit_usdt IS NOT NULL
GROUP BY 1
ORDER BY 1
LIMIT %(limit)s;

-- name: backfills
SELECT id, symbols, (extract(epoch FROM from_ts) * 1000)::bigint AS from_ms,
       (extract(epoch FROM to_ts) * 1000)::bigint AS to_ms, source, force, requested_by, state, cancel AS is_unwanted,
       progress, detail, (extract(epoch FROM requested_at) * 1000)::bigint AS requested_ms,
       (extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
       (extract(epoch FROM finished_at) * 1000)::bigint AS finished_ms
FROM backfill_requests
WHERE exchange = %(exchange)s
  AND (%(id)s::bigint IS NULL OR id = %(id)s)
  AND (%(before)s::bigint IS NULL OR id < %(before)s)
ORDER BY id DESC
LIMIT %(limit)s;

-- name: minutes_to_read
-- Stored minutes of a symbol from a day on: what bars of candles are built from.
SELECT coalesce(sum(have), 0)::bigint
FROM coverage_days
WHERE exchange = %(exchange)s AND dataset = 'candles_1m' AND symbol = %(symbol)s
  AND day >= (to_timestamp(%(since_ms)s / 1000.0) AT TIME ZONE 'UTC')::date;

-- name: trades_to_read
-- Ids of a symbol's trades from first to last, of all its listings: what other bars are built from.
SELECT coalesce(sum(last_id - first_id + 1), 0)::bigint
FROM trade_reach
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND first_id IS NOT NULL;

-- name: newest_of_jobs
-- Of each job the task of its newest period.
SELECT job.number, newest.*
FROM jsonb_to_recordset(%(jobs)s::jsonb) AS job (number integer, kind text, parameters jsonb)
CROSS JOIN LATERAL (
    SELECT task_id, kind, parameters, state, share, attempts, failures, error, result, requested_by,
           (extract(epoch FROM scheduled_for) * 1000)::bigint AS scheduled_ms,
           (extract(epoch FROM created_at) * 1000)::bigint AS created_ms,
           (extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
           (extract(epoch FROM finished_at) * 1000)::bigint AS finished_ms
    FROM tasks
    WHERE tasks.kind = job.kind AND tasks.parameters = job.parameters AND scheduled_for IS NOT NULL
    ORDER BY scheduled_for DESC
    LIMIT 1
) AS newest;
