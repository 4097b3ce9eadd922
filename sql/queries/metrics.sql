-- Futures metrics and the lists that the sweep works from.

-- name: merge
-- Column by column: a value gives way only to one of larger (rank, value), and NULL (rank -1) to any; so any order
-- of arrival leaves the same row. Both sides are model.FuturesMetric as adapters/timescale/metrics/merging.py merges
-- them. The rows that are new are counted into the ledger by this very statement (docs/adr/0020-coverage-ledger.md).
WITH written AS (
    INSERT INTO binance_futures_metrics_5m AS stored (
        exchange, symbol, create_time,
        sum_open_interest, sum_open_interest_rank,
        sum_open_interest_value, sum_open_interest_value_rank,
        count_toptrader_long_short_ratio, count_toptrader_long_short_ratio_rank,
        sum_toptrader_long_short_ratio, sum_toptrader_long_short_ratio_rank,
        count_long_short_ratio, count_long_short_ratio_rank,
        sum_taker_long_short_vol_ratio, sum_taker_long_short_vol_ratio_rank,
        source, authority
    )
    SELECT
        %(exchange)s, symbol, to_timestamp(end_ms::double precision / 1000),
        sum_open_interest, sum_open_interest_rank,
        sum_open_interest_value, sum_open_interest_value_rank,
        count_toptrader_long_short_ratio, count_toptrader_long_short_ratio_rank,
        sum_toptrader_long_short_ratio, sum_toptrader_long_short_ratio_rank,
        count_long_short_ratio, count_long_short_ratio_rank,
        sum_taker_long_short_vol_ratio, sum_taker_long_short_vol_ratio_rank,
        source, authority
    FROM unnest(
        %(symbol)s::text[], %(end_ms)s::bigint[],
        %(sum_open_interest)s::numeric[], %(sum_open_interest_rank)s::smallint[],
        %(sum_open_interest_value)s::numeric[], %(sum_open_interest_value_rank)s::smallint[],
        %(count_toptrader_long_short_ratio)s::numeric[], %(count_toptrader_long_short_ratio_rank)s::smallint[],
        %(sum_toptrader_long_short_ratio)s::numeric[], %(sum_toptrader_long_short_ratio_rank)s::smallint[],
        %(count_long_short_ratio)s::numeric[], %(count_long_short_ratio_rank)s::smallint[],
        %(sum_taker_long_short_vol_ratio)s::numeric[], %(sum_taker_long_short_vol_ratio_rank)s::smallint[],
        %(source)s::text[], %(authority)s::smallint[]
    ) AS incoming (
        symbol, end_ms,
        sum_open_interest, sum_open_interest_rank,
        sum_open_interest_value, sum_open_interest_value_rank,
        count_toptrader_long_short_ratio, count_toptrader_long_short_ratio_rank,
        sum_toptrader_long_short_ratio, sum_toptrader_long_short_ratio_rank,
        count_long_short_ratio, count_long_short_ratio_rank,
        sum_taker_long_short_vol_ratio, sum_taker_long_short_vol_ratio_rank,
        source, authority
    )
    ORDER BY symbol COLLATE "C", end_ms
    ON CONFLICT (exchange, symbol, create_time) DO UPDATE SET
        sum_open_interest =
            CASE WHEN ROW(excluded.sum_open_interest_rank, excluded.sum_open_interest) > ROW(stored.sum_open_interest_rank, stored.sum_open_interest)
            THEN excluded.sum_open_interest ELSE stored.sum_open_interest END,
        sum_open_interest_rank = greatest(excluded.sum_open_interest_rank, stored.sum_open_interest_rank),
        sum_open_interest_value =
            CASE WHEN ROW(excluded.sum_open_interest_value_rank, excluded.sum_open_interest_value) > ROW(stored.sum_open_interest_value_rank, stored.sum_open_interest_value)
            THEN excluded.sum_open_interest_value ELSE stored.sum_open_interest_value END,
        sum_open_interest_value_rank = greatest(excluded.sum_open_interest_value_rank, stored.sum_open_interest_value_rank),
        count_toptrader_long_short_ratio =
            CASE WHEN ROW(excluded.count_toptrader_long_short_ratio_rank, excluded.count_toptrader_long_short_ratio) > ROW(stored.count_toptrader_long_short_ratio_rank, stored.count_toptrader_long_short_ratio)
            THEN excluded.count_toptrader_long_short_ratio ELSE stored.count_toptrader_long_short_ratio END,
        count_toptrader_long_short_ratio_rank = greatest(excluded.count_toptrader_long_short_ratio_rank, stored.count_toptrader_long_short_ratio_rank),
        sum_toptrader_long_short_ratio =
            CASE WHEN ROW(excluded.sum_toptrader_long_short_ratio_rank, excluded.sum_toptrader_long_short_ratio) > ROW(stored.sum_toptrader_long_short_ratio_rank, stored.sum_toptrader_long_short_ratio)
            THEN excluded.sum_toptrader_long_short_ratio ELSE stored.sum_toptrader_long_short_ratio END,
        sum_toptrader_long_short_ratio_rank = greatest(excluded.sum_toptrader_long_short_ratio_rank, stored.sum_toptrader_long_short_ratio_rank),
        count_long_short_ratio =
            CASE WHEN ROW(excluded.count_long_short_ratio_rank, excluded.count_long_short_ratio) > ROW(stored.count_long_short_ratio_rank, stored.count_long_short_ratio)
            THEN excluded.count_long_short_ratio ELSE stored.count_long_short_ratio END,
        count_long_short_ratio_rank = greatest(excluded.count_long_short_ratio_rank, stored.count_long_short_ratio_rank),
        sum_taker_long_short_vol_ratio =
            CASE WHEN ROW(excluded.sum_taker_long_short_vol_ratio_rank, excluded.sum_taker_long_short_vol_ratio) > ROW(stored.sum_taker_long_short_vol_ratio_rank, stored.sum_taker_long_short_vol_ratio)
            THEN excluded.sum_taker_long_short_vol_ratio ELSE stored.sum_taker_long_short_vol_ratio END,
        sum_taker_long_short_vol_ratio_rank = greatest(excluded.sum_taker_long_short_vol_ratio_rank, stored.sum_taker_long_short_vol_ratio_rank),
        source =
            CASE WHEN ROW(excluded.authority, excluded.source COLLATE "C") > ROW(stored.authority, stored.source COLLATE "C")
            THEN excluded.source ELSE stored.source END,
        authority = greatest(excluded.authority, stored.authority),
        updated_at = now()
    WHERE
        ROW(excluded.sum_open_interest_rank, excluded.sum_open_interest) > ROW(stored.sum_open_interest_rank, stored.sum_open_interest)
        OR ROW(excluded.sum_open_interest_value_rank, excluded.sum_open_interest_value) > ROW(stored.sum_open_interest_value_rank, stored.sum_open_interest_value)
        OR ROW(excluded.count_toptrader_long_short_ratio_rank, excluded.count_toptrader_long_short_ratio) > ROW(stored.count_toptrader_long_short_ratio_rank, stored.count_toptrader_long_short_ratio)
        OR ROW(excluded.sum_toptrader_long_short_ratio_rank, excluded.sum_toptrader_long_short_ratio) > ROW(stored.sum_toptrader_long_short_ratio_rank, stored.sum_toptrader_long_short_ratio)
        OR ROW(excluded.count_long_short_ratio_rank, excluded.count_long_short_ratio) > ROW(stored.count_long_short_ratio_rank, stored.count_long_short_ratio)
        OR ROW(excluded.sum_taker_long_short_vol_ratio_rank, excluded.sum_taker_long_short_vol_ratio) > ROW(stored.sum_taker_long_short_vol_ratio_rank, stored.sum_taker_long_short_vol_ratio)
        OR ROW(excluded.authority, excluded.source COLLATE "C") > ROW(stored.authority, stored.source COLLATE "C")
    RETURNING symbol, create_time, (xmax = 0) AS inserted
),
counted AS (
    INSERT INTO coverage_days AS line (exchange, dataset, symbol, day, have)
    SELECT %(exchange)s, 'metrics_5m', symbol, ((create_time - interval '5 minutes') AT TIME ZONE 'UTC')::date AS day, count(*)
    FROM written
    WHERE inserted
    GROUP BY symbol, day
    ORDER BY symbol COLLATE "C", day
    ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET have = line.have + excluded.have
    RETURNING line.absent > 0 AS absences
)
SELECT
    count(*) FILTER (WHERE inserted) AS inserted,
    count(*) FILTER (WHERE NOT inserted) AS replaced,
    coalesce((SELECT bool_or(absences) FROM counted), false) AS absences
