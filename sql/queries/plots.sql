-- name: bars
-- What is drawn of one symbol: its bars of one kind and size, in order.
COPY (
    SELECT open_ts, close_ts, open, high, low, close, volume
    FROM bars
    WHERE exchange = %(exchange)s
      AND symbol = %(symbol)s
      AND kind = %(kind)s
      AND size = %(length)s
      AND open_ts >= %(since)s
      AND open_ts < %(until)s
      AND close_ts <= %(until)s
    ORDER BY open_ts, first_trade_id
) TO STDOUT (FORMAT BINARY);

-- name: made_to
-- Up to when the kept bars of a symbol are made.
SELECT made_to FROM bar_fronts WHERE exchange = %(exchange)s AND symbol = %(symbol)s;

-- name: batch
-- What there is to draw of a market: the newest batch that holds rows of it, or the one that was asked for; attempts
-- rather than a screen.
SELECT
    batches.batch_id, batches.name, found.exchange, found.chain, found.pool, found.mode,
    min(found.block_time), max(found.block_time)
FROM arbitrage_opportunities AS found
JOIN batches USING (batch_id)
WHERE found.symbol = %(symbol)s
    AND (%(batch_id)s::integer IS NULL OR batches.batch_id = %(batch_id)s)
    AND found.block_time >= %(since)s AND found.block_time < %(until)s
GROUP BY batches.batch_id, batches.name, found.exchange, found.chain, found.pool, found.mode
ORDER BY batches.updated_at DESC, found.mode, found.pool
LIMIT 1;

-- name: opportunities
COPY (
    SELECT
        block_time, buy_platform = exchange, buy_price, sell_price,
        coalesce(profit_usdt, 'NaN'), status IN ('screened', 'filled')
    FROM arbitrage_opportunities
    WHERE batch_id = %(batch_id)s AND exchange = %(exchange)s AND symbol = %(symbol)s AND chain = %(chain)s
        AND pool = %(pool)s AND mode = %(mode)s AND block_time >= %(since)s AND block_time < %(until)s
    ORDER BY block_time, block_number, log_index
) TO STDOUT (FORMAT BINARY);

-- name: prices
COPY (
    SELECT bucket_ts, close
    FROM price_series
    WHERE venue = %(venue)s AND market = %(market)s AND interval_seconds = %(interval_seconds)s
        AND bucket_ts >= %(since)s AND bucket_ts < %(until)s
    ORDER BY bucket_ts
) TO STDOUT (FORMAT BINARY);
