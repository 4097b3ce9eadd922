-- CEX against DEX: price series of both sides, and what analyses found (docs/adr/0046-arbitrage.md).

-- Both sides in one shape. A bucket in which nothing was traded has no row. No default time index, as for candles.
CREATE TABLE price_series (
    venue            text             NOT NULL,
    market           text             NOT NULL,
    interval_seconds integer          NOT NULL,
    bucket_ts        timestamptz      NOT NULL,
    open             double precision NOT NULL,
    high             double precision NOT NULL,
    low              double precision NOT NULL,
    close            double precision NOT NULL,
    vwap             double precision NOT NULL,
    volume           double precision NOT NULL,
    quote_volume     double precision NOT NULL,
    trade_count      bigint           NOT NULL,
    ingested_at      timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT price_series_pkey PRIMARY KEY (venue, market, interval_seconds, bucket_ts),
    CONSTRAINT price_series_interval CHECK (interval_seconds IN (1, 60, 3600)),
    CONSTRAINT price_series_bucket CHECK (
        extract(epoch FROM bucket_ts) = floor(extract(epoch FROM bucket_ts) / interval_seconds) * interval_seconds
    ),
    CONSTRAINT price_series_low CHECK (low > 0 AND low <= least(open, close)),
    CONSTRAINT price_series_high CHECK (high >= greatest(open, close) AND high < 'Infinity'),
    CONSTRAINT price_series_vwap CHECK (vwap > 0 AND vwap < 'Infinity'),
    CONSTRAINT price_series_volume CHECK (volume >= 0 AND volume < 'Infinity'),
    CONSTRAINT price_series_quote_volume CHECK (quote_volume >= 0 AND quote_volume < 'Infinity'),
    CONSTRAINT price_series_trade_count CHECK (trade_count > 0)
);

SELECT create_hypertable(
    'price_series',
    by_range('bucket_ts', make_interval(days => current_setting('marketd.chunk_days')::integer)),
    create_default_indexes => false
);

COMMENT ON TABLE price_series IS 'Prices of both sides per second, minute or hour; bucket_ts is the start, UTC.';
COMMENT ON COLUMN price_series.venue IS 'binance_spot, binance_futures_um, or the chain of a pool.';
COMMENT ON COLUMN price_series.market IS 'The symbol, or the address of the pool.';
COMMENT ON COLUMN price_series.open IS 'Of the first trade; of a pool the price that its first swap left behind, of the base token.';
COMMENT ON COLUMN price_series.vwap IS 'quote_volume / volume: of a pool what was really paid, fee included; outside of low and high where a swap was large.';

CREATE TABLE batches (
    batch_id   integer     NOT NULL GENERATED ALWAYS AS IDENTITY,
    name       text        NOT NULL,
    report     jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT batches_pkey PRIMARY KEY (batch_id),
    CONSTRAINT batches_name UNIQUE (name),
    CONSTRAINT batches_name_length CHECK (char_length(name) BETWEEN 1 AND 200)
);
COMMENT ON TABLE batches IS 'Opportunities that were found together; report is of the last analysis that wrote into it.';

CREATE TABLE arbitrage_opportunities (
    opportunity_id    bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    batch_id          integer          NOT NULL,
    block_time        timestamptz      NOT NULL,
    block_number      bigint           NOT NULL,
    log_index         integer          NOT NULL,
    profit_usdt       double precision,
    buy_price         double precision NOT NULL,
    sell_price        double precision NOT NULL,
    buy_platform      text             NOT NULL,
    sell_platform     text             NOT NULL,
    chain             text             NOT NULL,
    pool              text             NOT NULL,
    exchange          text             NOT NULL,
    symbol            text             NOT NULL,
    mode              text             NOT NULL,
    status            text             NOT NULL,
    block_hash        text             NOT NULL,
    transaction_hash  text             NOT NULL,
    details_json      jsonb            NOT NULL,
    risk_metrics_json jsonb            NOT NULL,
    created_at        timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT arbitrage_opportunities_pkey PRIMARY KEY (opportunity_id),
    CONSTRAINT arbitrage_opportunities_batch FOREIGN KEY (batch_id) REFERENCES batches (batch_id),
    CONSTRAINT arbitrage_opportunities_swap UNIQUE (
        batch_id, chain, pool, block_number, log_index, exchange, symbol, mode, buy_platform
    ),
    CONSTRAINT arbitrage_opportunities_mode CHECK (mode IN ('screen', 'execution')),
    CONSTRAINT arbitrage_opportunities_status CHECK (
        status IN ('screened', 'filled', 'no_block', 'no_cex_trade', 'no_base_fee', 'beyond_range')
        AND (status = 'screened') = (mode = 'screen')
        AND (status IN ('screened', 'filled')) = (profit_usdt IS NOT NULL)
    ),
    CONSTRAINT arbitrage_opportunities_profit CHECK (profit_usdt > '-Infinity' AND profit_usdt < 'Infinity'),
    CONSTRAINT arbitrage_opportunities_prices CHECK (
        buy_price > 0 AND buy_price < 'Infinity' AND sell_price > 0 AND sell_price < 'Infinity'
    )
);
CREATE INDEX arbitrage_opportunities_times ON arbitrage_opportunities (batch_id, block_time);

COMMENT ON TABLE arbitrage_opportunities IS 'Swaps at whose block the price of the other side differed enough; mode screen is a screen and not what could be made.';
COMMENT ON COLUMN arbitrage_opportunities.block_time IS 'When it was decided: the block of the swap.';
COMMENT ON COLUMN arbitrage_opportunities.profit_usdt IS 'In the quote asset. NULL for what could not be filled; status says why.';
COMMENT ON COLUMN arbitrage_opportunities.buy_platform IS 'The exchange, or the pool''s chain; together with sell_platform the direction.';
