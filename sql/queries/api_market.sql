-- What is stored of the market, for HTTP. The rows come as the text of JSON objects with a comma between them, always from the
-- oldest to the newest, beside how many they are and the times of the first and the last: the database writes the answer, and
-- the event loop that the candles share only passes it on.
--
-- Klines also come packed, in hexadecimal: ten values of eight bytes a row, as the binary protocol has them, NaN or -1 for NULL.
--
-- [from, to) bounds every range. With "forward" the oldest "limit" rows of it are meant, else the newest; one of the two halves
-- of such a query is false before it begins.

-- name: series
-- What is known of a symbol: is it any, where its listings begin but the first, up to when its kept bars are made, the
-- first day with rows of a dataset and the end of the last one.
SELECT
    EXISTS (SELECT FROM instruments WHERE exchange = %(exchange)s AND symbol = %(symbol)s)
        OR EXISTS (SELECT FROM coverage_days WHERE exchange = %(exchange)s AND symbol = %(symbol)s
                   AND dataset IN ('candles_1m', 'metrics_5m', 'funding', 'agg_trades')),
    ARRAY(SELECT (extract(epoch FROM cut_ts) * 1000)::bigint FROM listing_cuts
          WHERE exchange = %(exchange)s AND symbol = %(symbol)s ORDER BY cut_ts),
    (SELECT (extract(epoch FROM made_to) * 1000)::bigint FROM bar_fronts
     WHERE exchange = %(exchange)s AND symbol = %(symbol)s),
    (SELECT (extract(epoch FROM day::timestamp AT TIME ZONE 'UTC') * 1000)::bigint FROM coverage_days
     WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol = %(symbol)s AND have + expired > 0
     ORDER BY day LIMIT 1),
    (SELECT (extract(epoch FROM (day + 1)::timestamp AT TIME ZONE 'UTC') * 1000)::bigint FROM coverage_days
     WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol = %(symbol)s AND have + expired > 0
     ORDER BY day DESC LIMIT 1);

-- name: minutes
SELECT count(*), min(open_time), max(open_time), 0, 0,
       CASE WHEN %(packed)s THEN encode(string_agg(
           int8send(open_time) || float8send(open) || float8send(high) || float8send(low) || float8send(close)
           || float8send(volume) || float8send(coalesce(quote_volume, 'NaN')) || int8send(coalesce(trade_count, -1))
           || float8send(coalesce(taker_buy_volume, 'NaN')) || int8send(coalesce(missing_minutes, -1)),
           ''::bytea ORDER BY open_time) FILTER (WHERE %(packed)s), 'hex')
       ELSE string_agg(row_to_json(bar)::text, ',' ORDER BY open_time) FILTER (WHERE NOT %(packed)s) END
FROM (
    SELECT (extract(epoch FROM bucket_ts) * 1000)::bigint AS open_time, open, high, low, close, volume, quote_volume,
           trade_count, taker_buy_volume, 0::bigint AS missing_minutes
    FROM (
        (
            SELECT * FROM candles_1m
            WHERE %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s
              AND bucket_ts >= %(from)s AND bucket_ts < %(to)s
            ORDER BY bucket_ts LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT * FROM candles_1m
            WHERE NOT %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s
              AND bucket_ts >= %(from)s AND bucket_ts < %(to)s
            ORDER BY bucket_ts DESC LIMIT %(limit)s
        )
    ) AS candle
) AS bar;

-- name: kept
SELECT count(*), min(open_time), max(open_time), 0, 0,
       CASE WHEN %(packed)s THEN encode(string_agg(
           int8send(open_time) || float8send(open) || float8send(high) || float8send(low) || float8send(close)
           || float8send(volume) || float8send(coalesce(quote_volume, 'NaN')) || int8send(coalesce(trade_count, -1))
           || float8send(coalesce(taker_buy_volume, 'NaN')) || int8send(coalesce(missing_minutes, -1)),
           ''::bytea ORDER BY open_time) FILTER (WHERE %(packed)s), 'hex')
       ELSE string_agg(row_to_json(bar)::text, ',' ORDER BY open_time) FILTER (WHERE NOT %(packed)s) END