FROM written;

-- name: newest
-- How far each column of each symbol reaches, and how large its open interest was last.
SELECT
    symbol,
    (extract(epoch FROM max(create_time) FILTER (WHERE sum_open_interest IS NOT NULL)) * 1000)::bigint AS sum_open_interest,
    (extract(epoch FROM max(create_time) FILTER (WHERE count_toptrader_long_short_ratio IS NOT NULL)) * 1000)::bigint AS count_toptrader_long_short_ratio,
    (extract(epoch FROM max(create_time) FILTER (WHERE sum_toptrader_long_short_ratio IS NOT NULL)) * 1000)::bigint AS sum_toptrader_long_short_ratio,
    (extract(epoch FROM max(create_time) FILTER (WHERE count_long_short_ratio IS NOT NULL)) * 1000)::bigint AS count_long_short_ratio,
    (extract(epoch FROM max(create_time) FILTER (WHERE sum_taker_long_short_vol_ratio IS NOT NULL)) * 1000)::bigint AS sum_taker_long_short_vol_ratio,
    (array_agg(sum_open_interest_value ORDER BY create_time DESC) FILTER (WHERE sum_open_interest_value IS NOT NULL))[1]
        AS last_value
FROM binance_futures_metrics_5m
WHERE exchange = %(exchange)s AND create_time >= %(since)s
GROUP BY symbol;

