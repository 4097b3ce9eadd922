-- Uniswap v3 swaps, which blocks of a pool are stored whole, and the newest blocks of the chain.

-- name: add_pool
-- What is known of a pool stays: its base was decided when it was added, and its other columns never change on the chain.
INSERT INTO pools (
    chain, pool, token0, token1, symbol0, symbol1, decimals0, decimals1, fee, tick_spacing, base
) VALUES (
    %(chain)s, %(pool)s, %(token0)s, %(token1)s, %(symbol0)s, %(symbol1)s, %(decimals0)s, %(decimals1)s,
    %(fee)s, %(tick_spacing)s, %(base)s
)
ON CONFLICT (chain, pool) DO NOTHING;

-- name: pool
SELECT chain, pool, token0, token1, symbol0, symbol1, decimals0, decimals1, fee, tick_spacing, base
FROM pools
WHERE chain = %(chain)s AND pool = %(pool)s;

-- name: lock_pools
-- Whoever writes swaps or ranges of a pool holds its line, so that two never cut and join the same range.
SELECT pool FROM pools
WHERE chain = %(chain)s AND pool = ANY(%(pools)s)
ORDER BY pool COLLATE "C"
FOR NO KEY UPDATE;

-- name: insert_swaps
-- A swap that is there stays, if it is of the same block. In the same place of another block with the same time it is of a
-- block that the chain has no more.
WITH written AS (
    INSERT INTO uniswap_swaps AS stored (
        chain, pool, block_time, block_number, log_index, transaction_index, block_hash, transaction_hash,
        sender, recipient, amount0, amount1, sqrt_price_x96, liquidity, tick, price, gas_price, gas_used, base_fee
    )
    SELECT
        %(chain)s, pool, block_time, block_number, log_index, transaction_index, block_hash, transaction_hash,
        sender, recipient, amount0, amount1, sqrt_price_x96, liquidity, tick, price, gas_price, gas_used, base_fee
    FROM unnest(
        %(pool)s::text[], %(block_time)s::timestamptz[], %(block_number)s::bigint[], %(log_index)s::integer[],
        %(transaction_index)s::integer[], %(block_hash)s::text[], %(transaction_hash)s::text[], %(sender)s::text[],
        %(recipient)s::text[], %(amount0)s::numeric[], %(amount1)s::numeric[], %(sqrt_price_x96)s::numeric[],
        %(liquidity)s::numeric[], %(tick)s::integer[], %(price)s::double precision[], %(gas_price)s::numeric[],
        %(gas_used)s::bigint[], %(base_fee)s::numeric[]
    ) AS incoming (
        pool, block_time, block_number, log_index, transaction_index, block_hash, transaction_hash, sender,
        recipient, amount0, amount1, sqrt_price_x96, liquidity, tick, price, gas_price, gas_used, base_fee
    )
    ORDER BY pool COLLATE "C", block_time, block_number, log_index
    ON CONFLICT (chain, pool, block_time, block_number, log_index) DO UPDATE SET
        transaction_index = excluded.transaction_index,
        block_hash = excluded.block_hash,
        transaction_hash = excluded.transaction_hash,
        sender = excluded.sender,
        recipient = excluded.recipient,
        amount0 = excluded.amount0,
        amount1 = excluded.amount1,
        sqrt_price_x96 = excluded.sqrt_price_x96,
        liquidity = excluded.liquidity,
        tick = excluded.tick,
        price = excluded.price,
        gas_price = excluded.gas_price,
        gas_used = excluded.gas_used,
        base_fee = excluded.base_fee,
        ingested_at = now()
    WHERE stored.block_hash <> excluded.block_hash
    RETURNING (xmax = 0) AS inserted
)
SELECT count(*) AS inserted, count(*) FILTER (WHERE NOT inserted) AS withdrawn FROM written;

-- name: withdraw_above
-- The swaps of every block above the last one that both branches have.
WITH gone AS (
    DELETE FROM uniswap_swaps
    WHERE chain = %(chain)s AND pool = ANY(%(pools)s) AND block_time >= %(since)s AND block_number > %(above)s
    RETURNING 1
)
SELECT count(*) AS withdrawn FROM gone;

-- name: withdraw_blocks
-- The swaps of blocks that the chain has no more.
WITH gone AS (
    DELETE FROM uniswap_swaps
    WHERE chain = %(chain)s AND pool = %(pool)s AND block_time BETWEEN %(since)s AND %(until)s
        AND block_hash = ANY(%(hashes)s)
    RETURNING 1
)
SELECT count(*) AS withdrawn FROM gone;

-- name: stored_swaps
SELECT block_number, log_index, block_hash
FROM uniswap_swaps
WHERE chain = %(chain)s AND pool = %(pool)s AND block_time BETWEEN %(since)s AND %(until)s
    AND block_number BETWEEN %(from_block)s AND %(to_block)s
ORDER BY block_number, log_index;