FROM (
    SELECT (extract(epoch FROM open_ts) * 1000)::bigint AS open_time, open, high, low, close, volume, quote_volume,
           trade_count, buy_volume AS taker_buy_volume, missing_minutes::bigint
    FROM (
        (
            SELECT * FROM bars
            WHERE %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND kind = 'time' AND size = %(size)s
              AND open_ts >= %(from)s AND open_ts < %(to)s
            ORDER BY open_ts LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT * FROM bars
            WHERE NOT %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND kind = 'time' AND size = %(size)s
              AND open_ts >= %(from)s AND open_ts < %(to)s
            ORDER BY open_ts DESC LIMIT %(limit)s
        )
    ) AS kept
) AS bar;

-- name: of_kept
-- Bars of a size that is not kept, each of a few kept ones (docs/adr/0051-market-reads.md): those that are over by made_to,
-- and none over the beginning of another listing. [parts_from, parts_to) are whole bars.
SELECT count(*), min(open_time), max(open_time), 0, 0,
       CASE WHEN %(packed)s THEN encode(string_agg(
           int8send(open_time) || float8send(open) || float8send(high) || float8send(low) || float8send(close)
           || float8send(volume) || float8send(coalesce(quote_volume, 'NaN')) || int8send(coalesce(trade_count, -1))
           || float8send(coalesce(taker_buy_volume, 'NaN')) || int8send(coalesce(missing_minutes, -1)),
           ''::bytea ORDER BY open_time) FILTER (WHERE %(packed)s), 'hex')
       ELSE string_agg(row_to_json(bar)::text, ',' ORDER BY open_time) FILTER (WHERE NOT %(packed)s) END
FROM (
    SELECT (extract(epoch FROM open_ts) * 1000)::bigint AS open_time, open, high, low, close, volume, quote_volume,
           trade_count::bigint, taker_buy_volume, (minutes - there)::bigint AS missing_minutes
    FROM (
        SELECT greatest(bin, max(cuts[listing])) AS open_ts,
               (array_agg(open ORDER BY open_ts))[1] AS open,
               max(high) AS high,
               min(low) AS low,
               (array_agg(close ORDER BY open_ts DESC))[1] AS close,
               sum(volume) AS volume,
               CASE WHEN count(quote_volume) = count(*) THEN sum(quote_volume) END AS quote_volume,
               CASE WHEN count(trade_count) = count(*) THEN sum(trade_count) END AS trade_count,
               CASE WHEN count(buy_volume) = count(*) THEN sum(buy_volume) END AS taker_buy_volume,
               (extract(epoch FROM least(bin + %(length)s, max(cuts[listing + 1])) - greatest(bin, max(cuts[listing])))
                / 60)::bigint AS minutes,
               sum((extract(epoch FROM close_ts - open_ts) / 60)::bigint - coalesce(missing_minutes, 0)) AS there
        FROM (
            SELECT bars.*, known.cuts, date_bin(%(length)s, open_ts, %(origin)s) AS bin,
                   width_bucket(open_ts, known.cuts) AS listing
            FROM bars, (SELECT %(cuts)s::timestamptz[] AS cuts) AS known
            WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND kind = 'time' AND size = %(size)s
              AND open_ts >= %(parts_from)s AND open_ts < %(parts_to)s
        ) AS part
        GROUP BY bin, listing
        HAVING bin + %(length)s <= %(made_to)s
    ) AS merged
    WHERE open_ts >= %(from)s AND open_ts < %(to)s
    ORDER BY extract(epoch FROM open_ts) * CASE WHEN %(forward)s THEN 1 ELSE -1 END
    LIMIT %(limit)s
) AS bar;

-- name: of_minutes
-- The same of minutes.
SELECT count(*), min(open_time), max(open_time), 0, 0,
       CASE WHEN %(packed)s THEN encode(string_agg(
           int8send(open_time) || float8send(open) || float8send(high) || float8send(low) || float8send(close)
           || float8send(volume) || float8send(coalesce(quote_volume, 'NaN')) || int8send(coalesce(trade_count, -1))
           || float8send(coalesce(taker_buy_volume, 'NaN')) || int8send(coalesce(missing_minutes, -1)),
           ''::bytea ORDER BY open_time) FILTER (WHERE %(packed)s), 'hex')
       ELSE string_agg(row_to_json(bar)::text, ',' ORDER BY open_time) FILTER (WHERE NOT %(packed)s) END
