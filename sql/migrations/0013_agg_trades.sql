-- Aggregate trades, and which ids of each symbol are there (docs/adr/0042-trades-by-id.md).
--
-- One row a trade: the venue's ids of a symbol go up by one, so what is there is told by ids, and a trade that is there
-- is not taken again, whatever time another source gives it. ts is floored to milliseconds in every source. The CHECKs also refuse NaN
-- and Infinity, as for candles. Weekly chunks as candles; the second index costs next to nothing and finds a time.
CREATE TABLE agg_trades (
    exchange       text             NOT NULL,
    symbol         text             NOT NULL,
    trade_id       bigint           NOT NULL,
    ts             timestamptz      NOT NULL,
    price          double precision NOT NULL,
    quantity       double precision NOT NULL,
    is_buyer_maker boolean          NOT NULL,
    CONSTRAINT agg_trades_pkey PRIMARY KEY (exchange, symbol, trade_id, ts),
    CONSTRAINT agg_trades_symbol CHECK (char_length(symbol) BETWEEN 1 AND 64),
    CONSTRAINT agg_trades_trade_id CHECK (trade_id >= 0),
    CONSTRAINT agg_trades_price CHECK (price > 0 AND price < 'Infinity'),
    CONSTRAINT agg_trades_quantity CHECK (quantity > 0 AND quantity < 'Infinity')
);

SELECT create_hypertable(
    'agg_trades',
    by_range('ts', make_interval(days => current_setting('marketd.chunk_days')::integer)),
    create_default_indexes => false
);

CREATE INDEX agg_trades_times ON agg_trades USING brin (symbol, ts) WITH (pages_per_range = 32, autosummarize = on);

COMMENT ON TABLE agg_trades IS 'Aggregate trades: price in quote, quantity in base; exchange binance_futures_um or binance_spot.';
COMMENT ON COLUMN agg_trades.trade_id IS 'The venue''s aggregate id: up by one with each trade of the symbol.';
COMMENT ON COLUMN agg_trades.ts IS 'When it was traded, UTC, floored to milliseconds.';

-- From the first to the last id that is stored. Every id in between is stored, or in a gap of trade_gaps. Where
-- retention dropped everything, first_id = last_id + 1, so that what comes next is known to come after it.
CREATE TABLE trade_reach (
    exchange text   NOT NULL,
    symbol   text   NOT NULL,
    first_id bigint,
    last_id  bigint,
    first_ts timestamptz,
    last_ts  timestamptz,
    CONSTRAINT trade_reach_pkey PRIMARY KEY (exchange, symbol),
    CONSTRAINT trade_reach_ids CHECK (first_id <= last_id + 1),
    CONSTRAINT trade_reach_whole CHECK (num_nulls(first_id, last_id, first_ts, last_ts) IN (0, 4))
) WITH (fillfactor = 50);
COMMENT ON TABLE trade_reach IS 'The first and the last stored trade of each symbol; nothing but what trade_gaps says is missing between.';

-- Ids between two stored trades that are not stored. Filled from an end, a gap shrinks; filled in the middle, it becomes
-- two; filled whole, it stays as a line of what was.
CREATE TABLE trade_gaps (
    gap_id      bigint      NOT NULL GENERATED ALWAYS AS IDENTITY,
    exchange    text        NOT NULL,
    symbol      text        NOT NULL,
    first_id    bigint      NOT NULL,
    last_id     bigint      NOT NULL,
    after_ts    timestamptz NOT NULL,
    before_ts   timestamptz NOT NULL,
    state       text        NOT NULL DEFAULT 'open',
    attempts    smallint    NOT NULL DEFAULT 0,
    next_ask_at timestamptz NOT NULL DEFAULT '-infinity',
    found_at    timestamptz NOT NULL DEFAULT now(),
    closed_at   timestamptz,
    CONSTRAINT trade_gaps_pkey PRIMARY KEY (gap_id),
    CONSTRAINT trade_gaps_ids CHECK (first_id <= last_id),
    CONSTRAINT trade_gaps_state CHECK (state IN ('open', 'left', 'absent', 'filled', 'expired'))
) WITH (fillfactor = 80);
CREATE INDEX trade_gaps_missing ON trade_gaps (exchange, symbol, first_id) WHERE state IN ('open', 'left', 'absent');
COMMENT ON TABLE trade_gaps IS 'Ids [first_id, last_id] that are not stored, between two trades that are.';
COMMENT ON COLUMN trade_gaps.state IS 'open: looked for; left: older than what is collected; absent: the archive lacks it too; filled; expired.';
COMMENT ON COLUMN trade_gaps.after_ts IS 'Time of the stored trade first_id - 1; before_ts of last_id + 1.';
