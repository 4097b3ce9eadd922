-- Bars of time, tick, volume and dollar, and what making them remembers (docs/adr/0040-bars.md, 0043-kept-bars.md).
--
-- size is in milliseconds, trades, base asset or quote asset. A bar of time covers [open_ts, close_ts) and has
-- first_trade_id 0; any other lasts from its first trade to its last, and several may open in one millisecond. NULL is
-- what the candles or trades did not say. The CHECKs also refuse NaN and Infinity, as those of candles_1m do.
CREATE TABLE bars (
    exchange        text             NOT NULL,
    symbol          text             NOT NULL,
    kind            text             NOT NULL,
    size            double precision NOT NULL,
    open_ts         timestamptz      NOT NULL,
    close_ts        timestamptz      NOT NULL,
    first_trade_id  bigint           NOT NULL DEFAULT 0,
    open            double precision NOT NULL,
    high            double precision NOT NULL,
    low             double precision NOT NULL,
    close           double precision NOT NULL,
    volume          double precision NOT NULL,
    quote_volume    double precision,
    trade_count     bigint,
    buy_volume      double precision,
    vwap            double precision,
    missing_minutes integer,
    CONSTRAINT bars_pkey PRIMARY KEY (exchange, symbol, kind, size, open_ts, first_trade_id),
    CONSTRAINT bars_kind CHECK (kind IN ('time', 'tick', 'volume', 'dollar')),
    CONSTRAINT bars_size CHECK (size > 0 AND size < 'Infinity'),
    CONSTRAINT bars_forward CHECK (close_ts > open_ts OR (close_ts = open_ts AND kind <> 'time')),
    CONSTRAINT bars_low CHECK (low > 0 AND low <= least(open, close)),
    CONSTRAINT bars_high CHECK (high >= greatest(open, close) AND high < 'Infinity'),
    CONSTRAINT bars_volume CHECK (volume >= 0 AND volume < 'Infinity'),
    CONSTRAINT bars_quote_volume CHECK (quote_volume >= 0 AND quote_volume < 'Infinity'),
    CONSTRAINT bars_trade_count CHECK (trade_count >= 0),
    CONSTRAINT bars_buy_volume CHECK (buy_volume BETWEEN 0 AND volume),
    CONSTRAINT bars_vwap CHECK (vwap > 0 AND vwap < 'Infinity'),
    CONSTRAINT bars_missing_minutes CHECK (missing_minutes >= 0)
);

SELECT create_hypertable(
    'bars',
    by_range('open_ts', make_interval(days => current_setting('marketd.chunk_days')::integer)),
    create_default_indexes => false
);

COMMENT ON TABLE bars IS 'Bars: kind time (size in ms), tick (trades), volume (base asset) and dollar (quote asset). 5m, 15m, 1h, 4h and 1d are kept for every symbol.';
COMMENT ON COLUMN bars.close_ts IS 'End of a bar of time, excluded; time of the last trade of any other.';
COMMENT ON COLUMN bars.missing_minutes IS 'Minutes of a bar of candles that had no candle when it was made: before the listing, absent upstream or not stored yet.';

-- Where bars that are built on demand from trades go on: the kernel's own record of what is in progress.
CREATE TABLE bar_state (
    exchange   text             NOT NULL,
    symbol     text             NOT NULL,
    kind       text             NOT NULL,
    size       double precision NOT NULL,
    state      bytea            NOT NULL,
    begun_ts   timestamptz      NOT NULL,
    updated_at timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT bar_state_pkey PRIMARY KEY (exchange, symbol, kind, size)
);
COMMENT ON TABLE bar_state IS 'What is in progress of bars made from trades; the next run goes on there, to the bit.';
COMMENT ON COLUMN bar_state.begun_ts IS 'From when on trades were taken.';

-- How far the kept bars of a symbol are made: every one that is over by made_to, of the candles stored then. What
-- happens to candles before made_to afterwards is in candle_changes; cuts are the listings that were known.
CREATE TABLE bar_fronts (
    exchange text          NOT NULL,
    symbol   text          NOT NULL,
    made_to  timestamptz   NOT NULL,
    cuts     timestamptz[] NOT NULL DEFAULT '{}',
    CONSTRAINT bar_fronts_pkey PRIMARY KEY (exchange, symbol)
) WITH (fillfactor = 50);
COMMENT ON TABLE bar_fronts IS 'Up to when the kept bars of each symbol are made.';

-- Candles that came, changed or went when bars may have been made of them: late rows, imports, overwrites, deletions.
-- Written by the statement that changed them, and deleted by the transaction that made the bars anew. A range lies
-- within its day, so that a piece of work is a number of days. The key is the order in which it is worked through.
CREATE TABLE candle_changes (
    exchange text        NOT NULL,
    day      date        NOT NULL,
    symbol   text        NOT NULL,
    id       bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    from_ts  timestamptz NOT NULL,
    to_ts    timestamptz NOT NULL,
    CONSTRAINT candle_changes_pkey PRIMARY KEY (exchange, day, symbol, id),
    CONSTRAINT candle_changes_within_day CHECK (
        from_ts >= day::timestamp AT TIME ZONE 'UTC'
        AND from_ts < to_ts
        AND to_ts <= (day + 1)::timestamp AT TIME ZONE 'UTC'
    )
);
COMMENT ON TABLE candle_changes IS 'Minutes [from_ts, to_ts) of candles that changed behind the bars made of them; a queue.';
