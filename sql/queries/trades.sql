-- Trades by id: what is taken in, which ids are there, which are missing (docs/adr/0042-trades-by-id.md).

-- name: create_incoming
CREATE TEMP TABLE trades_incoming (
    symbol         varchar(64),
    listing_ts     timestamptz,
    trade_id       bigint,
    ts             timestamptz,
    price          double precision,
    quantity       double precision,
    is_buyer_maker boolean
) ON COMMIT DELETE ROWS;

-- name: drop_incoming
DROP TABLE IF EXISTS pg_temp.trades_incoming;

-- name: copy_incoming
COPY pg_temp.trades_incoming FROM STDIN (FORMAT BINARY);

-- name: clear_incoming
TRUNCATE pg_temp.trades_incoming;

-- name: begin
-- The line of a symbol's first listing is there for every symbol: it is the symbol's lock.
INSERT INTO trade_reach (exchange, symbol)
SELECT %(exchange)s, symbol FROM unnest(%(symbols)s::text[]) AS asked (symbol)
ORDER BY symbol COLLATE "C"
ON CONFLICT DO NOTHING;

-- name: lock
-- One transaction at a time takes in trades of a symbol: the ids that it finds missing stay so until it commits.
SELECT symbol
FROM trade_reach
WHERE exchange = %(exchange)s AND symbol = ANY(%(symbols)s) AND listing_ts = '1970-01-01 00:00:00+00'
ORDER BY symbol COLLATE "C"
FOR UPDATE;

-- name: fit
-- After "lock": where symbols were listed again, UTC milliseconds. The ledger is by these listings then.
SELECT symbol, cuts FROM fit_trades(%(exchange)s, %(symbols)s);

-- name: take_in
-- After "lock", in a statement of its own, which sees what the transaction before committed. Only ids that are not there
-- are taken; gives what was stored as runs of ids.
WITH fresh AS (
    SELECT incoming.*
    FROM pg_temp.trades_incoming AS incoming
    LEFT JOIN trade_reach AS reach
        ON reach.exchange = %(exchange)s AND reach.symbol = incoming.symbol AND reach.listing_ts = incoming.listing_ts
    WHERE reach.first_id IS NULL
       OR incoming.trade_id > reach.last_id
       OR incoming.trade_id < reach.first_id
       OR EXISTS (
           SELECT FROM trade_gaps AS gap
           WHERE gap.exchange = %(exchange)s AND gap.symbol = incoming.symbol AND gap.listing_ts = incoming.listing_ts
             AND gap.state IN ('open', 'left', 'absent')
             AND incoming.trade_id BETWEEN gap.first_id AND gap.last_id
       )
),
written AS (
    INSERT INTO agg_trades (exchange, symbol, trade_id, ts, price, quantity, is_buyer_maker)
    SELECT %(exchange)s, symbol, trade_id, ts, price, quantity, is_buyer_maker
    FROM fresh
    ORDER BY symbol COLLATE "C", trade_id
    RETURNING symbol, trade_id, ts
),
placed AS (
    SELECT symbol, listing_ts, trade_id, ts,
           trade_id - row_number() OVER (PARTITION BY symbol, listing_ts ORDER BY trade_id) AS run
    FROM written JOIN fresh USING (symbol, trade_id, ts)
)
SELECT symbol, (extract(epoch FROM listing_ts) * 1000)::bigint AS listing_ms,
       min(trade_id) AS first_id, max(trade_id) AS last_id,
       first(ts, trade_id) AS first_ts, last(ts, trade_id) AS last_ts
FROM placed
GROUP BY symbol, listing_ts, run
ORDER BY symbol COLLATE "C", listing_ts, first_id;

-- name: account
-- What "take_in" or "copy_trades" stored, as runs of ids, in its transaction. Gives the gaps that are new.
SELECT symbol, first_id, last_id
FROM account_trades(
    %(exchange)s, %(symbols)s::text[], %(listings)s::timestamptz[], %(first_ids)s::bigint[], %(last_ids)s::bigint[],
    %(first_ts)s::timestamptz[], %(last_ts)s::timestamptz[]
);

-- name: differing
-- Trades that came again and say something else than what is stored; the stored ones stay.
SELECT incoming.symbol, incoming.trade_id, (extract(epoch FROM incoming.ts) * 1000)::bigint AS ts_ms,
       incoming.price, incoming.quantity, incoming.is_buyer_maker
