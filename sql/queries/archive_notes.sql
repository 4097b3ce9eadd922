-- name: known
SELECT path, symbol, span, first_day, state, sha256,
       (extract(epoch FROM greatest(checked_at, imported_at)) * 1000)::bigint AS checked_ms,
       (extract(epoch FROM last_modified) * 1000)::bigint AS published_ms
FROM archive_files
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND first_day BETWEEN %(since)s AND %(until)s;

-- name: note
-- What became of a file that was not imported. One that was imported stays imported: a copy that cannot be read today
-- takes nothing back.
INSERT INTO archive_files AS known (
    exchange, path, dataset, symbol, span, first_day, state, attempts, detail, checked_at
)
VALUES (
    %(exchange)s, %(path)s, %(dataset)s, %(symbol)s, %(span)s, %(first_day)s, %(state)s, 1, %(detail)s, %(checked)s
)
ON CONFLICT (exchange, path) DO UPDATE SET
    state = CASE WHEN known.state = 'imported' THEN known.state ELSE excluded.state END,
    attempts = least(known.attempts + 1, 32767)::smallint,
    detail = excluded.detail,
    checked_at = CASE WHEN known.state = 'imported' THEN known.checked_at ELSE excluded.checked_at END;

-- name: folders
SELECT symbol, (extract(epoch FROM onboard_ts) * 1000)::bigint AS onboard_ms, archive_symbol
FROM instruments
WHERE exchange = %(exchange)s AND archive_symbol <> symbol;

-- name: imported
-- Days whose file, daily or monthly, was imported by a filling, and is compared by that. A bounded number at a time.
SELECT symbol, day
FROM coverage_days
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND state = 'complete' AND verified_at IS NULL
  AND day <= %(until)s
  AND EXISTS (
      SELECT FROM archive_files AS file
      WHERE file.exchange = coverage_days.exchange
        AND file.dataset = coverage_days.dataset
        AND file.symbol = coverage_days.symbol
        AND file.first_day IN (coverage_days.day, date_trunc('month', coverage_days.day)::date)
        AND (file.span = 'monthly' OR file.first_day = coverage_days.day)
        AND file.state = 'imported'
  )
ORDER BY day DESC, symbol
LIMIT %(limit)s;

-- name: unverified
-- Without the days whose own file is unusable, or was not there within the last day (after some such answers the last
-- two, three .. thirty days: most of what is missing is missing for good), and without those of ``imported`` that are
-- not noted yet: whoever reads their files compares nothing new.
SELECT symbol, day
FROM coverage_days
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND state = 'complete' AND verified_at IS NULL
  AND day <= %(until)s
  AND expected > 0
  AND NOT EXISTS (
      SELECT FROM archive_files AS file
      WHERE file.exchange = coverage_days.exchange
        AND file.dataset = coverage_days.dataset
        AND file.symbol = coverage_days.symbol
        AND file.first_day IN (coverage_days.day, date_trunc('month', coverage_days.day)::date)
        AND (file.span = 'monthly' OR file.first_day = coverage_days.day)
        AND (
            file.state = 'imported'
            OR file.span = 'daily' AND (
                file.state = 'quarantined' OR (
                    file.state = 'missing'
                    AND file.checked_at > %(asked_since)s - least(file.attempts - 1, 29) * interval '1 day'
                )
            )
        )
  )
ORDER BY day DESC, symbol
LIMIT %(limit)s;

-- name: verified
-- After lock_lines (coverage.sql).
UPDATE coverage_days AS line SET verified_at = now()
FROM unnest(%(symbols)s::text[], %(days)s::date[]) AS said (symbol, day)
WHERE line.exchange = %(exchange)s AND line.dataset = %(dataset)s AND line.symbol = said.symbol
  AND line.day = said.day;

-- name: folders_read
SELECT folder FROM archive_listings
WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND read_at > %(since)s;

-- name: folder_read
INSERT INTO archive_listings (exchange, dataset, folder, read_at)
VALUES (%(exchange)s, %(dataset)s, %(folder)s, %(now)s)
ON CONFLICT (exchange, dataset, folder) DO UPDATE SET read_at = excluded.read_at;

-- name: published
-- When files that we know were published, as their folder's listing says.
UPDATE archive_files AS file SET last_modified = said.published
FROM unnest(%(paths)s::text[], %(published)s::timestamptz[]) AS said (path, published)
WHERE file.exchange = %(exchange)s AND file.path = said.path
  AND file.last_modified IS DISTINCT FROM said.published;
