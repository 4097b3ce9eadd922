-- name: known_file
SELECT state = 'imported' AS imported, sha256, revision, file_rows
FROM archive_files
WHERE exchange = %(exchange)s AND path = %(path)s;

-- name: note_file
INSERT INTO archive_files (
    exchange, path, dataset, symbol, span, first_day, state, sha256, size_bytes, file_rows, revision, imported_at
) VALUES (
    %(exchange)s, %(path)s, %(dataset)s, %(symbol)s, %(span)s, %(first_day)s, 'imported', %(sha256)s, %(size_bytes)s,
    %(file_rows)s, %(revision)s, now()
)
ON CONFLICT (exchange, path) DO UPDATE SET
    state = excluded.state,
    sha256 = excluded.sha256,
    size_bytes = excluded.size_bytes,
    file_rows = excluded.file_rows,
    revision = excluded.revision,
    detail = '',
    checked_at = now(),
    imported_at = excluded.imported_at;

-- name: listed
SELECT
    CASE WHEN isfinite(onboard_ts) THEN (extract(epoch FROM onboard_ts) * 1000)::bigint END AS onboard_ms,
    CASE WHEN isfinite(end_ts) THEN (extract(epoch FROM end_ts) * 1000)::bigint END AS end_ms
FROM instruments
WHERE exchange = %(exchange)s AND symbol = %(symbol)s;

-- name: chunk_ranges
SELECT range_start, range_end
FROM timescaledb_information.chunks
WHERE hypertable_schema = current_schema()
  AND hypertable_name = 'candles_1m'
  AND range_end > %(from)s
  AND range_start < %(to)s
ORDER BY range_start;

-- name: days_with_rows
-- Days that may hold a row, or a row proved absent: every other one is empty, because whoever inserts counts.
SELECT day
FROM coverage_days
WHERE exchange = %(exchange)s
  AND dataset = 'candles_1m'
  AND symbol = %(symbol)s
  AND day BETWEEN %(first_day)s AND %(last_day)s
  AND (have > 0 OR absent > 0 OR dirty);

-- name: copy_candles
COPY candles_1m (
    exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
    taker_buy_quote_volume, source, authority, revision
) FROM STDIN (FORMAT BINARY);

-- name: count_rows
-- What copy_candles wrote, in its transaction. Says whether a line has absences: they are looked at after it, as after
-- the guarded statement (docs/adr/0020-coverage-ledger.md).
WITH counted AS (
    INSERT INTO coverage_days AS line (exchange, dataset, symbol, day, have)
    SELECT %(exchange)s, 'candles_1m', %(symbol)s, day, rows
    FROM unnest(%(days)s::date[], %(rows)s::integer[]) AS counted (day, rows)
    ORDER BY day
    ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET have = line.have + excluded.have
    RETURNING line.absent > 0 AS absences
),
late AS (
    INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts)
    SELECT %(exchange)s, day, %(symbol)s, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
    FROM unnest(%(days)s::date[]) AS counted (day)
)
SELECT bool_or(absences) FROM counted;

-- name: copy_stored
-- Every column of one width, so that all rows are read as one array; NULL is NaN or -1, which no row holds.
COPY (
    SELECT bucket_ts, open, high, low, close, volume, coalesce(quote_volume, 'NaN'), coalesce(trade_count, -1),
           coalesce(taker_buy_volume, 'NaN'), coalesce(taker_buy_quote_volume, 'NaN'), authority, revision,
           (source = %(source)s)::integer
    FROM candles_1m
    WHERE exchange = %(exchange)s
      AND symbol = %(symbol)s
      AND bucket_ts >= %(from)s
      AND bucket_ts < %(to)s
    ORDER BY bucket_ts
) TO STDOUT (FORMAT BINARY);
