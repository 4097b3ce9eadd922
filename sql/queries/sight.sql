-- What `marketd coverage` and `marketd gaps` look at: the ledger, never the whole of the data.

-- name: symbols
-- Symbols that have ledger lines, by jumping through the key.
WITH RECURSIVE listed AS (
    (
        SELECT symbol FROM coverage_days
        WHERE exchange = %(exchange)s AND dataset = %(dataset)s
        ORDER BY symbol LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT symbol FROM coverage_days
        WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol > listed.symbol
        ORDER BY symbol LIMIT 1
    )
    FROM listed
    WHERE listed.symbol IS NOT NULL
)
SELECT symbol FROM listed WHERE symbol IS NOT NULL ORDER BY symbol COLLATE "C";

-- name: span
-- The first and the last day of these symbols in the ledger; NULL without any.
SELECT min(edge.first), max(edge.last)
FROM unnest(%(symbols)s::text[]) AS asked (symbol)
CROSS JOIN LATERAL (
    SELECT min(day) AS first, max(day) AS last FROM coverage_days
    WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol = asked.symbol
) AS edge;

-- name: cells
-- What each symbol has in each cell of so many days. Every line is cut to what it expects, in the order have,
-- absent, expired, so that the parts and the rest add up to what was due whatever a line says; rows beyond that
-- (outside a listing) are told apart.
SELECT
    symbol,
    (day - %(first)s::date) / %(days)s AS cell,
    sum(expected)::bigint AS expected,
    sum(least(have, expected))::bigint AS have,
    sum(least(absent, greatest(expected - have, 0)))::bigint AS absent,
    sum(least(expired, greatest(expected - have - absent, 0)))::bigint AS expired,
    sum(greatest(have - expected, 0))::bigint AS beyond
FROM coverage_days
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol = ANY(%(symbols)s)
  AND day BETWEEN %(first)s AND %(last)s
GROUP BY 1, 2
ORDER BY symbol COLLATE "C", cell;

-- name: requests
-- What `marketd backfill` asked for and is not done yet.
SELECT id, symbols, (extract(epoch FROM from_ts) * 1000)::bigint, (extract(epoch FROM to_ts) * 1000)::bigint
FROM backfill_requests
WHERE exchange = %(exchange)s AND state IN ('waiting', 'running')
ORDER BY id;

-- name: planned
-- What is neither there nor excused in days that a request holds whole; a day in two requests counts once.
SELECT symbol, (day - %(first)s::date) / %(days)s AS cell, sum(unaccounted)::bigint
FROM (
    SELECT DISTINCT line.symbol, line.day,
           greatest(line.expected - line.have - line.absent - line.expired, 0) AS unaccounted
    FROM unnest(%(planned)s::text[], %(planned_from)s::date[], %(planned_to)s::date[]) AS plan (symbol, first, last)
    JOIN coverage_days AS line
      ON line.exchange = %(exchange)s AND line.dataset = %(dataset)s AND line.symbol = plan.symbol
     AND line.day BETWEEN plan.first AND plan.last
    WHERE line.day BETWEEN %(first)s AND %(last)s AND line.state IN ('dirty', 'open')
) AS open_day
GROUP BY 1, 2
ORDER BY symbol COLLATE "C", cell;

-- name: listings
SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint AS onboard_ms,
       CASE WHEN isfinite(end_ts) THEN (extract(epoch FROM end_ts) * 1000)::bigint END AS end_ms
FROM instruments
WHERE exchange = %(exchange)s AND symbol = ANY(%(symbols)s)
ORDER BY symbol COLLATE "C", onboard_ts;

-- name: recent_candles
-- How many of the newest minutes of each symbol are stored already: [since, until) is some minutes and the rest of today.
SELECT asked.symbol, minute.day, minute.stored
FROM unnest(%(symbols)s::text[]) AS asked (symbol)
CROSS JOIN LATERAL (
    SELECT (bucket_ts AT TIME ZONE 'UTC')::date AS day, count(*) AS stored FROM candles_1m
    WHERE exchange = %(exchange)s AND symbol = asked.symbol
      AND bucket_ts >= %(since)s AND bucket_ts < %(until)s
    GROUP BY 1
) AS minute;

-- name: recent_metrics
-- The same for metrics, whose day is that of their period's start.
SELECT asked.symbol, period.day, period.stored
FROM unnest(%(symbols)s::text[]) AS asked (symbol)
CROSS JOIN LATERAL (
    SELECT ((create_time - interval '5 minutes') AT TIME ZONE 'UTC')::date AS day, count(*) AS stored
    FROM binance_futures_metrics_5m
    WHERE exchange = %(exchange)s AND symbol = asked.symbol
      AND create_time >= %(since)s AND create_time <= %(until)s
    GROUP BY 1
) AS period;

-- name: intervals
-- Every listing interval, living and delisted; a symbol that was listed again has several.
SELECT symbol, onboard_ts, nullif(end_ts, 'infinity') AS end_ts, status, contract_type, archive_symbol, origin, alpha
FROM instruments
WHERE exchange = %(exchange)s
ORDER BY symbol COLLATE "C", onboard_ts;

-- name: open_lines
-- Days that are not complete; before "plain_until" only those of which something is known already.
SELECT symbol, day, expected, have, absent, expired, dirty, attempts,
       (extract(epoch FROM greatest(next_look_at, '1970-01-01 00:00+00')) * 1000)::bigint AS next_look_ms
FROM coverage_days
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol = ANY(%(symbols)s)
  AND day BETWEEN %(first)s AND %(last)s AND state IN ('dirty', 'open')
  AND (day >= %(plain_until)s OR dirty OR have + absent + expired + attempts > 0)
ORDER BY symbol COLLATE "C", day;

-- name: blank_runs
-- The others: stretches of days of which nothing is stored and nothing was asked, as few as can be.
SELECT symbol, min(day) AS first, max(day) AS last
FROM (
    SELECT symbol, day, day - (row_number() OVER (PARTITION BY symbol ORDER BY day))::integer AS island
    FROM coverage_days
    WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol = ANY(%(symbols)s)
      AND day BETWEEN %(first)s AND %(last)s AND day < %(plain_until)s
      AND state = 'open' AND have + absent + expired + attempts = 0
) AS blank
GROUP BY symbol, island
ORDER BY symbol COLLATE "C", first;

-- name: files
-- What is known of archive files that are no use now: wrong for good, or not there.
SELECT path, symbol, span, first_day, state, sha256, detail, (extract(epoch FROM checked_at) * 1000)::bigint
FROM archive_files
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol = ANY(%(symbols)s)
  AND first_day BETWEEN date_trunc('month', %(first)s::timestamp)::date AND %(last)s
ORDER BY path;

-- name: losses
-- Minutes that were received and lost from a full buffer, of the days asked for.
SELECT symbol, (extract(epoch FROM from_ts) * 1000)::bigint, (extract(epoch FROM to_ts) * 1000)::bigint, reason
FROM gap_events
WHERE exchange = %(exchange)s AND symbol = ANY(%(symbols)s)
  AND to_ts > %(first)s::timestamp AT TIME ZONE 'UTC'
  AND from_ts < (%(last)s::date + 1)::timestamp AT TIME ZONE 'UTC'
ORDER BY symbol COLLATE "C", from_ts;

-- name: folders
-- Folders of the archive that have another name than their symbol.
SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint, archive_symbol
FROM instruments
WHERE exchange = %(exchange)s AND symbol = ANY(%(symbols)s) AND archive_symbol <> symbol;
