-- Uniswap v3 swaps of chosen pools, as the chain has them (docs/adr/0045-swaps-and-reorgs.md).
--
-- Addresses and hashes are text as explorers show them, in lower case with 0x. Amounts, square roots and liquidity are the
-- contract's integers, exactly; price is what follows from them, for people and for screens.
CREATE TABLE pools (
    chain        text        NOT NULL,
    pool         text        NOT NULL,
    token0       text        NOT NULL,
    token1       text        NOT NULL,
    symbol0      text        NOT NULL,
    symbol1      text        NOT NULL,
    decimals0    smallint    NOT NULL,
    decimals1    smallint    NOT NULL,
    fee          integer     NOT NULL,
    tick_spacing integer     NOT NULL,
    base         smallint    NOT NULL,
    added_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pools_pkey PRIMARY KEY (chain, pool),
    CONSTRAINT pools_chain CHECK (chain ~ '^[a-z0-9_]{1,40}$'),
    CONSTRAINT pools_addresses CHECK (
        pool ~ '^0x[0-9a-f]{40}$' AND token0 ~ '^0x[0-9a-f]{40}$' AND token1 ~ '^0x[0-9a-f]{40}$' AND token0 <> token1
    ),
    CONSTRAINT pools_decimals CHECK (decimals0 BETWEEN 0 AND 255 AND decimals1 BETWEEN 0 AND 255),
    CONSTRAINT pools_fee CHECK (fee BETWEEN 0 AND 999999),
    CONSTRAINT pools_tick_spacing CHECK (tick_spacing BETWEEN 1 AND 16384),
    CONSTRAINT pools_base CHECK (base IN (0, 1))
);
COMMENT ON TABLE pools IS 'Uniswap v3 pools whose swaps are collected.';
COMMENT ON COLUMN pools.fee IS 'Hundredths of a basis point: 500 is 0.05 %.';
COMMENT ON COLUMN pools.base IS 'Which token a price is the price of (0 or 1), in units of the other; decided once, when the pool is added.';

CREATE TABLE uniswap_swaps (
    chain             text             NOT NULL,
    pool              text             NOT NULL,
    block_time        timestamptz      NOT NULL,
    block_number      bigint           NOT NULL,
    price             double precision NOT NULL,
    gas_used          bigint           NOT NULL,
    ingested_at       timestamptz      NOT NULL DEFAULT now(),
    log_index         integer          NOT NULL,
    transaction_index integer          NOT NULL,
    tick              integer          NOT NULL,
    amount0           numeric          NOT NULL,
    amount1           numeric          NOT NULL,
    sqrt_price_x96    numeric          NOT NULL,
    liquidity         numeric          NOT NULL,
    gas_price         numeric          NOT NULL,
    base_fee          numeric,
    block_hash        text             NOT NULL,
    transaction_hash  text             NOT NULL,
    sender            text             NOT NULL,
    recipient         text             NOT NULL,
    CONSTRAINT uniswap_swaps_pkey PRIMARY KEY (chain, pool, block_time, block_number, log_index),
    CONSTRAINT uniswap_swaps_place CHECK (block_number >= 0 AND log_index >= 0 AND transaction_index >= 0),
    CONSTRAINT uniswap_swaps_hashes CHECK (block_hash ~ '^0x[0-9a-f]{64}$' AND transaction_hash ~ '^0x[0-9a-f]{64}$'),
    CONSTRAINT uniswap_swaps_amounts CHECK (
        amount0 BETWEEN -57896044618658097711785492504343953926634992332820282019728792003956564819968
            AND 57896044618658097711785492504343953926634992332820282019728792003956564819967
        AND amount1 BETWEEN -57896044618658097711785492504343953926634992332820282019728792003956564819968
            AND 57896044618658097711785492504343953926634992332820282019728792003956564819967
        AND scale(amount0) = 0 AND scale(amount1) = 0
    ),
    CONSTRAINT uniswap_swaps_sqrt_price CHECK (
        sqrt_price_x96 BETWEEN 4295128739 AND 1461446703485210103287273052203988822378723970342 AND scale(sqrt_price_x96) = 0
    ),
    CONSTRAINT uniswap_swaps_liquidity CHECK (
        liquidity BETWEEN 0 AND 340282366920938463463374607431768211455 AND scale(liquidity) = 0
    ),
    CONSTRAINT uniswap_swaps_tick CHECK (tick BETWEEN -887272 AND 887272),
    CONSTRAINT uniswap_swaps_price CHECK (price > 0 AND price < 'Infinity'),
    CONSTRAINT uniswap_swaps_gas CHECK (gas_used > 0 AND gas_price >= 0 AND gas_price < 'Infinity'),
    CONSTRAINT uniswap_swaps_base_fee CHECK (base_fee >= 0 AND base_fee < 'Infinity')
);