FROM (
    SELECT (extract(epoch FROM open_ts) * 1000)::bigint AS open_time, open, high, low, close, volume, quote_volume,
           trade_count::bigint, taker_buy_volume, (minutes - there)::bigint AS missing_minutes
    FROM (
        SELECT greatest(bin, max(cuts[listing])) AS open_ts,
               (array_agg(open ORDER BY bucket_ts))[1] AS open,
               max(high) AS high,
               min(low) AS low,
               (array_agg(close ORDER BY bucket_ts DESC))[1] AS close,
               sum(volume) AS volume,
               CASE WHEN count(quote_volume) = count(*) THEN sum(quote_volume) END AS quote_volume,
               CASE WHEN count(trade_count) = count(*) THEN sum(trade_count) END AS trade_count,
               CASE WHEN count(taker_buy_volume) = count(*) THEN sum(taker_buy_volume) END AS taker_buy_volume,
               (extract(epoch FROM least(bin + %(length)s, max(cuts[listing + 1])) - greatest(bin, max(cuts[listing])))
                / 60)::bigint AS minutes,
               count(*) AS there
        FROM (
            SELECT candles_1m.*, known.cuts, date_bin(%(length)s, bucket_ts, %(origin)s) AS bin,
                   width_bucket(bucket_ts, known.cuts) AS listing
            FROM candles_1m, (SELECT %(cuts)s::timestamptz[] AS cuts) AS known
            WHERE exchange = %(exchange)s AND symbol = %(symbol)s
              AND bucket_ts >= %(parts_from)s AND bucket_ts < %(parts_to)s
        ) AS part
        GROUP BY bin, listing
        HAVING bin + %(length)s <= %(made_to)s
    ) AS merged
    WHERE open_ts >= %(from)s AND open_ts < %(to)s
    ORDER BY extract(epoch FROM open_ts) * CASE WHEN %(forward)s THEN 1 ELSE -1 END
    LIMIT %(limit)s
) AS bar;

-- name: metrics
-- Named by the end of their five minutes; numbers keep all their digits.
SELECT count(*), min(create_time), max(create_time), string_agg(row_to_json(metric)::text, ',' ORDER BY create_time)
FROM (
    SELECT (extract(epoch FROM create_time) * 1000)::bigint AS create_time, sum_open_interest, sum_open_interest_value,
           count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio, count_long_short_ratio,
           sum_taker_long_short_vol_ratio
    FROM (
        (
            SELECT * FROM binance_futures_metrics_5m
            WHERE %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s
              AND create_time >= %(from)s AND create_time < %(to)s
            ORDER BY create_time LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT * FROM binance_futures_metrics_5m
            WHERE NOT %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s
              AND create_time >= %(from)s AND create_time < %(to)s
            ORDER BY create_time DESC LIMIT %(limit)s
        )
    ) AS stored
) AS metric;

-- name: metrics_before
-- The newest row of each step, from the newest step back. A step is (bin, bin + length], for rows are named by the end of their
-- five minutes. One look at an index a step, whatever lies in it and however far it is to the next; the bounds of the whole range
-- stand beside that of the step, because only they are known when the chunks are chosen.
WITH RECURSIVE found AS (
    SELECT 0 AS number, %(to)s::timestamptz AS before, NULL::binance_futures_metrics_5m AS metric
    UNION ALL
    SELECT number + 1,
           date_bin(%(length)s, (newest.metric).create_time - interval '1 microsecond', %(origin)s) + interval '1 microsecond',
           newest.metric
    FROM found, LATERAL (
        SELECT stored AS metric FROM binance_futures_metrics_5m AS stored
        WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND create_time >= %(from)s AND create_time < %(to)s
          AND create_time < found.before
        ORDER BY create_time DESC LIMIT 1
    ) AS newest
    WHERE number < %(limit)s
)
SELECT count(*), min(create_time), max(create_time), string_agg(row_to_json(told)::text, ',' ORDER BY create_time)
FROM (
    SELECT (extract(epoch FROM (metric).create_time) * 1000)::bigint AS create_time, (metric).sum_open_interest,
           (metric).sum_open_interest_value, (metric).count_toptrader_long_short_ratio,
           (metric).sum_toptrader_long_short_ratio, (metric).count_long_short_ratio, (metric).sum_taker_long_short_vol_ratio
    FROM found WHERE number > 0
) AS told;

