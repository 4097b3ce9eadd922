-- Bars that are kept of every symbol (docs/adr/0043-kept-bars.md). Instants come out as UTC milliseconds.

-- name: claim
-- One transaction at a time makes bars of an exchange; what is read after this was committed before.
SELECT pg_advisory_xact_lock(hashtextextended(concat_ws('/', current_schema(), 'bars', %(exchange)s::text), 0));

-- name: subjects
-- Every symbol that the ledger counts candles of, the last day on which it has some, and its front. From symbol to
-- symbol by the key of the ledger, which has a thousand lines of each.
WITH RECURSIVE counted AS (
    (
        SELECT symbol FROM coverage_days
        WHERE exchange = %(exchange)s AND dataset = 'candles_1m'
        ORDER BY symbol LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT symbol FROM coverage_days
        WHERE exchange = %(exchange)s AND dataset = 'candles_1m' AND symbol > counted.symbol
        ORDER BY symbol LIMIT 1
    )
    FROM counted
    WHERE counted.symbol IS NOT NULL
)
SELECT counted.symbol, newest.day, (extract(epoch FROM front.made_to) * 1000)::bigint AS made_to,
       ARRAY(SELECT (extract(epoch FROM cut) * 1000)::bigint FROM unnest(front.cuts) AS cut) AS cuts
FROM counted
CROSS JOIN LATERAL (
    SELECT day FROM coverage_days
    WHERE exchange = %(exchange)s AND dataset = 'candles_1m' AND symbol = counted.symbol AND have > 0
    ORDER BY day DESC LIMIT 1
) AS newest
LEFT JOIN bar_fronts AS front ON front.exchange = %(exchange)s AND front.symbol = counted.symbol
WHERE counted.symbol IS NOT NULL
ORDER BY counted.symbol COLLATE "C";

-- name: newest
-- Up to when candles can be expected: the end of the newest one, or this minute if it is earlier.
SELECT (extract(epoch FROM least(date_trunc('minute', now()), max(last.bucket_ts) + interval '1 minute')) * 1000)::bigint
FROM unnest(%(symbols)s::text[]) AS asked (symbol)
CROSS JOIN LATERAL (
    SELECT bucket_ts FROM candles_1m
    WHERE exchange = %(exchange)s AND symbol = asked.symbol AND bucket_ts >= %(since)s AND bucket_ts < %(until)s
    ORDER BY bucket_ts DESC LIMIT 1
) AS last;

-- name: cuts
-- When symbols were listed again: the minute of each listing but the first.
SELECT symbol, array_agg((extract(epoch FROM cut_ts) * 1000)::bigint ORDER BY cut_ts)
FROM listing_cuts
WHERE exchange = %(exchange)s
GROUP BY symbol;

-- name: begin
-- Fronts of symbols that have none, or one that is far behind: they go on at made_to, and all days with candles before
-- it are to be made.
WITH begun AS (
    INSERT INTO bar_fronts AS front (exchange, symbol, made_to)
    SELECT %(exchange)s, symbol, %(made_to)s FROM unnest(%(symbols)s::text[]) AS asked (symbol)
    ON CONFLICT (exchange, symbol) DO UPDATE SET made_to = excluded.made_to WHERE front.made_to < excluded.made_to
    RETURNING symbol
),
queued AS (
    INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts)
    SELECT %(exchange)s, line.day, line.symbol,
           line.day::timestamp AT TIME ZONE 'UTC', (line.day + 1)::timestamp AT TIME ZONE 'UTC'
    FROM unnest(%(symbols)s::text[], %(since)s::date[]) AS asked (symbol, since)
    JOIN begun USING (symbol)
    JOIN coverage_days AS line ON line.symbol = asked.symbol AND line.day >= asked.since
    WHERE line.exchange = %(exchange)s
      AND line.dataset = 'candles_1m'
      AND line.have > 0
      AND line.day <= (%(made_to)s::timestamptz AT TIME ZONE 'UTC')::date
    RETURNING 1
)
SELECT count(*) FROM queued;

