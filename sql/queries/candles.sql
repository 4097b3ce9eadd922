-- name: create_incoming
-- The session's own landing table; emptied by every commit. Its texts are bounded, so that it has no TOAST table,
-- whose index every commit would build anew.
CREATE TEMP TABLE candles_incoming (
    symbol                 varchar(200),
    open_ms                bigint,
    open                   double precision,
    high                   double precision,
    low                    double precision,
    close                  double precision,
    volume                 double precision,
    quote_volume           double precision,
    trade_count            bigint,
    taker_buy_volume       double precision,
    taker_buy_quote_volume double precision,
    source                 varchar(100),
    authority              smallint,
    revision               integer
) ON COMMIT DELETE ROWS;

-- name: drop_incoming
DROP TABLE IF EXISTS pg_temp.candles_incoming;

-- name: copy_incoming
COPY pg_temp.candles_incoming FROM STDIN (FORMAT BINARY);

-- name: upsert
-- Guarded: a stored row gives way only to one of larger rank. The two ROW(...) lists are model.Candle.rank, line by
-- line (docs/adr/0003-which-row-wins.md); a test runs both over the same rows. The order of the keys is the same in
-- every session, so two of them cannot deadlock.
WITH written AS (
    INSERT INTO candles_1m AS stored (
        exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
        taker_buy_quote_volume, source, authority, revision
    )
    SELECT
        %(exchange)s, symbol, to_timestamp(open_ms::double precision / 1000), open, high, low, close, volume,
        quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume, source, authority, revision
    FROM pg_temp.candles_incoming
    ORDER BY symbol COLLATE "C", open_ms
    ON CONFLICT (exchange, symbol, bucket_ts) DO UPDATE SET
        open = excluded.open,
        high = excluded.high,
        low = excluded.low,
        close = excluded.close,
        volume = excluded.volume,
        quote_volume = excluded.quote_volume,
        trade_count = excluded.trade_count,
        taker_buy_volume = excluded.taker_buy_volume,
        taker_buy_quote_volume = excluded.taker_buy_quote_volume,
        source = excluded.source,
        authority = excluded.authority,
        revision = excluded.revision,
        updated_at = now()
    WHERE ROW(
        num_nulls(excluded.quote_volume, excluded.trade_count, excluded.taker_buy_volume,
                  excluded.taker_buy_quote_volume) = 0,
        CASE WHEN excluded.authority = 3 AND coalesce(excluded.trade_count, 0) = 0 THEN 0 ELSE excluded.authority END,
        excluded.revision,
        coalesce(excluded.trade_count, -1),
        coalesce(excluded.taker_buy_quote_volume, -1),
        coalesce(excluded.taker_buy_volume, -1),
        coalesce(excluded.quote_volume, -1),
        excluded.volume,
        excluded.close,
        excluded.low,
        excluded.high,
        excluded.open,
        excluded.authority,
        excluded.source COLLATE "C"
    ) > ROW(
        num_nulls(stored.quote_volume, stored.trade_count, stored.taker_buy_volume,
                  stored.taker_buy_quote_volume) = 0,
        CASE WHEN stored.authority = 3 AND coalesce(stored.trade_count, 0) = 0 THEN 0 ELSE stored.authority END,
        stored.revision,
        coalesce(stored.trade_count, -1),
        coalesce(stored.taker_buy_quote_volume, -1),
        coalesce(stored.taker_buy_volume, -1),
        coalesce(stored.quote_volume, -1),
        stored.volume,
        stored.close,
        stored.low,
        stored.high,
        stored.open,
        stored.authority,
        stored.source COLLATE "C"
    )
    RETURNING symbol, bucket_ts, (xmax = 0) AS inserted
),
counted AS (
    -- The ledger moves with its rows: one update a line, in the order of locks of docs/adr/0020-coverage-ledger.md.
    INSERT INTO coverage_days AS line (exchange, dataset, symbol, day, have)
    SELECT %(exchange)s, 'candles_1m', symbol, (bucket_ts AT TIME ZONE 'UTC')::date AS day, count(*)
    FROM written
    WHERE inserted
    GROUP BY symbol, day
    ORDER BY symbol COLLATE "C", day
    ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET have = line.have + excluded.have
    RETURNING line.absent > 0 AS absences
),
late AS (
    -- What bars may have been made without (docs/adr/0043-kept-bars.md); a replaced row is told by its trigger.
    INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts)
    SELECT %(exchange)s, (bucket_ts AT TIME ZONE 'UTC')::date AS day, symbol,
           min(bucket_ts), max(bucket_ts) + interval '1 minute'
    FROM written
    WHERE inserted AND bucket_ts < now() - interval '30 minutes'
    GROUP BY symbol, day
)
SELECT
    count(*) FILTER (WHERE inserted) AS inserted,
    count(*) FILTER (WHERE NOT inserted) AS replaced,
    coalesce((SELECT bool_or(absences) FROM counted), false) AS absences
