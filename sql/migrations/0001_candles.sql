-- Closed 1m candles: one row per (exchange, symbol, minute).
--
-- float8 holds 15 significant digits exactly (docs/adr/0001-candles-are-float8.md). The CHECKs also refuse NaN
-- and Infinity: PostgreSQL sorts NaN above everything, so a NaN anywhere breaks a chain that ends in
-- "< 'Infinity'". There is no default time index: it costs a quarter of ingest, and every query here names
-- exchange and symbol or walks one chunk. A tenth of each page stays free so that the one mend a row may get
-- (REST after stream, archive after REST) is a heap-only update. Only the primary key is indexed, and it never changes.
CREATE TABLE candles_1m (
    exchange               text             NOT NULL,
    symbol                 text             NOT NULL,
    bucket_ts              timestamptz      NOT NULL,
    open                   double precision NOT NULL,
    high                   double precision NOT NULL,
    low                    double precision NOT NULL,
    close                  double precision NOT NULL,
    volume                 double precision NOT NULL,
    quote_volume           double precision,
    trade_count            bigint,
    taker_buy_volume       double precision,
    taker_buy_quote_volume double precision,
    ingested_at            timestamptz      NOT NULL DEFAULT now(),
    updated_at             timestamptz      NOT NULL DEFAULT now(),
    revision               integer          NOT NULL DEFAULT 0,
    authority              smallint         NOT NULL,
    is_closed              boolean          NOT NULL DEFAULT true,
    source                 text             NOT NULL,
    CONSTRAINT candles_1m_pkey PRIMARY KEY (exchange, symbol, bucket_ts),
    CONSTRAINT candles_1m_symbol CHECK (char_length(symbol) BETWEEN 1 AND 64),
    CONSTRAINT candles_1m_whole_minute
        CHECK (bucket_ts = date_bin('1 minute', bucket_ts, '2000-01-01 00:00+00')),
    CONSTRAINT candles_1m_closed CHECK (is_closed),
    CONSTRAINT candles_1m_low CHECK (low > 0 AND low <= least(open, close)),
    CONSTRAINT candles_1m_high CHECK (high >= greatest(open, close) AND high < 'Infinity'),
    CONSTRAINT candles_1m_volume CHECK (volume >= 0 AND volume < 'Infinity'),
    CONSTRAINT candles_1m_quote_volume CHECK (quote_volume >= 0 AND quote_volume < 'Infinity'),
    CONSTRAINT candles_1m_trade_count CHECK (trade_count >= 0),
    CONSTRAINT candles_1m_taker_buy_volume CHECK (taker_buy_volume BETWEEN 0 AND volume),
    CONSTRAINT candles_1m_taker_buy_quote_volume
        CHECK (taker_buy_quote_volume >= 0 AND taker_buy_quote_volume < 'Infinity'),
    CONSTRAINT candles_1m_authority CHECK (authority BETWEEN 0 AND 3),
    CONSTRAINT candles_1m_revision CHECK (revision >= 0)
) WITH (fillfactor = 90);

-- CHUNK_DAYS of the configuration reaches this file as marketd.chunk_days (see sql/README.md).
SELECT create_hypertable(
    'candles_1m',
    by_range('bucket_ts', make_interval(days => current_setting('marketd.chunk_days')::integer)),
    create_default_indexes => false
);

COMMENT ON TABLE candles_1m IS 'Closed 1m candles; bucket_ts is the start of the minute, UTC.';
COMMENT ON COLUMN candles_1m.authority IS '3 archive, 2 REST asked >= 60 s after the close, 1 stream or early REST, 0 foreign.';
COMMENT ON COLUMN candles_1m.revision IS 'Republications of the archive file; 0 for every other source.';
