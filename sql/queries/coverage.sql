-- name: follow
-- Sets what is due, where it is not what the ledger says: new days, and days whose listing changed. Nothing is locked
-- and nothing written where it is right. A line after the end of its listing stays, with nothing due.
WITH span AS (
    SELECT symbol, from_ts, to_ts
    FROM unnest(%(span_symbols)s::text[], %(span_from)s::timestamptz[], %(span_to)s::timestamptz[])
         AS span (symbol, from_ts, to_ts)
),
due AS (
    SELECT
        symbol,
        midnight::date AS day,
        (sum(extract(epoch FROM least(to_ts, midnight + interval '1 day') - greatest(from_ts, midnight)))
            / %(step_s)s)::integer AS expected
    FROM span
    CROSS JOIN LATERAL generate_series(
        date_trunc('day', from_ts), to_ts - interval '1 second', interval '1 day'
    ) AS midnight
    GROUP BY symbol, midnight
),
known AS (
    SELECT line.symbol, line.day, line.expected
    FROM unnest(%(symbols)s::text[], %(first_days)s::date[]) AS asked (symbol, first_day)
    JOIN coverage_days AS line
      ON line.exchange = %(exchange)s
     AND line.dataset = %(dataset)s
     AND line.symbol = asked.symbol
     AND line.day >= asked.first_day
)
INSERT INTO coverage_days AS line (exchange, dataset, symbol, day, expected)
SELECT %(exchange)s, %(dataset)s, symbol, day, coalesce(due.expected, 0)
FROM due
FULL JOIN known USING (symbol, day)
WHERE coalesce(due.expected, 0) IS DISTINCT FROM known.expected
ORDER BY symbol COLLATE "C", day
ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET
    expected = excluded.expected,
    expired = CASE WHEN line.expired > 0 THEN greatest(excluded.expected - line.absent - line.have, 0) ELSE 0 END;

-- name: expect
-- What is due, said day by day by whoever knows it.
INSERT INTO coverage_days AS line (exchange, dataset, symbol, day, expected)
SELECT %(exchange)s, %(dataset)s, symbol, day, expected
FROM unnest(%(symbols)s::text[], %(days)s::date[], %(expected)s::integer[]) AS said (symbol, day, expected)
ORDER BY symbol COLLATE "C", day
ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET
    expected = excluded.expected,
    expired = CASE WHEN line.expired > 0 THEN greatest(excluded.expected - line.absent - line.have, 0) ELSE 0 END
WHERE line.expected <> excluded.expected;

-- name: by_index_alone
-- For this transaction. After a backfill the partial index of the days to do is mostly empty pages; the planner takes
-- them for work and would rather read the whole ledger, while reading the index skips them.
SELECT set_config('enable_seqscan', 'off', true);

-- name: open_days
-- Served by the partial index, which holds nothing but days with something to do.
SELECT symbol, day, expected, have, absent, expired, dirty, attempts,
       (extract(epoch FROM greatest(next_look_at, '1970-01-01 00:00+00')) * 1000)::bigint AS next_look_ms
FROM coverage_days
WHERE exchange = %(exchange)s
  AND dataset = %(dataset)s
  AND day BETWEEN %(since)s AND %(until)s
  AND state IN ('dirty', 'open')
ORDER BY symbol COLLATE "C", day;

-- name: intervals
SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint AS onboard_ms,
       (extract(epoch FROM least(end_ts, %(to)s)) * 1000)::bigint AS end_ms
FROM instruments
WHERE exchange = %(exchange)s AND symbol = ANY(%(symbols)s::text[]) AND onboard_ts < %(to)s AND end_ts > %(from)s;

-- name: candle_holes
-- Every span's stored and absent minutes in order, with its edges as sentinels: a hole is wherever two neighbours are
-- more than a minute apart. The constant bounds let the planner leave out all chunks but one or two.
SELECT
    asked.symbol,
    (extract(epoch FROM hole.from_ts) * 1000)::bigint AS from_ms,
    (extract(epoch FROM hole.to_ts) * 1000)::bigint AS to_ms