-- name: metrics_from
-- The same from the oldest step on: the first row there is says which step, and then its newest is looked for.
WITH RECURSIVE found AS (
    SELECT 0 AS number, %(from)s::timestamptz AS behind, NULL::binance_futures_metrics_5m AS metric
    UNION ALL
    SELECT number + 1, step.ends + interval '1 microsecond', newest.metric
    FROM found, LATERAL (
        SELECT date_bin(%(length)s, create_time - interval '1 microsecond', %(origin)s) + %(length)s AS ends
        FROM binance_futures_metrics_5m
        WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND create_time >= %(from)s AND create_time < %(to)s
          AND create_time >= found.behind
        ORDER BY create_time LIMIT 1
    ) AS step, LATERAL (
        SELECT stored AS metric FROM binance_futures_metrics_5m AS stored
        WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND create_time >= %(from)s AND create_time < %(to)s
          AND create_time >= found.behind AND create_time <= step.ends
        ORDER BY create_time DESC LIMIT 1
    ) AS newest
    WHERE number < %(limit)s
)
SELECT count(*), min(create_time), max(create_time), string_agg(row_to_json(told)::text, ',' ORDER BY create_time)
FROM (
    SELECT (extract(epoch FROM (metric).create_time) * 1000)::bigint AS create_time, (metric).sum_open_interest,
           (metric).sum_open_interest_value, (metric).count_toptrader_long_short_ratio,
           (metric).sum_toptrader_long_short_ratio, (metric).count_long_short_ratio, (metric).sum_taker_long_short_vol_ratio
    FROM found WHERE number > 0
) AS told;

-- name: funding
SELECT count(*), min(funding_time), max(funding_time),
       string_agg(row_to_json(settlement)::text, ',' ORDER BY funding_time)
FROM (
    SELECT (extract(epoch FROM funding_time) * 1000)::bigint AS funding_time, funding_rate, mark_price, interval_hours
    FROM (
        (
            SELECT * FROM funding_rates
            WHERE %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s
              AND funding_time >= %(from)s AND funding_time < %(to)s
            ORDER BY funding_time LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT * FROM funding_rates
            WHERE NOT %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s
              AND funding_time >= %(from)s AND funding_time < %(to)s
            ORDER BY funding_time DESC LIMIT %(limit)s
        )
    ) AS stored
) AS settlement;

-- name: symbols
-- Every listing; who was listed again has several.
SELECT symbol, status, (extract(epoch FROM onboard_ts) * 1000)::bigint AS onboard_ms,
       CASE WHEN isfinite(end_ts) THEN (extract(epoch FROM end_ts) * 1000)::bigint END AS end_ms,
       contract_type, base, quote, tick_size, step_size
FROM instruments
WHERE exchange = %(exchange)s
  AND strpos(upper(symbol), upper(%(search)s)) > 0
  AND (symbol COLLATE "C", onboard_ts) > (%(after)s, %(after_ts)s::timestamptz)
ORDER BY symbol COLLATE "C", onboard_ts
LIMIT %(limit)s;

-- name: trade_reach
-- Is a symbol known, and between when it has trades; times may go back by a minute while ids go on.
SELECT count(*) > 0 OR EXISTS (SELECT FROM instruments WHERE exchange = %(exchange)s AND symbol = %(symbol)s),
       (extract(epoch FROM min(coalesce(oldest_ts, first_ts))) * 1000)::bigint,
       (extract(epoch FROM max(coalesce(newest_ts, last_ts))) * 1000)::bigint
FROM trade_reach
WHERE exchange = %(exchange)s AND symbol = %(symbol)s;

-- name: trades
SELECT count(*), min(time_ms), max(time_ms), (array_agg(trade_id ORDER BY time_ms, trade_id))[1],
       (array_agg(trade_id ORDER BY time_ms DESC, trade_id DESC))[1],
       string_agg(row_to_json(trade)::text, ',' ORDER BY time_ms, trade_id)
FROM (
    SELECT trade_id, (extract(epoch FROM ts) * 1000)::bigint AS time_ms, price, quantity, is_buyer_maker
    FROM (
        (
            SELECT * FROM agg_trades
            WHERE %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND ts >= %(from)s AND ts < %(to)s
              AND (ts, trade_id) > (%(edge_ts)s, %(edge_id)s)
            ORDER BY ts, trade_id LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT * FROM agg_trades
            WHERE NOT %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND ts >= %(from)s AND ts < %(to)s
              AND (ts, trade_id) < (%(edge_ts)s, %(edge_id)s)
            ORDER BY ts DESC, trade_id DESC LIMIT %(limit)s
        )
    ) AS stored
) AS trade;

