-- name: claim
-- One load at a time into a symbol's month (docs/adr/0020-coverage-ledger.md, order of locks); the archive's importer
-- takes the same ones. In order of the key, so that two of them cannot wait for each other.
SELECT pg_advisory_xact_lock(key)
FROM (
    SELECT DISTINCT hashtextextended(
        concat_ws('/', current_schema(), %(exchange)s::text, %(dataset)s::text, symbol, month), 0
    ) AS key
    FROM unnest(%(symbols)s::text[], %(months)s::text[]) AS asked (symbol, month)
    ORDER BY key
) AS claims;

-- name: stored_between
-- Stored candles of one symbol, for comparing them with other sources.
SELECT (extract(epoch FROM bucket_ts) * 1000)::bigint AS open_ms, open, high, low, close, volume, quote_volume,
       trade_count, taker_buy_volume, taker_buy_quote_volume, source, authority, revision
FROM candles_1m
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND bucket_ts >= %(since)s AND bucket_ts < %(until)s
ORDER BY bucket_ts;
