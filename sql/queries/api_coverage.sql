-- What is there and what is not, for HTTP: the ledger, never the whole of the data.

-- name: days
-- For each symbol a list a part, one number a day. Every line is cut to what it expects, in the order have, absent, expired,
-- pending, as `marketd coverage` does; what is in no list is missing. "waiting" are rows that are not due yet, less those
-- that are stored already, and rows that a request is about to fill. Joined by places: sorting a quarter of a million
-- names takes a second.
WITH asked AS (
    SELECT symbol, place FROM unnest(%(symbols)s::text[]) WITH ORDINALITY AS asked (symbol, place)
),
counted AS (
    SELECT asked.place, day - %(first)s::date AS number, expected, least(have, expected) AS have,
           least(absent, greatest(expected - have, 0)) AS absent,
           least(expired, greatest(expected - have - absent, 0)) AS expired
    FROM asked
    JOIN coverage_days USING (symbol)
    WHERE exchange = %(exchange)s AND dataset = %(dataset)s
      AND day >= %(first)s::date AND day < %(first)s::date + %(days)s
),
waits AS (
    SELECT asked.place, day - %(first)s::date AS number, sum(rows)::bigint AS waiting
    FROM unnest(%(waiting_symbols)s::text[], %(waiting_days)s::date[], %(waiting_rows)s::bigint[])
         AS known (symbol, day, rows)
    JOIN asked USING (symbol)
    GROUP BY 1, 2
),
grid AS (
    SELECT place, number FROM (SELECT DISTINCT place FROM counted) AS there, generate_series(0, %(days)s - 1) AS number
)
SELECT string_agg(row_to_json(line)::text, ',' ORDER BY symbol COLLATE "C")
FROM (
    SELECT asked.symbol, days.expected, days.have, days.pending, days.absent, days.expired
    FROM (
        SELECT place,
               array_agg(coalesce(expected, 0) ORDER BY number) AS expected,
               array_agg(coalesce(have, 0) ORDER BY number) AS have,
               array_agg(coalesce(least(coalesce(waiting, 0), expected - have - absent - expired), 0) ORDER BY number)
                   AS pending,
               array_agg(coalesce(absent, 0) ORDER BY number) AS absent,
               array_agg(coalesce(expired, 0) ORDER BY number) AS expired
        FROM grid
        LEFT JOIN counted USING (place, number)
        LEFT JOIN waits USING (place, number)
        GROUP BY place
    ) AS days
    JOIN asked USING (place)
) AS line;

-- name: open_days
-- Days that lack rows, by day and symbol, as the index on them goes.
SELECT day, symbol, greatest(expected - have - absent - expired, 0) AS lacking,
       have + absent + expired > 0 AS partly, dirty, attempts,
       nullif((extract(epoch FROM greatest(next_look_at, '1970-01-01 00:00+00')) * 1000)::bigint, 0) AS next_look_ms
FROM coverage_days
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND state IN ('dirty', 'open')
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND day >= %(first)s::date AND day <= %(last)s::date
  AND (day, symbol) > (%(after_day)s::date, %(after_symbol)s)
ORDER BY day, symbol
LIMIT %(limit)s;

-- name: quarantined
-- Of some days of symbols the archive's file that is unusable for good: that of the day, else that of its month, unless the day
-- has one that was imported.
SELECT DISTINCT ON (file.symbol, asked.day) file.symbol, asked.day, file.span, file.path, file.detail
FROM unnest(%(symbols)s::text[], %(days)s::date[]) AS asked (symbol, day)
JOIN archive_files AS file ON file.symbol = asked.symbol
    AND file.first_day = CASE file.span WHEN 'daily' THEN asked.day ELSE date_trunc('month', asked.day)::date END
    AND file.first_day IN (asked.day, date_trunc('month', asked.day)::date)
WHERE file.exchange = %(exchange)s AND file.dataset = %(dataset)s AND file.state = 'quarantined'
  AND NOT EXISTS (
      SELECT FROM archive_files AS daily
      WHERE daily.exchange = %(exchange)s AND daily.dataset = %(dataset)s AND daily.symbol = asked.symbol
        AND daily.first_day = asked.day AND daily.span = 'daily' AND daily.state = 'imported'
  )
ORDER BY file.symbol, asked.day, file.span, file.path;

-- name: trade_gaps
-- Ids of trades that are not stored, between two trades that are.
SELECT gap_id, symbol, (extract(epoch FROM after_ts) * 1000)::bigint AS after_ms,
       (extract(epoch FROM before_ts) * 1000)::bigint AS before_ms, last_id - first_id + 1 AS trades, state, attempts,
       nullif((extract(epoch FROM greatest(next_ask_at, '1970-01-01 00:00+00')) * 1000)::bigint, 0) AS next_look_ms
FROM trade_gaps
WHERE exchange = %(exchange)s AND state IN ('open', 'left', 'absent')
  AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
  AND before_ts > %(from)s AND after_ts < %(to)s
  AND gap_id > %(after_id)s
ORDER BY gap_id
LIMIT %(limit)s;
