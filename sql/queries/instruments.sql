-- name: record
-- Written only where something changed; last_seen otherwise once an hour, so that a reading every five minutes costs
-- nothing. An interval that the archive told of first becomes the venue's own.
INSERT INTO instruments AS known (
    exchange, symbol, onboard_ts, end_ts, contract_type, status, base, quote, delivery_ts, tick_size, step_size,
    archive_symbol, origin
)
SELECT %(exchange)s, symbol, onboard_ts, coalesce(end_ts, 'infinity'), contract_type, status, base, quote, delivery_ts,
       tick_size, step_size, symbol, 'exchange_info'
FROM unnest(
    %(symbols)s::text[], %(onboard)s::timestamptz[], %(end)s::timestamptz[], %(contract_types)s::text[],
    %(statuses)s::text[], %(bases)s::text[], %(quotes)s::text[], %(delivery)s::timestamptz[], %(tick_sizes)s::text[],
    %(step_sizes)s::text[]
) AS said (symbol, onboard_ts, end_ts, contract_type, status, base, quote, delivery_ts, tick_size, step_size)
ORDER BY symbol COLLATE "C", onboard_ts
ON CONFLICT (exchange, symbol, onboard_ts) DO UPDATE SET
    end_ts = excluded.end_ts,
    contract_type = excluded.contract_type,
    status = excluded.status,
    base = excluded.base,
    quote = excluded.quote,
    delivery_ts = excluded.delivery_ts,
    tick_size = excluded.tick_size,
    step_size = excluded.step_size,
    origin = excluded.origin,
    last_seen = now()
WHERE ROW(known.end_ts, known.contract_type, known.status, known.base, known.quote, known.delivery_ts,
          known.tick_size, known.step_size, known.origin)
      IS DISTINCT FROM
      ROW(excluded.end_ts, excluded.contract_type, excluded.status, excluded.base, excluded.quote,
          excluded.delivery_ts, excluded.tick_size, excluded.step_size, excluded.origin)
   OR known.last_seen < now() - interval '1 hour'
RETURNING (xmax = 0) AS added;

-- name: end_relisted
-- Whoever is listed anew has ended before: nothing reaches over the time between.
UPDATE instruments AS known SET end_ts = later.onboard_ts
FROM instruments AS later
WHERE known.exchange = %(exchange)s
  AND later.exchange = %(exchange)s
  AND later.symbol = known.symbol
  AND later.onboard_ts > known.onboard_ts
  AND later.onboard_ts < known.end_ts
  AND NOT EXISTS (
      SELECT FROM instruments AS between_them
      WHERE between_them.exchange = %(exchange)s
        AND between_them.symbol = known.symbol
        AND between_them.onboard_ts > known.onboard_ts
        AND between_them.onboard_ts < later.onboard_ts
  );

-- name: end_gone
-- Not in the venue's list any more, and no delivery was announced: it ended at the latest now. GONE says that the end
-- is a guess, to be brought forward when the archive shows more.
UPDATE instruments SET end_ts = greatest(%(now)s, onboard_ts + interval '1 minute'), status = 'GONE'
WHERE exchange = %(exchange)s
  AND origin = 'exchange_info'
  AND end_ts > %(now)s
  AND symbol <> ALL(%(present)s::text[]);

-- name: record_archived
-- A folder is recorded once: its interval may have been trimmed since. An interval that is known gets the folder that
-- its files were moved to.
INSERT INTO instruments (
    exchange, symbol, onboard_ts, end_ts, contract_type, status, base, quote, archive_symbol, origin
)
SELECT %(exchange)s, symbol, onboard_ts, end_ts, 'PERPETUAL', 'CLOSE', base, quote, archive_symbol, 'archive'
FROM unnest(
    %(symbols)s::text[], %(onboard)s::timestamptz[], %(end)s::timestamptz[], %(bases)s::text[], %(quotes)s::text[],
    %(folders)s::text[]
) AS said (symbol, onboard_ts, end_ts, base, quote, archive_symbol)
WHERE NOT EXISTS (
    SELECT FROM instruments AS known
    WHERE known.exchange = %(exchange)s AND known.archive_symbol = said.archive_symbol
)
ORDER BY symbol COLLATE "C", onboard_ts
ON CONFLICT (exchange, symbol, onboard_ts) DO UPDATE SET archive_symbol = excluded.archive_symbol;

-- name: listings
SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint AS onboard_ms,
       (extract(epoch FROM least(end_ts, %(never)s)) * 1000)::bigint AS end_ms
FROM instruments
WHERE exchange = %(exchange)s
ORDER BY symbol COLLATE "C", onboard_ts;

-- name: folders
SELECT DISTINCT archive_symbol FROM instruments WHERE exchange = %(exchange)s;

-- name: gone
SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint AS onboard_ms,
       (extract(epoch FROM end_ts) * 1000)::bigint AS end_ms, archive_symbol
FROM instruments
WHERE exchange = %(exchange)s AND status = 'GONE'
ORDER BY symbol COLLATE "C", onboard_ts;

-- name: resize
UPDATE instruments SET onboard_ts = %(new_onboard)s, end_ts = %(new_end)s, status = %(status)s
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND onboard_ts = %(onboard)s;

-- name: whole_days
-- Intervals known only to the day, from names of archive files; the day's rows show more once such a file is imported.
SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint AS onboard_ms,
       (extract(epoch FROM end_ts) * 1000)::bigint AS end_ms
FROM instruments
WHERE exchange = %(exchange)s
  AND origin = 'archive'
  AND EXISTS (
      SELECT FROM archive_files
      WHERE archive_files.exchange = %(exchange)s
        AND dataset = 'candles_1m'
        AND archive_files.symbol = instruments.symbol
        AND state = 'imported'
        AND first_day IN (
            (onboard_ts AT TIME ZONE 'UTC')::date,
            date_trunc('month', onboard_ts AT TIME ZONE 'UTC')::date,
            (end_ts AT TIME ZONE 'UTC' - interval '1 minute')::date,
            date_trunc('month', end_ts AT TIME ZONE 'UTC' - interval '1 minute')::date
        )
  );

-- name: edge_rows
-- The first row of the first day and the last of the last, each where the file that holds the day was imported.
SELECT
    (
        SELECT (extract(epoch FROM min(bucket_ts)) * 1000)::bigint
        FROM candles_1m
        WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND bucket_ts >= %(onboard)s AND bucket_ts < %(first_end)s
          AND EXISTS (
              SELECT FROM archive_files
              WHERE exchange = %(exchange)s AND dataset = 'candles_1m' AND symbol = %(symbol)s AND state = 'imported'
                AND first_day = ANY(%(first_files)s::date[])
          )
    ) AS first_ms,
    (
        SELECT (extract(epoch FROM max(bucket_ts)) * 1000)::bigint
        FROM candles_1m
        WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND bucket_ts >= %(last_start)s AND bucket_ts < %(end)s
          AND EXISTS (
              SELECT FROM archive_files
              WHERE exchange = %(exchange)s AND dataset = 'candles_1m' AND symbol = %(symbol)s AND state = 'imported'
                AND first_day = ANY(%(last_files)s::date[])
          )
    ) AS last_ms;
