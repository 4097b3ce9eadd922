-- Trades by id: what is taken in, which ids are there, which are missing (docs/adr/0042-trades-by-id.md).

-- name: create_incoming
CREATE TEMP TABLE trades_incoming (
    symbol         varchar(64),
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

-- name: begin
INSERT INTO trade_reach (exchange, symbol)
SELECT %(exchange)s, symbol FROM unnest(%(symbols)s::text[]) AS asked (symbol)
ORDER BY symbol COLLATE "C"
ON CONFLICT DO NOTHING;

-- name: lock
-- One transaction at a time takes in trades of a symbol: the ids that it finds missing stay so until it commits.
SELECT symbol, first_id, last_id
FROM trade_reach
WHERE exchange = %(exchange)s AND symbol = ANY(%(symbols)s)
ORDER BY symbol COLLATE "C"
FOR UPDATE;

-- name: take_in
-- After "lock", in a statement of its own, which sees what the transaction before committed. Only ids that are not there
-- are taken; gives what was stored as runs of ids.
WITH fresh AS (
    SELECT incoming.*
    FROM pg_temp.trades_incoming AS incoming
    JOIN trade_reach AS reach ON reach.exchange = %(exchange)s AND reach.symbol = incoming.symbol
    WHERE reach.first_id IS NULL
       OR incoming.trade_id > reach.last_id
       OR incoming.trade_id < reach.first_id
       OR EXISTS (
           SELECT FROM trade_gaps AS gap
           WHERE gap.exchange = %(exchange)s AND gap.symbol = incoming.symbol
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
    SELECT symbol, trade_id, ts, trade_id - row_number() OVER (PARTITION BY symbol ORDER BY trade_id) AS run
    FROM written
)
SELECT symbol, min(trade_id) AS first_id, max(trade_id) AS last_id,
       first(ts, trade_id) AS first_ts, last(ts, trade_id) AS last_ts
FROM placed
GROUP BY symbol, run
ORDER BY symbol COLLATE "C", first_id;

-- name: account
-- What "take_in" or "copy_trades" stored, as runs of ids, in its transaction: gaps are filled, shrink or break in two, the
-- reach grows, and what lies between the old reach and the new ids is a new gap. Gives the gaps that are new.
WITH runs AS (
    SELECT symbol, first_id, last_id, first_ts, last_ts
    FROM unnest(%(symbols)s::text[], %(first_ids)s::bigint[], %(last_ids)s::bigint[],
                %(first_ts)s::timestamptz[], %(last_ts)s::timestamptz[])
         AS stored (symbol, first_id, last_id, first_ts, last_ts)
),
taken AS (
    SELECT symbol, range_agg(int8range(first_id, last_id, '[]')) AS ids, min(first_id) AS first_id,
           max(last_id) AS last_id, first(first_ts, first_id) AS first_ts, last(last_ts, last_id) AS last_ts
    FROM runs
    GROUP BY symbol
),
grown AS (
    SELECT symbol, taken.ids,
           reach.first_id AS old_first_id, reach.last_id AS old_last_id,
           reach.first_ts AS old_first_ts, reach.last_ts AS old_last_ts,
           least(reach.first_id, taken.first_id) AS first_id,
           greatest(reach.last_id, taken.last_id) AS last_id,
           CASE WHEN reach.first_id <= taken.first_id THEN reach.first_ts ELSE taken.first_ts END AS first_ts,
           CASE WHEN reach.last_id >= taken.last_id THEN reach.last_ts ELSE taken.last_ts END AS last_ts,
           CASE WHEN reach.first_id IS NULL THEN int8multirange()
                ELSE int8multirange(int8range(reach.first_id, reach.last_id + 1)) END AS known
    FROM taken
    JOIN trade_reach AS reach USING (symbol)
    WHERE reach.exchange = %(exchange)s
),
touched AS (
    SELECT gap.gap_id, symbol, gap.state, gap.first_id, gap.last_id, gap.after_ts, gap.before_ts,
           int8multirange(int8range(gap.first_id, gap.last_id, '[]')) - grown.ids AS rest
    FROM grown
    JOIN trade_gaps AS gap USING (symbol)
    WHERE gap.exchange = %(exchange)s
      AND gap.state IN ('open', 'left', 'absent')
      AND grown.ids && int8range(gap.first_id, gap.last_id, '[]')
),
pieces AS (
    SELECT gap_id, symbol, state, lower(piece) AS first_id, upper(piece) - 1 AS last_id,
           row_number() OVER (PARTITION BY gap_id ORDER BY piece) AS number
    FROM touched, unnest(rest) AS piece
    UNION ALL
    SELECT NULL, symbol, 'open', lower(piece), upper(piece) - 1, NULL
    FROM grown, unnest(int8multirange(int8range(first_id, last_id, '[]')) - known - ids) AS piece
),
edges AS (
    SELECT symbol, id, min(ts) AS ts
    FROM (
        SELECT symbol, first_id AS id, first_ts AS ts FROM runs
        UNION ALL SELECT symbol, last_id, last_ts FROM runs
        UNION ALL SELECT symbol, old_first_id, old_first_ts FROM grown
        UNION ALL SELECT symbol, old_last_id, old_last_ts FROM grown
        UNION ALL SELECT symbol, first_id - 1, after_ts FROM touched
        UNION ALL SELECT symbol, last_id + 1, before_ts FROM touched
    ) AS every
    GROUP BY symbol, id
),
placed AS (
    SELECT pieces.*, below.ts AS after_ts, above.ts AS before_ts
    FROM pieces
    JOIN edges AS below ON below.symbol = pieces.symbol AND below.id = pieces.first_id - 1
    JOIN edges AS above ON above.symbol = pieces.symbol AND above.id = pieces.last_id + 1
),
mended AS (
    UPDATE trade_gaps AS gap SET
        state = CASE WHEN placed.gap_id IS NULL THEN 'filled' ELSE gap.state END,
        closed_at = CASE WHEN placed.gap_id IS NULL THEN now() ELSE gap.closed_at END,
        first_id = coalesce(placed.first_id, gap.first_id),
        last_id = coalesce(placed.last_id, gap.last_id),
        after_ts = coalesce(placed.after_ts, gap.after_ts),
        before_ts = coalesce(placed.before_ts, gap.before_ts),
        attempts = 0,
        next_ask_at = '-infinity'
    FROM touched LEFT JOIN placed ON placed.gap_id = touched.gap_id AND placed.number = 1
    WHERE gap.gap_id = touched.gap_id
),
reached AS (
    UPDATE trade_reach AS reach SET
        first_id = grown.first_id, last_id = grown.last_id, first_ts = grown.first_ts, last_ts = grown.last_ts
    FROM grown
    WHERE reach.exchange = %(exchange)s AND reach.symbol = grown.symbol
)
INSERT INTO trade_gaps (exchange, symbol, first_id, last_id, after_ts, before_ts, state)
SELECT %(exchange)s, symbol, first_id, last_id, after_ts, before_ts, state
FROM placed
WHERE number IS DISTINCT FROM 1
ORDER BY symbol COLLATE "C", first_id
RETURNING symbol, first_id, last_id;

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
-- Up to where each symbol is closed, of what lies behind "since": every id up to closed_id is stored, or in a gap that nobody
-- looks for any more. All trades before closed_ts are there; others may still share its millisecond. "since" leaves
-- out the open gaps of a past that the asker does not read.
SELECT
    reach.symbol,
    reach.first_id,
    reach.first_ts,
    coalesce(gap.first_id - 1, reach.last_id) AS closed_id,
    coalesce(gap.after_ts, reach.last_ts) AS closed_ts
FROM trade_reach AS reach
LEFT JOIN LATERAL (
    SELECT first_id, after_ts
    FROM trade_gaps
    WHERE trade_gaps.exchange = reach.exchange AND trade_gaps.symbol = reach.symbol
      AND state = 'open'
      AND before_ts > %(since)s
    ORDER BY first_id
    LIMIT 1
) AS gap ON true
WHERE reach.exchange = %(exchange)s AND reach.first_id IS NOT NULL
ORDER BY reach.symbol;

-- name: reach
SELECT symbol, first_id, last_id, (extract(epoch FROM first_ts) * 1000)::bigint AS first_ms,
       (extract(epoch FROM last_ts) * 1000)::bigint AS last_ms
FROM trade_reach
WHERE exchange = %(exchange)s AND first_id IS NOT NULL
ORDER BY symbol;

-- name: open_gaps
-- What is looked for and due, the newest first: REST keeps ids for a while only.
SELECT gap_id, symbol, first_id, last_id, (extract(epoch FROM after_ts) * 1000)::bigint AS after_ms,
       (extract(epoch FROM before_ts) * 1000)::bigint AS before_ms, attempts
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
-- A gap is absent when whole files of the archive, daily or monthly, were imported for every day that it touches: they lack
-- these ids too.
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
            AND file.state = 'imported'
            AND (file.span = 'daily' AND file.first_day = days.day::date
                 OR file.span = 'monthly' AND file.first_day = date_trunc('month', days.day)::date)
      )
  )
RETURNING gap.symbol;

-- name: missing
-- Gaps of one symbol that have ids of [first_id, last_id].
SELECT first_id, last_id
FROM trade_gaps
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND state IN ('open', 'left', 'absent')
  AND first_id <= %(last_id)s AND last_id >= %(first_id)s
ORDER BY first_id;

-- name: copy_trades
-- Ids that are known to be missing, straight into the table; "account" follows.
COPY agg_trades (exchange, symbol, trade_id, ts, price, quantity, is_buyer_maker) FROM STDIN (FORMAT BINARY);