FROM written;

-- name: insert_new
-- Rows of which none is stored, one of each symbol: there is no stored row to look for and nothing to add up, which is
-- a fifth of the time. 23505 if one is stored after all: the caller sends all of them through "upsert" then.
WITH written AS (
    INSERT INTO candles_1m (
        exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
        taker_buy_quote_volume, source, authority, revision
    )
    SELECT
        %(exchange)s, symbol, to_timestamp(open_ms::double precision / 1000), open, high, low, close, volume,
        quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume, source, authority, revision
    FROM pg_temp.candles_incoming
    ORDER BY symbol COLLATE "C"
    RETURNING symbol, bucket_ts
),
keyed AS (
    -- Stores nothing: where the key is gone this is refused (42P10), as "upsert" is.
    INSERT INTO candles_1m (exchange) SELECT %(exchange)s WHERE false
    ON CONFLICT (exchange, symbol, bucket_ts) DO NOTHING
),
counted AS (
    -- "written" gives its rows as they went in, which is the order of locks of docs/adr/0020-coverage-ledger.md.
    INSERT INTO coverage_days AS line (exchange, dataset, symbol, day, have)
    SELECT %(exchange)s, 'candles_1m', symbol, (bucket_ts AT TIME ZONE 'UTC')::date, 1
    FROM written
    ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET have = line.have + excluded.have
    RETURNING line.absent > 0 AS absences
),
late AS (
    INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts)
    SELECT %(exchange)s, (bucket_ts AT TIME ZONE 'UTC')::date, symbol, bucket_ts, bucket_ts + interval '1 minute'
    FROM written
    WHERE bucket_ts < now() - interval '30 minutes'
)
SELECT
    count(*) AS inserted,
    0 AS replaced,
    coalesce((SELECT bool_or(absences) FROM counted), false) AS absences
FROM written;

-- name: insert_gaps
INSERT INTO gap_events (exchange, symbol, from_ts, to_ts, reason)
SELECT %(exchange)s, symbol, to_timestamp(from_ms::double precision / 1000),
       to_timestamp(to_ms::double precision / 1000), reason
FROM unnest(%(symbols)s::text[], %(from_ms)s::bigint[], %(to_ms)s::bigint[], %(reasons)s::text[])
     AS gap (symbol, from_ms, to_ms, reason)
ON CONFLICT DO NOTHING;

-- name: insert_rejected
INSERT INTO rejected_rows (exchange, reason, row_md5, symbol, open_ms, detail, raw_row)
VALUES (%(exchange)s, %(reason)s, md5(%(raw_row)s::text), %(symbol)s, %(open_ms)s, %(detail)s, %(raw_row)s)
ON CONFLICT (exchange, reason, row_md5) DO UPDATE SET
    times_seen = rejected_rows.times_seen + 1,
    last_seen = now(),
    detail = excluded.detail;

-- name: holes
-- One pass for all symbols: each symbol's stored minutes in key order, with the edges of its range as sentinels,
-- and a gap wherever two neighbours are more than a minute apart. The constant bounds (earliest, until) let the
-- planner leave out every chunk that cannot matter; the bound of each symbol then narrows the index scan.
SELECT
    asked.symbol,
    (extract(epoch FROM gap.from_ts) * 1000)::bigint AS from_ms,
    (extract(epoch FROM gap.to_ts) * 1000)::bigint AS to_ms
FROM unnest(%(symbols)s::text[], %(since)s::timestamptz[]) AS asked (symbol, since)
CROSS JOIN LATERAL (
    SELECT before + interval '1 minute' AS from_ts, ts AS to_ts
    FROM (
        SELECT ts, lag(ts, 1, asked.since - interval '1 minute') OVER (ORDER BY ts) AS before
        FROM (
            SELECT bucket_ts AS ts
            FROM candles_1m
            WHERE exchange = %(exchange)s
              AND symbol = asked.symbol
              AND bucket_ts >= asked.since
              AND bucket_ts >= %(earliest)s
              AND bucket_ts < %(until)s
            UNION ALL
            SELECT %(until)s
        ) AS present
    ) AS neighbours
    WHERE ts > before + interval '1 minute'
) AS gap
WHERE asked.since < %(until)s
ORDER BY asked.symbol COLLATE "C", gap.from_ts;