FROM unnest(%(symbols)s::text[], %(from)s::timestamptz[], %(to)s::timestamptz[]) AS asked (symbol, from_ts, to_ts)
CROSS JOIN LATERAL (
    SELECT before + interval '1 minute' AS from_ts, ts AS to_ts
    FROM (
        SELECT ts, lag(ts, 1, asked.from_ts - interval '1 minute') OVER (ORDER BY ts) AS before
        FROM (
            SELECT bucket_ts AS ts
            FROM candles_1m
            WHERE exchange = %(exchange)s
              AND symbol = asked.symbol
              AND bucket_ts >= asked.from_ts
              AND bucket_ts < asked.to_ts
              AND bucket_ts >= %(earliest)s
              AND bucket_ts < %(latest)s
            UNION ALL
            SELECT ts
            FROM absent_minutes
            WHERE exchange = %(exchange)s
              AND dataset = 'candles_1m'
              AND symbol = asked.symbol
              AND ts >= asked.from_ts
              AND ts < asked.to_ts
              AND found_at IS NULL
            UNION ALL
            SELECT asked.to_ts
        ) AS present
    ) AS neighbours
    WHERE ts > before + interval '1 minute'
) AS hole;

-- name: metric_holes
-- The same for rows that carry the end of their five minutes; a hole is named by their beginning.
SELECT
    asked.symbol,
    (extract(epoch FROM hole.from_ts) * 1000)::bigint AS from_ms,
    (extract(epoch FROM hole.to_ts) * 1000)::bigint AS to_ms
FROM unnest(%(symbols)s::text[], %(from)s::timestamptz[], %(to)s::timestamptz[]) AS asked (symbol, from_ts, to_ts)
CROSS JOIN LATERAL (
    SELECT before + interval '5 minutes' AS from_ts, ts AS to_ts
    FROM (
        SELECT ts, lag(ts, 1, asked.from_ts - interval '5 minutes') OVER (ORDER BY ts) AS before
        FROM (
            SELECT create_time - interval '5 minutes' AS ts
            FROM binance_futures_metrics_5m
            WHERE exchange = %(exchange)s
              AND symbol = asked.symbol
              AND create_time >= asked.from_ts + interval '5 minutes'
              AND create_time < asked.to_ts + interval '5 minutes'
              AND create_time >= %(earliest)s::timestamptz + interval '5 minutes'
              AND create_time < %(latest)s::timestamptz + interval '5 minutes'
            UNION ALL
            SELECT ts
            FROM absent_minutes
            WHERE exchange = %(exchange)s
              AND dataset = 'metrics_5m'
              AND symbol = asked.symbol
              AND ts >= asked.from_ts
              AND ts < asked.to_ts
              AND found_at IS NULL
            UNION ALL
            SELECT asked.to_ts
        ) AS present
    ) AS neighbours
    WHERE ts > before + interval '5 minutes'
) AS hole;

-- name: lock_lines
-- In the order in which everybody locks them, before whatever changes the lines of given days. What they say is
-- returned, to be compared with what is counted.
SELECT line.symbol, line.day, line.have, line.absent, line.dirty
FROM unnest(%(symbols)s::text[], %(days)s::date[]) AS asked (symbol, day)
JOIN coverage_days AS line
  ON line.exchange = %(exchange)s
 AND line.dataset = %(dataset)s
 AND line.symbol = asked.symbol
 AND line.day = asked.day
ORDER BY line.symbol COLLATE "C", line.day
FOR UPDATE OF line;

-- name: count_candles
-- This and the other counts come after lock_lines, as statements of their own: they see every row whose count was added
-- to the lines before these were locked, and none whose count is still to come.
SELECT asked.symbol, asked.day, (
    SELECT count(*)
    FROM candles_1m
    WHERE exchange = %(exchange)s
      AND symbol = asked.symbol
      AND bucket_ts >= asked.day::timestamp AT TIME ZONE 'UTC'
      AND bucket_ts < (asked.day + 1)::timestamp AT TIME ZONE 'UTC'
      AND bucket_ts >= %(earliest)s
      AND bucket_ts < %(latest)s
) AS have
FROM unnest(%(symbols)s::text[], %(days)s::date[]) AS asked (symbol, day);

-- name: count_metrics
SELECT asked.symbol, asked.day, (
    SELECT count(*)
    FROM binance_futures_metrics_5m
    WHERE exchange = %(exchange)s
      AND symbol = asked.symbol
      AND create_time >= asked.day::timestamp AT TIME ZONE 'UTC' + interval '5 minutes'
      AND create_time < (asked.day + 1)::timestamp AT TIME ZONE 'UTC' + interval '5 minutes'
      AND create_time >= %(earliest)s::timestamptz + interval '5 minutes'
      AND create_time < %(latest)s::timestamptz + interval '5 minutes'
) AS have
FROM unnest(%(symbols)s::text[], %(days)s::date[]) AS asked (symbol, day);

