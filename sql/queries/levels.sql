-- name: series
-- The listing of each symbol that trades (or traded last, of a symbol that was asked for), how far its bars are made,
-- and between when its levels are known already.
SELECT listing.symbol, listing.onboard_ts, least(front.made_to, listing.end_ts, %(until)s::timestamptz) AS made_to,
       result.known_from, result.known_to
FROM (
    SELECT DISTINCT ON (symbol) symbol, onboard_ts, end_ts
    FROM instruments
    WHERE exchange = %(source)s
      AND (%(symbols)s::text[] IS NULL OR symbol = ANY (%(symbols)s::text[]))
      AND onboard_ts < coalesce(%(until)s::timestamptz, 'infinity')
    ORDER BY symbol, onboard_ts DESC
) AS listing
JOIN bar_fronts AS front ON front.exchange = %(source)s AND front.symbol = listing.symbol
LEFT JOIN analysis_results AS result
    ON result.exchange = %(exchange)s
   AND result.market_type = %(market_type)s
   AND result.timeframe = %(timeframe)s
   AND result.symbol = listing.symbol
WHERE %(symbols)s::text[] IS NOT NULL OR listing.end_ts > front.made_to
ORDER BY listing.symbol COLLATE "C";

-- name: bars
-- The closed bars of many symbols, each from a time of its own; in no order.
COPY (
    SELECT series.place, bars.open_ts, bars.close_ts, bars.high, bars.low, bars.close, bars.volume
    FROM unnest(%(symbols)s::text[], %(since)s::timestamptz[], %(until)s::timestamptz[])
        WITH ORDINALITY AS series (symbol, since_ts, until_ts, place)
    CROSS JOIN LATERAL (
        SELECT open_ts, close_ts, high, low, close, volume
        FROM bars
        WHERE exchange = %(source)s
          AND symbol = series.symbol
          AND kind = 'time'
          AND size = %(period)s
          AND open_ts >= series.since_ts
          AND open_ts >= %(earliest)s
          AND open_ts < %(latest)s
          AND close_ts <= series.until_ts
    ) AS bars
) TO STDOUT (FORMAT BINARY);

-- name: watched
SELECT symbol, known_from, known_to
FROM analysis_results
WHERE exchange = %(exchange)s
  AND market_type = %(market_type)s
  AND timeframe = %(timeframe)s
  AND symbol = ANY (%(symbols)s::text[]);

-- name: lock_watched
-- Up to when levels are known, locked in the order in which they are written.
SELECT symbol, known_to
FROM analysis_results
WHERE exchange = %(exchange)s
  AND market_type = %(market_type)s
  AND timeframe = %(timeframe)s
  AND symbol = ANY (%(symbols)s::text[])
ORDER BY symbol COLLATE "C"
FOR UPDATE;

-- name: holding
-- The rows that the last run left open.
SELECT symbol, id, known_from, side, price, tests, tested_ts, broken_ts, pivot_ts, confirmed_ts, pivot_prices,
       pivot_windows
FROM price_levels
WHERE exchange = %(exchange)s
  AND market_type = %(market_type)s
  AND timeframe = %(timeframe)s
  AND symbol = ANY (%(symbols)s::text[])
  AND known_to = 'infinity'
ORDER BY symbol COLLATE "C", side DESC, founded_ts;

-- name: known_at
-- The levels of one series as they were known at a time, supports first, the oldest first.
SELECT side, price, tests, tested_ts, broken_ts, pivot_ts, confirmed_ts, pivot_prices,
       pivot_windows
FROM price_levels
WHERE exchange = %(exchange)s
  AND market_type = %(market_type)s
  AND timeframe = %(timeframe)s
  AND symbol = %(symbol)s
  AND known_from <= %(at)s
  AND known_to > %(at)s
ORDER BY side DESC, founded_ts;

-- name: end
UPDATE price_levels AS level
SET state = ended.state, known_to = ended.known_to
FROM jsonb_to_recordset(%(ended)s::jsonb) AS ended (id bigint, state text, known_to timestamptz)
WHERE level.id = ended.id;

-- name: take_back
-- Rows that said something at one close only, which bars mended since then correct at the same close.
DELETE FROM price_levels WHERE id = ANY (%(ids)s::bigint[]);

-- name: begin
INSERT INTO price_levels (
    exchange, market_type, timeframe, symbol, side, founded_ts, formed_ts, tests, tested_ts, broken_ts, state, price,
    pivot_ts, confirmed_ts, pivot_prices, pivot_windows, known_from, known_to
)
SELECT %(exchange)s, %(market_type)s, %(timeframe)s, symbol, side, founded_ts, formed_ts, tests, tested_ts, broken_ts,
       state, price, pivot_ts, confirmed_ts, pivot_prices, pivot_windows, known_from, known_to
FROM jsonb_to_recordset(%(begun)s::jsonb) AS begun (
    symbol text, side text, founded_ts timestamptz, formed_ts timestamptz, tests integer, tested_ts timestamptz,
    broken_ts timestamptz, state text, price double precision, pivot_ts timestamptz[], confirmed_ts timestamptz[],
    pivot_prices double precision[], pivot_windows smallint[], known_from timestamptz, known_to timestamptz
);