-- name: watermarks
-- The first minute of each symbol without a candle from "since" on, the end of the newest candle if there is none. Asked
-- for the last hour at most, so it costs what has come since the last run. Before a listing nothing is waited for; after
-- its end everything is, for an end may be a guess that is taken back.
SELECT asked.symbol, (extract(epoch FROM coalesce(missing.minute, %(until)s)) * 1000)::bigint AS closed
FROM unnest(%(symbols)s::text[], %(since)s::timestamptz[]) AS asked (symbol, since)
CROSS JOIN LATERAL (
    SELECT min(minute) AS minute
    FROM (
        SELECT minute
        FROM generate_series(asked.since, %(until)s::timestamptz - interval '1 minute', interval '1 minute') AS minute
        WHERE NOT EXISTS (
            SELECT FROM instruments
            WHERE exchange = %(exchange)s AND symbol = asked.symbol
              AND date_trunc('minute', onboard_ts) > minute AND onboard_ts < %(until)s
        ) OR EXISTS (
            SELECT FROM instruments
            WHERE exchange = %(exchange)s AND symbol = asked.symbol
              AND date_trunc('minute', onboard_ts) <= minute AND end_ts > minute
        )
        EXCEPT
        SELECT bucket_ts
        FROM candles_1m
        WHERE exchange = %(exchange)s
          AND symbol = asked.symbol
          AND bucket_ts >= asked.since
          AND bucket_ts >= %(earliest)s
          AND bucket_ts < %(until)s
    ) AS minutes
) AS missing;

-- name: move_fronts
UPDATE bar_fronts AS front SET made_to = made.closed
FROM unnest(%(symbols)s::text[], %(closed)s::timestamptz[]) AS made (symbol, closed)
WHERE front.exchange = %(exchange)s AND front.symbol = made.symbol AND front.made_to < made.closed;

-- name: note_cuts
UPDATE bar_fronts SET cuts = %(cuts)s::timestamptz[] WHERE exchange = %(exchange)s AND symbol = %(symbol)s;

-- name: changes
-- The newest days of symbols with something to make anew, with all that is known of each. Symbols that have no front yet
-- get one with the next run.
WITH next AS (
    SELECT DISTINCT day, symbol
    FROM candle_changes
    WHERE exchange = %(exchange)s
      AND symbol = coalesce(%(symbol)s::text, symbol)
      AND EXISTS (
          SELECT FROM bar_fronts WHERE bar_fronts.exchange = %(exchange)s AND bar_fronts.symbol = candle_changes.symbol
      )
    ORDER BY day DESC, symbol DESC
    LIMIT %(limit)s
)
SELECT next.day, next.symbol, change.ids, change.from_ms, change.to_ms,
       (extract(epoch FROM front.made_to) * 1000)::bigint AS made_to,
       EXISTS (
           SELECT FROM coverage_days AS line
           WHERE line.exchange = %(exchange)s AND line.dataset = 'candles_1m'
             AND line.symbol = next.symbol AND line.day = next.day AND line.expired > 0 AND line.have = 0
       ) AS dropped
FROM next
JOIN bar_fronts AS front ON front.exchange = %(exchange)s AND front.symbol = next.symbol
CROSS JOIN LATERAL (
    SELECT array_agg(id) AS ids,
           array_agg((extract(epoch FROM from_ts) * 1000)::bigint) AS from_ms,
           array_agg((extract(epoch FROM to_ts) * 1000)::bigint) AS to_ms
    FROM candle_changes
    WHERE exchange = %(exchange)s AND day = next.day AND symbol = next.symbol
) AS change;

-- name: changes_left
SELECT count(*) FROM (
    SELECT DISTINCT day, symbol
    FROM candle_changes
    WHERE exchange = %(exchange)s AND symbol = coalesce(%(symbol)s::text, symbol)
) AS days;

-- name: drop_changes
DELETE FROM candle_changes AS change
USING unnest(%(days)s::date[], %(symbols)s::text[], %(ids)s::bigint[]) AS made (day, symbol, id)
WHERE change.exchange = %(exchange)s
  AND change.day = made.day
  AND change.symbol = made.symbol
  AND change.id = made.id;

-- name: candles
-- Minutes of several symbols, each range with the number of its work. Not ordered: sorting here costs more than there.
COPY (
    SELECT asked.place, candle.*
    FROM unnest(%(places)s::bigint[], %(symbols)s::text[], %(from)s::timestamptz[], %(to)s::timestamptz[])
         AS asked (place, symbol, from_ts, to_ts)
    CROSS JOIN LATERAL (
        SELECT bucket_ts, open, high, low, close, volume, coalesce(quote_volume, 'NaN'), coalesce(trade_count, -1),
               coalesce(taker_buy_volume, 'NaN')
        FROM candles_1m
        WHERE exchange = %(exchange)s
          AND symbol = asked.symbol
          AND bucket_ts >= asked.from_ts
          AND bucket_ts < asked.to_ts
          AND bucket_ts >= %(earliest)s
          AND bucket_ts < %(latest)s
    ) AS candle
) TO STDOUT (FORMAT BINARY);

