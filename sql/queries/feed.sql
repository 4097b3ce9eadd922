-- name: task_ends
-- Where the logs of some tasks end now.
SELECT tasks.task_id,
       (SELECT coalesce(max(number), 0) FROM task_logs WHERE task_logs.task_id = tasks.task_id),
       tasks.state, tasks.share
FROM tasks
WHERE tasks.task_id = ANY (%(task_ids)s);

-- name: task_news
-- How some tasks stand, and the lines of their logs behind a number each.
SELECT tasks.task_id, tasks.state, tasks.share, coalesce(news.lines, '[]'::jsonb)
FROM unnest(%(task_ids)s::text[], %(numbers)s::bigint[]) AS wanted (task_id, number)
JOIN tasks ON tasks.task_id = wanted.task_id
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_array(line.number, line.at_ms, line.level, line.line) ORDER BY line.number) AS lines
    FROM (
        SELECT number, (extract(epoch FROM at) * 1000)::bigint AS at_ms, level, line
        FROM task_logs
        WHERE task_logs.task_id = wanted.task_id AND task_logs.number > wanted.number
        ORDER BY number
        LIMIT %(limit)s
    ) AS line
) AS news ON true;

-- name: day_counts
-- How many minutes each symbol has of the days since an instant: the ledger's own count, one or two rows a symbol.
SELECT symbol, sum(have)::bigint
FROM coverage_days
WHERE exchange = %(exchange)s AND dataset = 'candles_1m'
  AND day >= (to_timestamp(%(since_ms)s / 1000.0) AT TIME ZONE 'UTC')::date
GROUP BY symbol;

-- name: newest_candles
-- The candles of some symbols behind a minute each, none older than since_ms.
SELECT wanted.symbol, (extract(epoch FROM candle.bucket_ts) * 1000)::bigint,
       candle.open, candle.high, candle.low, candle.close, candle.volume, candle.quote_volume, candle.trade_count,
       candle.taker_buy_volume, candle.taker_buy_quote_volume, candle.source, candle.authority
FROM unnest(%(symbols)s::text[], %(after_ms)s::bigint[]) AS wanted (symbol, after_ms)
JOIN LATERAL (
    SELECT * FROM candles_1m
    WHERE exchange = %(exchange)s AND candles_1m.symbol = wanted.symbol
      AND bucket_ts > to_timestamp(wanted.after_ms / 1000.0)
      AND bucket_ts >= to_timestamp(%(since_ms)s / 1000.0)
    ORDER BY bucket_ts
) AS candle ON true;