FROM pg_temp.trades_incoming AS incoming
LEFT JOIN agg_trades AS stored
    ON stored.exchange = %(exchange)s
   AND stored.symbol = incoming.symbol
   AND stored.trade_id = incoming.trade_id
   AND stored.ts = incoming.ts
   AND stored.ts BETWEEN %(since)s AND %(until)s
WHERE (stored.price, stored.quantity, stored.is_buyer_maker)
      IS DISTINCT FROM (incoming.price, incoming.quantity, incoming.is_buyer_maker)
ORDER BY incoming.symbol COLLATE "C", incoming.trade_id;

-- name: watermark
-- Up to where each symbol is closed, of what lies behind "since": every id of its listings up to closed_id of the last one
-- is stored, or in a gap that nobody looks for any more. All trades before closed_ts are there; others may still share its
-- millisecond. "since" leaves out the open gaps of a past that the asker does not read.
SELECT
    oldest.symbol,
    oldest.first_id,
    oldest.first_ts,
    coalesce(gap.first_id - 1, newest.last_id) AS closed_id,
    coalesce(gap.after_ts, newest.last_ts) AS closed_ts
FROM (
    SELECT DISTINCT ON (symbol) symbol, first_id, first_ts
    FROM trade_reach
    WHERE exchange = %(exchange)s AND first_id IS NOT NULL
    ORDER BY symbol, listing_ts
) AS oldest
CROSS JOIN LATERAL (
    SELECT last_id, last_ts
    FROM trade_reach
    WHERE exchange = %(exchange)s AND symbol = oldest.symbol AND first_id IS NOT NULL
    ORDER BY listing_ts DESC
    LIMIT 1
) AS newest
LEFT JOIN LATERAL (
    SELECT first_id, after_ts
    FROM trade_gaps
    WHERE exchange = %(exchange)s AND symbol = oldest.symbol
      AND state = 'open'
      AND before_ts > %(since)s
    ORDER BY listing_ts, first_id
    LIMIT 1
) AS gap ON true
ORDER BY oldest.symbol;

-- name: reach
SELECT symbol, first_id, last_id, (extract(epoch FROM first_ts) * 1000)::bigint AS first_ms,
       (extract(epoch FROM last_ts) * 1000)::bigint AS last_ms,
       (extract(epoch FROM listing_ts) * 1000)::bigint AS listing_ms
FROM trade_reach
WHERE exchange = %(exchange)s AND first_id IS NOT NULL
ORDER BY symbol, listing_ts;

-- name: listings
-- Each listing of the symbols that are known to have any: from when its trades count, until when there are any, and the
-- archive's folder.
SELECT symbol,
       (extract(epoch FROM CASE number WHEN 1 THEN '1970-01-01 00:00:00+00' ELSE onboard_ts END) * 1000)::bigint
           AS start_ms,
       (extract(epoch FROM least(end_ts, next_ts, %(never)s)) * 1000)::bigint AS end_ms,
       archive_symbol
FROM (
    SELECT symbol, date_trunc('minute', onboard_ts) AS onboard_ts, end_ts, archive_symbol,
           row_number() OVER listing AS number, lead(date_trunc('minute', onboard_ts)) OVER listing AS next_ts
    FROM instruments
    WHERE exchange = %(exchange)s AND symbol = ANY(%(symbols)s)
    WINDOW listing AS (PARTITION BY symbol ORDER BY onboard_ts)
) AS every
ORDER BY symbol, start_ms;

-- name: open_gaps
-- What is looked for and due, the newest first: REST keeps ids for a while only, and none of an earlier listing.
SELECT gap_id, symbol, first_id, last_id, (extract(epoch FROM after_ts) * 1000)::bigint AS after_ms,
       (extract(epoch FROM before_ts) * 1000)::bigint AS before_ms, attempts,
       (extract(epoch FROM listing_ts) * 1000)::bigint AS listing_ms
FROM trade_gaps
WHERE exchange = %(exchange)s AND state = 'open' AND symbol = ANY(%(symbols)s) AND next_ask_at <= %(now)s
ORDER BY before_ts DESC, gap_id
LIMIT %(limit)s;

