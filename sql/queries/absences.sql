-- Rows that were proved absent: absent_minutes, and how many of them a line of the ledger has.

-- name: stored_candles
-- After lock_lines (coverage.sql) and as a statement of its own, as is stored_metrics: whoever stores a row from here on
-- waits for the line, and then finds the absence.
SELECT ts
FROM unnest(%(ts)s::timestamptz[]) AS said (ts)
WHERE EXISTS (
    SELECT FROM candles_1m
    WHERE exchange = %(exchange)s
      AND symbol = %(symbol)s
      AND bucket_ts = said.ts
      AND bucket_ts >= %(earliest)s
      AND bucket_ts < %(latest)s
);

-- name: stored_metrics
SELECT ts
FROM unnest(%(ts)s::timestamptz[]) AS said (ts)
WHERE EXISTS (
    SELECT FROM binance_futures_metrics_5m
    WHERE exchange = %(exchange)s
      AND symbol = %(symbol)s
      AND create_time = said.ts + interval '5 minutes'
      AND create_time >= %(earliest)s::timestamptz + interval '5 minutes'
      AND create_time < %(latest)s::timestamptz + interval '5 minutes'
);

-- name: mark_absent
-- An absence proved again keeps its row; the next asking comes 1, 7, then every 30 days after the last.
INSERT INTO absent_minutes AS known (
    exchange, dataset, symbol, ts, archive_path, archive_sha256, rest_asked_at, next_ask_at
)
SELECT %(exchange)s, %(dataset)s, %(symbol)s, ts, %(path)s, %(sha256)s, %(asked)s, %(asked)s + interval '1 day'
FROM unnest(%(ts)s::timestamptz[]) AS said (ts)
ORDER BY ts
ON CONFLICT (exchange, dataset, symbol, ts) DO UPDATE SET
    archive_path = excluded.archive_path,
    archive_sha256 = excluded.archive_sha256,
    rest_asked_at = excluded.rest_asked_at,
    asks = CASE WHEN known.found_at IS NULL THEN least(known.asks + 1, 32767) ELSE 1 END,
    next_ask_at = excluded.rest_asked_at + CASE
        WHEN known.found_at IS NOT NULL THEN interval '1 day'
        WHEN known.asks = 1 THEN interval '7 days'
        ELSE interval '30 days'
    END,
    found_at = NULL;

-- name: count_absent
-- In the same transaction, so that the line says what the rows beside it say.
UPDATE coverage_days AS line
SET absent = (
    SELECT count(*)
    FROM absent_minutes
    WHERE exchange = %(exchange)s
      AND dataset = %(dataset)s
      AND symbol = line.symbol
      AND ts >= line.day::timestamp AT TIME ZONE 'UTC'
      AND ts < (line.day + 1)::timestamp AT TIME ZONE 'UTC'
      AND found_at IS NULL
)
WHERE line.exchange = %(exchange)s
  AND line.dataset = %(dataset)s
  AND line.symbol = %(symbol)s
  AND line.day = ANY(%(days)s::date[]);

-- name: take_back_absences
-- Rows that were proved absent and are here now. A statement of its own after the one that counted them: the lines are
-- locked by then, so no absence can be written beside it unseen. Only a line that has absences costs this second look.
-- The planner does not see how long an array from a SELECT is, and goes by the keys; of a long one it would make a hash
-- and read all absences and the whole ledger past it.
WITH found AS (
    UPDATE absent_minutes AS absence SET found_at = now()
    FROM unnest((SELECT %(symbols)s::text[]), (SELECT %(ts)s::timestamptz[])) AS stored (symbol, ts)
    WHERE absence.exchange = %(exchange)s
      AND absence.dataset = %(dataset)s
      AND absence.symbol = stored.symbol
      AND absence.ts = stored.ts
      AND absence.found_at IS NULL
    RETURNING absence.symbol, absence.ts
)
UPDATE coverage_days SET absent = absent - taken.rows
FROM (
    SELECT symbol, (ts AT TIME ZONE 'UTC')::date AS day, count(*) AS rows FROM found GROUP BY symbol, day
) AS taken
WHERE exchange = %(exchange)s
  AND dataset = %(dataset)s
  AND coverage_days.symbol = taken.symbol
  AND coverage_days.day = taken.day;

-- name: release_absences
-- After follow (coverage.sql), in its transaction: what was proved absent and lies in no listing any more is nothing to
-- be accounted for. The tail of a delisting's last day is such a case: absent by proof while the end was known to the day only.
WITH span AS (
    SELECT symbol, from_ts, to_ts
    FROM unnest(%(span_symbols)s::text[], %(span_from)s::timestamptz[], %(span_to)s::timestamptz[])
         AS span (symbol, from_ts, to_ts)
),
released AS (
    UPDATE absent_minutes AS absence SET found_at = now()
    FROM unnest(%(symbols)s::text[], %(first_days)s::date[]) AS asked (symbol, first_day)
    WHERE absence.exchange = %(exchange)s
      AND absence.dataset = %(dataset)s
      AND absence.symbol = asked.symbol
      AND absence.ts >= asked.first_day::timestamp AT TIME ZONE 'UTC'
      AND absence.found_at IS NULL
      AND NOT EXISTS (
          SELECT FROM span
          WHERE span.symbol = absence.symbol AND absence.ts >= span.from_ts AND absence.ts < span.to_ts
      )
    RETURNING absence.symbol, absence.ts
)
UPDATE coverage_days SET absent = absent - taken.rows
FROM (
    SELECT symbol, (ts AT TIME ZONE 'UTC')::date AS day, count(*) AS rows FROM released GROUP BY symbol, day
) AS taken
WHERE exchange = %(exchange)s
  AND dataset = %(dataset)s
  AND coverage_days.symbol = taken.symbol
  AND coverage_days.day = taken.day;

-- name: absences_due
SELECT symbol, (extract(epoch FROM ts) * 1000)::bigint AS open_ms
FROM absent_minutes
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND found_at IS NULL AND next_ask_at <= %(now)s
  AND ts >= %(since)s
ORDER BY next_ask_at, symbol COLLATE "C", ts
LIMIT %(limit)s;

-- name: postpone_absences
-- Those of the gaps that are still due: asked for, and neither stored nor proved again.
UPDATE absent_minutes AS absence SET next_ask_at = %(next)s
FROM unnest(%(symbols)s::text[], %(from)s::timestamptz[], %(to)s::timestamptz[]) AS asked (symbol, from_ts, to_ts)
WHERE absence.exchange = %(exchange)s
  AND absence.dataset = %(dataset)s
  AND absence.symbol = asked.symbol
  AND absence.ts >= asked.from_ts
  AND absence.ts < asked.to_ts
  AND absence.found_at IS NULL
  AND absence.next_ask_at <= %(now)s;