SELECT create_hypertable(
    'uniswap_swaps',
    by_range('block_time', make_interval(days => current_setting('marketd.chunk_days')::integer)),
    create_default_indexes => false
);

COMMENT ON TABLE uniswap_swaps IS 'Swaps of the pools, each with the hash of its block; a reorg deletes and inserts in one transaction.';
COMMENT ON COLUMN uniswap_swaps.amount0 IS 'What the pool got of token0, in its smallest unit; negative is what it gave.';
COMMENT ON COLUMN uniswap_swaps.sqrt_price_x96 IS 'After the swap: the square root of (token1 per token0, smallest units) times 2^96.';
COMMENT ON COLUMN uniswap_swaps.liquidity IS 'In range after the swap; 0 when the price left all positions.';
COMMENT ON COLUMN uniswap_swaps.price IS 'After the swap: of pools.base in units of the other token, decimals applied; the double nearest to the exact value.';
COMMENT ON COLUMN uniswap_swaps.gas_price IS 'What the transaction paid per gas, wei (effectiveGasPrice).';
COMMENT ON COLUMN uniswap_swaps.gas_used IS 'Of the whole transaction.';
COMMENT ON COLUMN uniswap_swaps.base_fee IS 'Of the block, wei; NULL before London.';

-- Which blocks of a pool are stored whole. Ranges of one pool neither overlap nor touch: what touches is one range.
CREATE TABLE swap_ranges (
    chain       text        NOT NULL,
    pool        text        NOT NULL,
    from_block  bigint      NOT NULL,
    to_block    bigint      NOT NULL,
    from_time   timestamptz NOT NULL,
    to_time     timestamptz NOT NULL,
    final_block bigint,
    final_time  timestamptz,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT swap_ranges_pkey PRIMARY KEY (chain, pool, from_block),
    CONSTRAINT swap_ranges_pool FOREIGN KEY (chain, pool) REFERENCES pools (chain, pool),
    CONSTRAINT swap_ranges_order CHECK (from_block <= to_block AND from_time <= to_time),
    CONSTRAINT swap_ranges_final CHECK (
        (final_block IS NULL) = (final_time IS NULL) AND final_block BETWEEN from_block AND to_block
        AND final_time BETWEEN from_time AND to_time
    )
);
COMMENT ON TABLE swap_ranges IS 'Blocks of which every swap of the pool is stored, both ends included.';
COMMENT ON COLUMN swap_ranges.to_time IS 'Every swap with from_time <= block_time < to_time is stored.';
COMMENT ON COLUMN swap_ranges.final_time IS 'And none before this one can be withdrawn any more; NULL while all of the range is young.';

-- The newest blocks that were followed, so that a reorg is known for one also after a restart. A few hundred rows a chain.
CREATE TABLE chain_blocks (
    chain        text        NOT NULL,
    block_number bigint      NOT NULL,
    block_hash   text        NOT NULL,
    parent_hash  text        NOT NULL,
    block_time   timestamptz NOT NULL,
    base_fee     numeric,
    CONSTRAINT chain_blocks_pkey PRIMARY KEY (chain, block_number),
    CONSTRAINT chain_blocks_hashes CHECK (block_hash ~ '^0x[0-9a-f]{64}$' AND parent_hash ~ '^0x[0-9a-f]{64}$')
);
COMMENT ON TABLE chain_blocks IS 'The newest blocks that swaps were followed through; older ones are forgotten.';