-- name: count_funding
SELECT asked.symbol, asked.day, (
    SELECT count(*)
    FROM funding_rates
    WHERE exchange = %(exchange)s
      AND symbol = asked.symbol
      AND funding_time >= asked.day::timestamp AT TIME ZONE 'UTC'
      AND funding_time < (asked.day + 1)::timestamp AT TIME ZONE 'UTC'
      AND funding_time >= %(earliest)s
      AND funding_time < %(latest)s
) AS have
FROM unnest(%(symbols)s::text[], %(days)s::date[]) AS asked (symbol, day);

-- name: set_counts
-- Candles that were not counted as they came or went may be missing in bars, too.
WITH uncounted AS (
    INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts)
    SELECT %(exchange)s, day, symbol, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
    FROM unnest(%(symbols)s::text[], %(days)s::date[], %(have)s::integer[]) AS counted (symbol, day, have)
    JOIN coverage_days AS line USING (symbol, day)
    WHERE %(dataset)s = 'candles_1m'
      AND line.exchange = %(exchange)s
      AND line.dataset = %(dataset)s
      AND line.have <> counted.have
)
UPDATE coverage_days AS line
SET have = counted.have,
    absent = (
        SELECT count(*)
        FROM absent_minutes
        WHERE exchange = %(exchange)s
          AND dataset = %(dataset)s
          AND symbol = line.symbol
          AND ts >= line.day::timestamp AT TIME ZONE 'UTC'
          AND ts < (line.day + 1)::timestamp AT TIME ZONE 'UTC'
          AND found_at IS NULL
    ),
    dirty = false,
    counted_at = now()
FROM unnest(%(symbols)s::text[], %(days)s::date[], %(have)s::integer[]) AS counted (symbol, day, have)
WHERE line.exchange = %(exchange)s
  AND line.dataset = %(dataset)s
  AND line.symbol = counted.symbol
  AND line.day = counted.day
RETURNING line.symbol, line.day, line.have, line.absent;

-- name: looked
-- After lock_lines.
UPDATE coverage_days AS line
SET attempts = least(line.attempts + 1, 32767), next_look_at = %(next_look)s
FROM unnest(%(symbols)s::text[], %(days)s::date[]) AS asked (symbol, day)
WHERE line.exchange = %(exchange)s
  AND line.dataset = %(dataset)s
  AND line.symbol = asked.symbol
  AND line.day = asked.day;

-- name: audited_days
-- The lines of a day that were not counted since ``since``. By the primary key: one probe a symbol.
SELECT line.symbol
FROM (SELECT DISTINCT symbol FROM instruments WHERE exchange = %(exchange)s) AS listed
JOIN coverage_days AS line
  ON line.exchange = %(exchange)s
 AND line.dataset = %(dataset)s
 AND line.symbol = listed.symbol
 AND line.day = %(day)s
WHERE line.counted_at IS NULL OR line.counted_at < %(since)s
ORDER BY line.symbol COLLATE "C";

-- name: first_listing
SELECT (extract(epoch FROM min(onboard_ts)) * 1000)::bigint AS first_ms FROM instruments WHERE exchange = %(exchange)s;

-- name: incomplete_symbols
-- Which of the symbols may lack a minute of [since, until): all whose lines do not say that everything is there. One
-- snapshot sees lines and rows that were committed together, so a day that is over is exactly what its line says; of the
-- day that holds until the line also counts the rows that came after until, which are subtracted. A line that is not
-- there, is dirty, knows only a part of the running day or more than is due says nothing: that symbol is searched.
SELECT asked.symbol
FROM unnest(%(symbols)s::text[], %(since)s::timestamptz[]) AS asked (symbol, since)
CROSS JOIN LATERAL (
    SELECT count(*) AS lines
    FROM coverage_days AS line
    WHERE line.exchange = %(exchange)s
      AND line.dataset = 'candles_1m'
      AND line.symbol = asked.symbol
      AND line.day BETWEEN (asked.since AT TIME ZONE 'UTC')::date AND %(last_day)s
      AND NOT line.dirty
      AND CASE
          WHEN line.day < %(last_day)s
          THEN line.expected > 0 AND line.have + line.absent + line.expired = line.expected
          ELSE line.expected = 1440 AND line.have + line.absent + line.expired - (
              SELECT count(*)
              FROM candles_1m
              WHERE exchange = %(exchange)s
                AND symbol = asked.symbol
                AND bucket_ts >= %(until)s
                AND bucket_ts < %(last_day_end)s
          ) = %(minutes)s
      END
) AS complete
WHERE complete.lines < %(last_day)s - (asked.since AT TIME ZONE 'UTC')::date + 1;