-- name: symbol_rows
SELECT
    (extract(epoch FROM create_time) * 1000)::bigint AS end_ms,
    sum_open_interest,
    sum_open_interest_value,
    count_toptrader_long_short_ratio,
    sum_toptrader_long_short_ratio,
    count_long_short_ratio,
    sum_taker_long_short_vol_ratio,
    source, authority
FROM binance_futures_metrics_5m
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND create_time > %(after)s AND create_time <= %(until)s
ORDER BY create_time;

-- name: blank_days
-- Days with a row in which some column is NULL, its rank -1. Reads the chunks of the stretch once.
SELECT DISTINCT symbol, ((create_time - interval '5 minutes') AT TIME ZONE 'UTC')::date AS day
FROM binance_futures_metrics_5m
WHERE exchange = %(exchange)s
  AND create_time > %(after)s
  AND create_time <= %(until)s
  AND least(
      sum_open_interest_rank, sum_open_interest_value_rank, count_toptrader_long_short_ratio_rank,
      sum_toptrader_long_short_ratio_rank, count_long_short_ratio_rank, sum_taker_long_short_vol_ratio_rank
  ) < 0;

-- name: file_before
-- What is known of an archive file, locked until its rows are committed.
SELECT state, sha256, revision FROM archive_files WHERE exchange = %(exchange)s AND path = %(path)s FOR UPDATE;

-- name: note_file
INSERT INTO archive_files (
    exchange, path, dataset, symbol, span, first_day, state, sha256, size_bytes, file_rows, revision, attempts, detail,
    imported_at
)
VALUES (
    %(exchange)s, %(path)s, %(dataset)s, %(symbol)s, %(span)s, %(first_day)s, %(state)s, %(sha256)s, %(size_bytes)s,
    %(file_rows)s, %(revision)s, 1, %(detail)s, CASE WHEN %(state)s = 'imported' THEN now() END
)
ON CONFLICT (exchange, path) DO UPDATE SET
    state = excluded.state,
    sha256 = excluded.sha256,
    size_bytes = excluded.size_bytes,
    file_rows = excluded.file_rows,
    revision = excluded.revision,
    attempts = archive_files.attempts + 1,
    detail = excluded.detail,
    checked_at = now(),
    imported_at = coalesce(excluded.imported_at, archive_files.imported_at);