-- name: clear_kept
-- The bars that are about to be made again; those of minutes or listings that are gone have no successor.
DELETE FROM bars
USING unnest(%(symbols)s::text[], %(sizes)s::float8[], %(from)s::timestamptz[], %(to)s::timestamptz[])
      AS span (symbol, size, from_ts, to_ts)
WHERE bars.exchange = %(exchange)s
  AND bars.kind = 'time'
  AND bars.symbol = span.symbol
  AND bars.size = span.size
  AND bars.open_ts >= span.from_ts
  AND bars.open_ts < span.to_ts
  AND bars.open_ts >= %(earliest)s
  AND bars.open_ts < %(latest)s;

-- name: store_incoming
CREATE TEMP TABLE incoming (
    place           bigint,
    size            double precision,
    open_ts         timestamptz,
    close_ts        timestamptz,
    first_trade_id  bigint,
    open            double precision,
    high            double precision,
    low             double precision,
    close           double precision,
    volume          double precision,
    quote_volume    double precision,
    trade_count     bigint,
    buy_volume      double precision,
    vwap            double precision,
    missing_minutes bigint
) ON COMMIT DROP;

-- name: store
INSERT INTO bars (
    exchange, symbol, kind, size, open_ts, close_ts, first_trade_id, open, high, low, close, volume, quote_volume,
    trade_count, buy_volume, vwap, missing_minutes
)
SELECT %(exchange)s, asked.symbol, %(kind)s, size, open_ts, close_ts, first_trade_id, open, high, low, close, volume,
       nullif(quote_volume, 'NaN'), nullif(trade_count, -1), nullif(buy_volume, 'NaN'), nullif(nullif(vwap, 'NaN'), 0),
       nullif(missing_minutes, -1)
FROM pg_temp.incoming
JOIN unnest(%(symbols)s::text[]) WITH ORDINALITY AS asked (symbol, number) ON asked.number = incoming.place + 1
ORDER BY asked.symbol COLLATE "C", size, open_ts, first_trade_id;

-- name: front
-- Up to when a symbol's kept bars are made, and the first day on which it has candles.
SELECT (extract(epoch FROM made_to) * 1000)::bigint,
       (
           SELECT (extract(epoch FROM min(day)::timestamp AT TIME ZONE 'UTC') * 1000)::bigint
           FROM coverage_days
           WHERE exchange = %(exchange)s AND dataset = 'candles_1m' AND symbol = %(symbol)s AND have > 0
       )
FROM bar_fronts
WHERE exchange = %(exchange)s AND symbol = %(symbol)s;

-- name: minutes
-- Each with how many minutes it stands for, as "parts".
COPY (
    SELECT bucket_ts, open, high, low, close, volume, coalesce(quote_volume, 'NaN'), coalesce(trade_count, -1),
           coalesce(taker_buy_volume, 'NaN'), 1::bigint
    FROM candles_1m
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND bucket_ts >= %(from)s AND bucket_ts < %(to)s
    ORDER BY bucket_ts
) TO STDOUT (FORMAT BINARY);

-- name: parts
COPY (
    SELECT open_ts, open, high, low, close, volume, coalesce(quote_volume, 'NaN'), coalesce(trade_count, -1),
           coalesce(buy_volume, 'NaN'),
           (extract(epoch FROM close_ts - open_ts) / 60)::bigint - coalesce(missing_minutes, 0)
    FROM bars
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND kind = 'time' AND size = %(part)s
      AND open_ts >= %(from)s AND open_ts < %(to)s
    ORDER BY open_ts
) TO STDOUT (FORMAT BINARY);

-- name: trades
-- By id, which is the order in which they happened; the times leave out the chunks that cannot matter.
COPY (
    SELECT ts, trade_id, price, quantity, is_buyer_maker
    FROM agg_trades
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND trade_id > %(after_id)s AND trade_id <= %(last_id)s
      AND ts >= %(earliest)s AND ts <= %(latest)s
    ORDER BY trade_id
) TO STDOUT (FORMAT BINARY);

