-- CEX against DEX (docs/adr/0046-arbitrage.md).

-- name: pools
SELECT chain, pool, base, decimals0, decimals1, fee, tick_spacing, symbol0, symbol1
FROM pools
ORDER BY chain, pool;

-- name: trade_gaps
-- Ids that are not stored between these times, whoever knows why.
SELECT count(*), coalesce(sum(last_id - first_id + 1), 0)::bigint
FROM trade_gaps
WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND state <> 'filled'
    AND before_ts > %(since)s AND after_ts < %(until)s;

-- name: trades
-- As they lie there, which is nearly the order of ids: who reads them puts them in order for a tenth of what it costs here.
COPY (
    SELECT trade_id, ts, price, quantity
    FROM agg_trades
    WHERE exchange = %(exchange)s AND symbol = %(symbol)s AND ts >= %(since)s AND ts < %(until)s
) TO STDOUT (FORMAT BINARY);

-- name: swaps
COPY (
    SELECT
        block_time, block_number, log_index::bigint, price, gas_price::double precision,
        gas_used::double precision, liquidity > 0
    FROM uniswap_swaps
    WHERE chain = %(chain)s AND pool = %(pool)s AND block_time >= %(since)s AND block_time < %(until)s
    ORDER BY block_time, block_number, log_index
) TO STDOUT (FORMAT BINARY);

-- name: fills
-- For each swap that something is decided by, in order: the first block after the time asked for, and the pool behind the
-- last swap up to the end of that block. NULLs where there is no such block within the wait, or where it is not sure
-- that it is the first: the one before it must be known, too.
SELECT
    block.block_number, (extract(epoch FROM block.block_time) * 1000)::bigint, block.base_fee,
    pool.sqrt_price_x96, pool.liquidity, pool.tick
FROM unnest(%(after)s::timestamptz[], %(decided_at)s::timestamptz[], %(decided_in)s::bigint[])
    WITH ORDINALITY AS asked (after, decided_at, decided_in, place)
LEFT JOIN LATERAL (
    SELECT block_number, block_time, base_fee
    FROM block_headers
    WHERE chain = %(chain)s AND block_time > asked.after AND block_time <= asked.after + %(wait)s
        AND block_time > %(since)s AND block_time < %(until)s
    ORDER BY block_time, block_number
    LIMIT 1
) AS block ON block.block_number = asked.decided_in + 1 OR EXISTS (
    SELECT FROM block_headers AS before
    WHERE before.chain = %(chain)s AND before.block_number = block.block_number - 1
        AND before.block_time BETWEEN asked.decided_at AND asked.after
        AND before.block_time >= %(since)s AND before.block_time < %(until)s
)
LEFT JOIN LATERAL (
    SELECT sqrt_price_x96, liquidity, tick
    FROM uniswap_swaps
    WHERE chain = %(chain)s AND pool = %(pool)s AND block_time BETWEEN asked.decided_at AND block.block_time
        AND block_time >= %(since)s AND block_time < %(until)s
    ORDER BY block_time DESC, block_number DESC, log_index DESC
    LIMIT 1
) AS pool ON true
ORDER BY asked.place;

-- name: auto_batch
INSERT INTO batches (name) VALUES (%(name)s)
ON CONFLICT (name) DO NOTHING;

-- name: add_batch
INSERT INTO batches (name) VALUES (%(name)s)
ON CONFLICT (name) DO NOTHING
RETURNING batch_id;

-- name: lock_batch
SELECT batch_id, name
FROM batches
WHERE batch_id = %(batch_id)s OR name = %(name)s
FOR UPDATE;

-- name: clear_batch
WITH gone AS (
    DELETE FROM arbitrage_opportunities WHERE batch_id = %(batch_id)s RETURNING 1
)
SELECT count(*) FROM gone;

-- name: report
UPDATE batches SET report = %(report)s::jsonb, updated_at = now() WHERE batch_id = %(batch_id)s;

-- name: keep_incoming
CREATE TEMP TABLE incoming (
    block_time     timestamptz,
    block_number   bigint,
    log_index      bigint,
    direction      bigint,
    cex_price      double precision,
    dex_price      double precision,
    base_amount    double precision,
    profit         double precision,
    gas_used       double precision,
    gas_cost       double precision,
    volatility     double precision,
    window_volume  double precision,
    window_trades  bigint,
    status         bigint,
    fill_block     bigint,
    fill_time      timestamptz,
    screen_profit  double precision,
    mark_price     double precision,
    cex_markout    double precision,
    dex_markout    double precision
) ON COMMIT DROP;

-- name: keep
-- What the batch has of a swap and a direction stays. A swap that a reorg took back meanwhile is not there to be joined.
WITH written AS (
    INSERT INTO arbitrage_opportunities (
        batch_id, block_time, block_number, log_index, profit_usdt, buy_price, sell_price, buy_platform, sell_platform,
        chain, pool, exchange, symbol, mode, status, block_hash, transaction_hash, details_json, risk_metrics_json
    )
    SELECT
        %(batch_id)s, swaps.block_time, swaps.block_number, swaps.log_index, nullif(found.profit, 'NaN'),
        CASE found.direction WHEN 0 THEN found.cex_price ELSE found.dex_price END,
        CASE found.direction WHEN 0 THEN found.dex_price ELSE found.cex_price END,
        CASE found.direction WHEN 0 THEN %(exchange)s ELSE %(chain)s END,
        CASE found.direction WHEN 0 THEN %(chain)s ELSE %(exchange)s END,
        %(chain)s, %(pool)s, %(exchange)s, %(symbol)s, %(mode)s, (%(statuses)s::text[])[found.status + 1],
        swaps.block_hash, swaps.transaction_hash,
        jsonb_strip_nulls(jsonb_build_object(
            'direction', CASE found.direction WHEN 0 THEN 'buy_cex_sell_dex' ELSE 'buy_dex_sell_cex' END,
            'base_amount', nullif(found.base_amount, 'NaN'),
            'gas_used', found.gas_used,
            'gas_cost', nullif(found.gas_cost, 'NaN'),
            'screen_profit', nullif(found.screen_profit, 'NaN'),
            'fill_block', nullif(found.fill_block, -1),
            'fill_blocks_later', nullif(found.fill_block, -1) - found.block_number,
            'fill_time', CASE WHEN found.fill_block >= 0 THEN found.fill_time END
        )),
        jsonb_strip_nulls(jsonb_build_object(
            'volatility', found.volatility,
            'window_volume', found.window_volume,
            'window_trades', found.window_trades,
            'mark_price', nullif(found.mark_price, 'NaN'),
            'cex_markout', nullif(found.cex_markout, 'NaN'),
            'dex_markout', nullif(found.dex_markout, 'NaN')
        ))
    FROM incoming AS found
    JOIN uniswap_swaps AS swaps
        ON swaps.chain = %(chain)s AND swaps.pool = %(pool)s AND swaps.block_time = found.block_time
        AND swaps.block_number = found.block_number AND swaps.log_index = found.log_index
        AND swaps.block_time >= %(since)s AND swaps.block_time < %(until)s
    ORDER BY found.block_number, found.log_index, found.direction
    ON CONFLICT ON CONSTRAINT arbitrage_opportunities_swap DO NOTHING
    RETURNING 1
)
SELECT count(*) FROM written;
