-- Number, time and base fee of every block in which swaps were looked for: what was decided at one block is filled in a
-- later one, whether the pool was traded there or not (docs/adr/0046-arbitrage.md).
CREATE TABLE block_headers (
    chain        text        NOT NULL,
    block_time   timestamptz NOT NULL,
    block_number bigint      NOT NULL,
    base_fee     numeric,
    CONSTRAINT block_headers_pkey PRIMARY KEY (chain, block_time, block_number),
    CONSTRAINT block_headers_number CHECK (block_number >= 0),
    CONSTRAINT block_headers_base_fee CHECK (base_fee >= 0 AND base_fee < 'Infinity')
);

SELECT create_hypertable(
    'block_headers',
    by_range('block_time', make_interval(days => current_setting('marketd.chunk_days')::integer)),
    create_default_indexes => false
);

COMMENT ON TABLE block_headers IS 'The blocks of a chain in which swaps were looked for; a reorg deletes and inserts in the transaction of its swaps.';
COMMENT ON COLUMN block_headers.base_fee IS 'Wei; NULL before London.';