-- name: first_trade
SELECT min(trade_id)
FROM agg_trades
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND ts >= %(since)s AND ts <= %(latest)s;

-- name: fit_trades
-- Trades are accounted for by the listings that "cuts" gives.
SELECT symbol FROM fit_trades(%(exchange)s, ARRAY[%(symbol)s::text]);

-- name: trades_known
-- What can be read of each listing from one on, behind taken_id of that one: everything up to closed_id is there or in a gap
-- that nobody looks for any more, and every trade before closed_ts. By id, because times may go back by a minute.
SELECT
    (extract(epoch FROM reach.listing_ts) * 1000)::bigint AS listing_ms,
    coalesce(gap.first_id - 1, reach.last_id) AS closed_id,
    (extract(epoch FROM coalesce(gap.after_ts, reach.last_ts)) * 1000)::bigint AS closed_ts,
    reach.first_id,
    reach.last_id,
    (extract(epoch FROM reach.first_ts) * 1000)::bigint AS first_ts,
    (extract(epoch FROM reach.last_ts) * 1000)::bigint AS last_ts
FROM trade_reach AS reach
LEFT JOIN LATERAL (
    SELECT first_id, after_ts
    FROM trade_gaps
    WHERE trade_gaps.exchange = reach.exchange AND trade_gaps.symbol = reach.symbol
      AND trade_gaps.listing_ts = reach.listing_ts
      AND state = 'open'
      AND (first_id > %(taken_id)s OR trade_gaps.listing_ts > %(listing)s)
      AND before_ts > %(since)s::timestamptz - interval '1 minute'
    ORDER BY first_id
    LIMIT 1
) AS gap ON true
WHERE reach.exchange = %(exchange)s AND reach.symbol = %(symbol)s AND reach.first_id IS NOT NULL
  AND reach.listing_ts >= %(listing)s
ORDER BY reach.listing_ts;

-- name: trades_missing
-- How many ids have no trade between two trades, begun_id of one listing and upto_id of the same or a later one. Where one
-- listing ends and another begins nobody knows how many there were: less what is there counts as what is not.
SELECT (
    (
        SELECT coalesce(sum(last_id - first_id + 1), 0)
        FROM trade_gaps
        WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND state <> 'filled'
          AND (listing_ts, first_id) > (%(begun_listing)s::timestamptz, %(begun_id)s)
          AND (listing_ts, last_id) < (%(upto_listing)s::timestamptz, %(upto_id)s)
    ) + (
        SELECT coalesce(sum(
            CASE WHEN listing_ts > %(begun_listing)s THEN first_id - 1 ELSE 0 END
            - CASE WHEN listing_ts < %(upto_listing)s THEN last_id ELSE 0 END
        ), 0)
        FROM trade_reach
        WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND first_id IS NOT NULL
          AND listing_ts BETWEEN %(begun_listing)s AND %(upto_listing)s
    )
)::bigint;

-- name: clear
DELETE FROM bars
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND kind = %(kind)s AND size = %(size)s
  AND open_ts >= %(from)s AND open_ts < %(to)s;

-- name: state
SELECT state, (extract(epoch FROM begun_ts) * 1000)::bigint, begun_id, missing_ids
FROM bar_state
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND kind = %(kind)s AND size = %(size)s;

-- name: save_state
INSERT INTO bar_state (exchange, symbol, kind, size, state, begun_ts, begun_id, missing_ids)
VALUES (%(exchange)s, %(symbol)s, %(kind)s, %(size)s, %(state)s, %(begun)s, %(begun_id)s, %(missing_ids)s)
ON CONFLICT (exchange, symbol, kind, size) DO UPDATE SET
    state = excluded.state,
    begun_ts = excluded.begun_ts,
    begun_id = excluded.begun_id,
    missing_ids = excluded.missing_ids,
    updated_at = now();

-- name: drop_state
DELETE FROM bar_state
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND kind = %(kind)s AND size = %(size)s;

-- name: claim_built
-- One transaction at a time builds one kind and size of a symbol on demand.
SELECT pg_advisory_xact_lock(hashtextextended(
    concat_ws('/', current_schema(), 'bars', %(exchange)s::text, %(symbol)s::text, %(kind)s::text, %(size)s::float8), 0
));