-- name: add_headers
-- A block that is there stays, with what was told of it last: numbers are settled, or were withdrawn before.
INSERT INTO block_headers AS stored (chain, block_time, block_number, base_fee)
SELECT %(chain)s, block_time, block_number, base_fee
FROM unnest(%(block_time)s::timestamptz[], %(block_number)s::bigint[], %(base_fee)s::numeric[])
    AS incoming (block_time, block_number, base_fee)
ORDER BY block_time, block_number
ON CONFLICT (chain, block_time, block_number) DO UPDATE SET base_fee = excluded.base_fee
WHERE stored.base_fee IS DISTINCT FROM excluded.base_fee;

-- name: known_headers
SELECT block_number
FROM block_headers
WHERE chain = %(chain)s AND block_time BETWEEN %(since)s AND %(until)s
    AND block_number BETWEEN %(from_block)s AND %(to_block)s;

-- name: withdraw_headers_above
DELETE FROM block_headers
WHERE chain = %(chain)s AND block_time >= %(since)s AND block_number > %(above)s;

-- name: cover
-- The blocks are stored whole: joined with every range that they overlap or touch. The greatest final block holds for
-- all of the joined range, because whatever is below a final block is final too; one below the range says nothing of it.
WITH joined AS (
    DELETE FROM swap_ranges
    WHERE chain = %(chain)s AND pool = %(pool)s AND from_block <= %(to_block)s + 1 AND to_block >= %(from_block)s - 1
    RETURNING from_block, to_block, from_time, to_time, final_block, final_time
),
pieces AS (
    SELECT from_block, to_block, from_time, to_time, final_block, final_time FROM joined
    UNION ALL
    SELECT
        %(from_block)s::bigint, %(to_block)s::bigint, %(from_time)s::timestamptz, %(to_time)s::timestamptz,
        %(final_block)s::bigint, %(final_time)s::timestamptz
)
INSERT INTO swap_ranges (chain, pool, from_block, to_block, from_time, to_time, final_block, final_time)
SELECT
    %(chain)s, %(pool)s, min(from_block), max(to_block), min(from_time), max(to_time),
    CASE WHEN max(final_block) >= min(from_block) THEN max(final_block) END,
    CASE WHEN max(final_block) >= min(from_block) THEN max(final_time) END
FROM pieces;

-- name: drop_ranges_above
DELETE FROM swap_ranges
WHERE chain = %(chain)s AND pool = ANY(%(pools)s) AND from_block > %(above)s;

-- name: cut_ranges_above
-- A range that begins at its last block has no final one below it any more.
UPDATE swap_ranges SET
    to_block = %(above)s,
    to_time = greatest(from_time, %(since)s),
    final_block = least(final_block, %(above)s),
    final_time = least(final_time, greatest(from_time, %(since)s)),
    updated_at = now()
WHERE chain = %(chain)s AND pool = ANY(%(pools)s) AND to_block > %(above)s;

-- name: ranges
SELECT
    from_block, to_block,
    (extract(epoch FROM from_time) * 1000)::bigint, (extract(epoch FROM to_time) * 1000)::bigint,
    final_block, (extract(epoch FROM final_time) * 1000)::bigint
FROM swap_ranges
WHERE chain = %(chain)s AND pool = %(pool)s
ORDER BY from_block;

-- name: watermark
-- Up to where all swaps of a pool are stored: the range that holds `since`, without it (NULL) the newest one. Every swap
-- with from_time <= block_time < through_time is there, and none before final_time can be withdrawn any more: a job reads
-- up to final_time.
SELECT from_block, to_block, from_time, to_time AS through_time, final_block, final_time
FROM swap_ranges
WHERE chain = %(chain)s AND pool = %(pool)s
    AND (%(since)s::timestamptz IS NULL OR (from_time <= %(since)s AND to_time > %(since)s))
ORDER BY from_block DESC
LIMIT 1;

-- name: add_blocks
INSERT INTO chain_blocks (chain, block_number, block_hash, parent_hash, block_time, base_fee)
SELECT %(chain)s, block_number, block_hash, parent_hash, block_time, base_fee
FROM unnest(
    %(block_number)s::bigint[], %(block_hash)s::text[], %(parent_hash)s::text[], %(block_time)s::timestamptz[],
    %(base_fee)s::numeric[]
) AS incoming (block_number, block_hash, parent_hash, block_time, base_fee)
ON CONFLICT (chain, block_number) DO UPDATE SET
    block_hash = excluded.block_hash,
    parent_hash = excluded.parent_hash,
    block_time = excluded.block_time,
    base_fee = excluded.base_fee;

-- name: forget_blocks
DELETE FROM chain_blocks
WHERE chain = %(chain)s AND (block_number > %(above)s OR block_number < %(below)s);

-- name: known_blocks
SELECT block_number, block_hash, parent_hash, (extract(epoch FROM block_time) * 1000)::bigint, base_fee
FROM chain_blocks
WHERE chain = %(chain)s
ORDER BY block_number;
