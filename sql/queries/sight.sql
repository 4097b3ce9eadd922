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

-- name: intervals
-- Every listing interval, living and delisted; a symbol that was listed again has several.
SELECT symbol, onboard_ts, nullif(end_ts, 'infinity') AS end_ts, status, contract_type, archive_symbol, origin, alpha
FROM instruments
WHERE exchange = %(exchange)s
ORDER BY symbol COLLATE "C", onboard_ts;
