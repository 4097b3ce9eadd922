-- Price series of both sides (docs/adr/0046-arbitrage.md).

-- name: swaps
-- What was paid, in whole tokens, and whether the price it left behind can be traded at.
COPY (
    SELECT
        swaps.block_time, swaps.price,
        abs(CASE pools.base WHEN 0 THEN swaps.amount0 ELSE swaps.amount1 END)::double precision
            / (10::double precision ^ CASE pools.base WHEN 0 THEN pools.decimals0 ELSE pools.decimals1 END),
        abs(CASE pools.base WHEN 0 THEN swaps.amount1 ELSE swaps.amount0 END)::double precision
            / (10::double precision ^ CASE pools.base WHEN 0 THEN pools.decimals1 ELSE pools.decimals0 END),
        swaps.liquidity > 0
    FROM uniswap_swaps AS swaps
    JOIN pools USING (chain, pool)
    WHERE swaps.chain = %(chain)s AND swaps.pool = %(pool)s
        AND swaps.block_time >= %(since)s AND swaps.block_time < %(until)s
    ORDER BY swaps.block_time, swaps.block_number, swaps.log_index
) TO STDOUT (FORMAT BINARY);

-- name: keep_incoming
CREATE TEMP TABLE incoming (
    bucket_ts    timestamptz,
    open         double precision,
    high         double precision,
    low          double precision,
    close        double precision,
    vwap         double precision,
    volume       double precision,
    quote_volume double precision,
    trade_count  bigint
) ON COMMIT DROP;

-- name: keep
-- What is there stays: who wants it anew deletes it before, in the same transaction.
WITH written AS (
    INSERT INTO price_series (
        venue, market, interval_seconds, bucket_ts, open, high, low, close, vwap, volume, quote_volume, trade_count
    )
    SELECT
        %(venue)s, %(market)s, %(interval_seconds)s,
        bucket_ts, open, high, low, close, vwap, volume, quote_volume, trade_count
    FROM incoming
    ORDER BY bucket_ts
    ON CONFLICT (venue, market, interval_seconds, bucket_ts) DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM written;

-- name: newest
-- The last bucket of a series, by the primary key from its end.
SELECT bucket_ts
FROM price_series
WHERE venue = %(venue)s AND market = %(market)s AND interval_seconds = %(interval_seconds)s
    AND bucket_ts >= %(since)s
ORDER BY bucket_ts DESC
LIMIT 1;

-- name: clear
WITH gone AS (
    DELETE FROM price_series
    WHERE venue = %(venue)s AND market = %(market)s AND interval_seconds = %(interval_seconds)s
        AND bucket_ts >= %(since)s AND bucket_ts < %(until)s
    RETURNING 1
)
SELECT count(*) FROM gone;