-- name: asked
-- Looked for in vain: again after 1, 2, 4 .. 60 minutes.
UPDATE trade_gaps SET
    attempts = least(attempts + 1, 100),
    next_ask_at = %(now)s::timestamptz + least(interval '1 minute' * 2 ^ least(attempts, 6), interval '60 minutes')
WHERE gap_id = %(gap_id)s AND state = 'open';

-- name: leave
-- Gaps that end before the time from which trades are collected are nobody's work, until that time moves back.
UPDATE trade_gaps SET
    state = CASE WHEN before_ts <= %(since)s THEN 'left' ELSE 'open' END,
    next_ask_at = '-infinity'
WHERE exchange = %(exchange)s
  AND symbol = ANY(%(symbols)s)
  AND state = CASE WHEN before_ts <= %(since)s THEN 'open' ELSE 'left' END;

-- name: prove
-- A gap is absent when the archive's file of every day that it touches was imported and lacks these ids too, or was not there
-- or unusable a week later still, while that of the month was imported: a month may lack whole days whose own files are
-- complete. Files of the listing's own folder, where that is known: those of an earlier one lie elsewhere.
UPDATE trade_gaps AS gap SET state = 'absent', closed_at = now()
WHERE gap.exchange = %(exchange)s
  AND gap.state = 'open'
  AND gap.symbol = ANY(%(symbols)s)
  AND NOT EXISTS (
      SELECT FROM generate_series(
          date_trunc('day', gap.after_ts AT TIME ZONE 'UTC'), gap.before_ts AT TIME ZONE 'UTC', interval '1 day'
      ) AS days (day)
      WHERE NOT EXISTS (
          SELECT FROM archive_files AS file
          WHERE file.exchange = gap.exchange AND file.dataset = 'agg_trades' AND file.symbol = gap.symbol
            AND file.span = 'daily' AND file.first_day = days.day::date
            AND (
                file.state = 'imported'
                OR file.state IN ('missing', 'quarantined')
                AND file.checked_at > (days.day + interval '7 days') AT TIME ZONE 'UTC'
                AND EXISTS (
                    SELECT FROM archive_files AS month
                    WHERE month.exchange = file.exchange AND month.dataset = file.dataset AND month.symbol = file.symbol
                      AND month.span = 'monthly' AND month.first_day = date_trunc('month', days.day)::date
                      AND month.state = 'imported'
                      AND split_part(month.path, '/', -2) = split_part(file.path, '/', -2)
                )
            )
            AND NOT EXISTS (
                SELECT FROM instruments AS listed
                WHERE listed.exchange = gap.exchange AND listed.symbol = gap.symbol
                  AND date_trunc('minute', listed.onboard_ts) <= gap.after_ts AND listed.end_ts > gap.after_ts
                  AND strpos(file.path, '/' || listed.archive_symbol || '/') = 0
            )
      )
  )
RETURNING gap.symbol;

-- name: missing
-- The reach of a listing, and which of its gaps have ids of [first_id, last_id].
SELECT reach.first_id, reach.last_id,
       ARRAY(SELECT gap.first_id FROM trade_gaps AS gap
             WHERE gap.exchange = reach.exchange AND gap.symbol = reach.symbol AND gap.listing_ts = reach.listing_ts
               AND gap.state IN ('open', 'left', 'absent')
               AND gap.first_id <= %(last_id)s AND gap.last_id >= %(first_id)s
             ORDER BY gap.first_id) AS firsts,
       ARRAY(SELECT gap.last_id FROM trade_gaps AS gap
             WHERE gap.exchange = reach.exchange AND gap.symbol = reach.symbol AND gap.listing_ts = reach.listing_ts
               AND gap.state IN ('open', 'left', 'absent')
               AND gap.first_id <= %(last_id)s AND gap.last_id >= %(first_id)s
             ORDER BY gap.first_id) AS lasts
FROM trade_reach AS reach
WHERE reach.exchange = %(exchange)s AND reach.symbol = %(symbol)s AND reach.listing_ts = %(listing)s
  AND reach.first_id IS NOT NULL;

-- name: copy_trades
-- Ids that are known to be missing, straight into the table; "account" follows.
COPY agg_trades (exchange, symbol, trade_id, ts, price, quantity, is_buyer_maker) FROM STDIN (FORMAT BINARY);
