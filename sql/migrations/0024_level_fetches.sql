-- What a run of levels asked the venue for because minutes are missing here, and what it said: no hole is asked for twice
-- (docs/adr/0044-levels.md). Few rows, so a plain table; a bar that our own candles give goes before one of these.
CREATE TABLE level_fetches (
    exchange     text             NOT NULL,
    symbol       text             NOT NULL,
    size         double precision NOT NULL,
    open_ts      timestamptz      NOT NULL,
    close_ts     timestamptz      NOT NULL,
    open         double precision,
    high         double precision,
    low          double precision,
    close        double precision,
    volume       double precision,
    quote_volume double precision,
    trade_count  bigint           NOT NULL,
    buy_volume   double precision,
    CONSTRAINT level_fetches_pkey PRIMARY KEY (exchange, symbol, size, open_ts),
    CONSTRAINT level_fetches_forward CHECK (open_ts < close_ts)
);
COMMENT ON TABLE level_fetches IS 'Bars of the venue for periods of which minutes are missing here, asked for once.';
COMMENT ON COLUMN level_fetches.close IS 'NULL: the venue was asked and had no such bar.';
COMMENT ON COLUMN level_fetches.size IS 'Milliseconds, as in bars.';