-- name: record
INSERT INTO analysis_results AS known (
    exchange, market_type, timeframe, symbol, input_limit, last_price, support_levels, resistance_levels, details,
    known_from, known_to
)
SELECT %(exchange)s, %(market_type)s, %(timeframe)s, symbol, input_limit, last_price, support_levels,
       resistance_levels, details, known_from, known_to
FROM jsonb_to_recordset(%(results)s::jsonb) AS result (
    symbol text, input_limit integer, last_price double precision, support_levels jsonb, resistance_levels jsonb,
    details jsonb, known_from timestamptz, known_to timestamptz
)
ORDER BY symbol COLLATE "C"
ON CONFLICT (exchange, symbol, market_type, timeframe) DO UPDATE SET
    input_limit = excluded.input_limit,
    last_price = excluded.last_price,
    support_levels = excluded.support_levels,
    resistance_levels = excluded.resistance_levels,
    details = excluded.details,
    known_from = excluded.known_from,
    known_to = excluded.known_to,
    updated_at = now();

-- name: keep_bars_incoming
CREATE TEMP TABLE incoming (
    open_ts      timestamptz,
    close_ts     timestamptz,
    open         double precision,
    high         double precision,
    low          double precision,
    close        double precision,
    volume       double precision,
    quote_volume double precision,
    trade_count  bigint,
    buy_volume   double precision
) ON COMMIT DROP;

-- name: keep_bars
-- Bars as the venue told them; one that is there is left as it is.
INSERT INTO bars (
    exchange, symbol, kind, size, open_ts, close_ts, open, high, low, close, volume, quote_volume, trade_count,
    buy_volume, vwap
)
SELECT %(exchange)s, %(symbol)s, 'time', %(period)s, open_ts, close_ts, open, high, low, close, volume, quote_volume,
       trade_count, buy_volume, CASE WHEN volume > 0 AND quote_volume > 0 THEN quote_volume / volume ELSE close END
FROM incoming
ON CONFLICT (exchange, symbol, kind, size, open_ts, first_trade_id) DO NOTHING
RETURNING open_ts;

-- name: missing
-- Periods without a bar, of days that lack minutes which may still come, that nobody asked for yet: all that the venue is
-- asked for.
SELECT period.open_ts
FROM generate_series(
    %(since)s::timestamptz,
    %(until)s::timestamptz - %(period)s * interval '1 millisecond',
    %(period)s * interval '1 millisecond'
) AS period (open_ts)
JOIN coverage_days AS line
    ON line.exchange = %(source)s
   AND line.dataset = 'candles_1m'
   AND line.symbol = %(symbol)s
   AND line.day = (period.open_ts AT TIME ZONE 'UTC')::date
WHERE line.have + line.absent + line.expired < line.expected
  AND NOT EXISTS (
      SELECT FROM bars
      WHERE bars.exchange = %(source)s
        AND bars.symbol = %(symbol)s
        AND bars.kind = 'time'
        AND bars.size = %(period)s
        AND bars.open_ts = period.open_ts
        AND bars.open_ts >= %(since)s
        AND bars.open_ts < %(until)s
  )
  AND NOT EXISTS (
      SELECT FROM level_fetches AS asked
      WHERE asked.exchange = %(source)s
        AND asked.symbol = %(symbol)s
        AND asked.size = %(period)s
        AND asked.open_ts = period.open_ts
  )
ORDER BY period.open_ts;

-- name: fetched
-- What the venue said when it was asked.
SELECT (extract(epoch FROM open_ts) * 1000)::bigint, (extract(epoch FROM close_ts) * 1000)::bigint,
       open, high, low, close, volume, quote_volume, trade_count, buy_volume
FROM level_fetches
WHERE exchange = %(source)s AND symbol = %(symbol)s AND size = %(period)s
    AND open_ts >= %(since)s AND open_ts < %(until)s
    AND close IS NOT NULL
ORDER BY open_ts;

-- name: remember_incoming
CREATE TEMP TABLE incoming (
    open_ts      timestamptz,
    close_ts     timestamptz,
    open         double precision,
    high         double precision,
    low          double precision,
    close        double precision,
    volume       double precision,
    quote_volume double precision,
    trade_count  bigint,
    buy_volume   double precision
) ON COMMIT DROP;

-- name: remember
-- A period without a bar comes as NaN.
INSERT INTO level_fetches (
    exchange, symbol, size, open_ts, close_ts, open, high, low, close, volume, quote_volume, trade_count, buy_volume
)
SELECT %(source)s, %(symbol)s, %(period)s, open_ts, close_ts, nullif(open, 'NaN'), nullif(high, 'NaN'),
       nullif(low, 'NaN'), nullif(close, 'NaN'), nullif(volume, 'NaN'), nullif(quote_volume, 'NaN'), trade_count,
       nullif(buy_volume, 'NaN')
FROM incoming
ON CONFLICT (exchange, symbol, size, open_ts) DO NOTHING
RETURNING open_ts;