-- name: bars
SELECT count(*), min(open_time), max(open_time), (array_agg(first_trade_id ORDER BY open_time, first_trade_id))[1],
       (array_agg(first_trade_id ORDER BY open_time DESC, first_trade_id DESC))[1],
       string_agg(row_to_json(bar)::text, ',' ORDER BY open_time, first_trade_id)
FROM (
    SELECT (extract(epoch FROM open_ts) * 1000)::bigint AS open_time,
           (extract(epoch FROM close_ts) * 1000)::bigint AS close_time, first_trade_id, open, high, low, close, volume,
           quote_volume, trade_count, buy_volume AS taker_buy_volume, vwap, missing_minutes
    FROM (
        (
            SELECT * FROM bars
            WHERE %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND kind = %(kind)s AND size = %(size)s
              AND open_ts >= %(from)s AND open_ts < %(to)s AND (open_ts, first_trade_id) > (%(edge_ts)s, %(edge_id)s)
            ORDER BY open_ts, first_trade_id LIMIT %(limit)s
        )
        UNION ALL
        (
            SELECT * FROM bars
            WHERE NOT %(forward)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND kind = %(kind)s
              AND size = %(size)s AND open_ts >= %(from)s AND open_ts < %(to)s
              AND (open_ts, first_trade_id) < (%(edge_ts)s, %(edge_id)s)
            ORDER BY open_ts DESC, first_trade_id DESC LIMIT %(limit)s
        )
    ) AS stored
) AS bar;

-- name: levels_known
-- Is a symbol known, and between when price_levels says what was known of a series.
SELECT EXISTS (SELECT FROM instruments WHERE exchange = %(source)s AND symbol = %(symbol)s)
           OR EXISTS (SELECT FROM analysis_results WHERE exchange = %(exchange)s AND symbol = %(symbol)s),
       (extract(epoch FROM min(known_from)) * 1000)::bigint, (extract(epoch FROM max(known_to)) * 1000)::bigint
FROM analysis_results
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND market_type = %(market_type)s AND timeframe = %(timeframe)s;

-- name: levels
-- The levels of a series as they were known at a time, and nothing that became known later.
SELECT count(*), string_agg(row_to_json(level)::text, ',' ORDER BY side DESC, founded_ms)
FROM (
    SELECT side, price,
           CASE WHEN broken_ts IS NOT NULL THEN 'broken' WHEN tests > 0 THEN 'tested' ELSE 'formed' END AS state,
           tests,
           (extract(epoch FROM founded_ts) * 1000)::bigint AS founded_ms,
           (extract(epoch FROM formed_ts) * 1000)::bigint AS formed_ms,
           (extract(epoch FROM tested_ts) * 1000)::bigint AS tested_ms,
           (extract(epoch FROM broken_ts) * 1000)::bigint AS broken_ms,
           (extract(epoch FROM known_from) * 1000)::bigint AS known_from_ms,
           (
               SELECT json_agg(json_build_object(
                          'time_ms', (extract(epoch FROM turned) * 1000)::bigint,
                          'confirmed_ms', (extract(epoch FROM seen) * 1000)::bigint,
                          'price', at_price, 'windows', windows
                      ) ORDER BY place)
               FROM unnest(pivot_ts, confirmed_ts, pivot_prices, pivot_windows)
                    WITH ORDINALITY AS pivot (turned, seen, at_price, windows, place)
           ) AS pivots
    FROM price_levels
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND market_type = %(market_type)s
      AND timeframe = %(timeframe)s AND known_from <= %(at)s AND known_to > %(at)s
    ORDER BY side DESC, founded_ts
    LIMIT %(limit)s
) AS level;

-- name: contract
-- What a chart must know of a symbol: its newest listing.
SELECT symbol, base, quote, tick_size
FROM instruments
WHERE exchange = %(exchange)s AND symbol = %(symbol)s
ORDER BY onboard_ts DESC
LIMIT 1;

-- name: search
-- Symbols with a text in their name: those that trade first, then those that begin with it.
SELECT symbol, base, quote, tick_size
FROM (
    SELECT DISTINCT ON (symbol) symbol, base, quote, tick_size, end_ts
    FROM instruments
    WHERE exchange = %(exchange)s AND strpos(upper(symbol), upper(%(search)s)) > 0
    ORDER BY symbol, onboard_ts DESC
) AS listed
ORDER BY isfinite(end_ts), strpos(upper(symbol), upper(%(search)s)), symbol COLLATE "C"
LIMIT %(limit)s;
