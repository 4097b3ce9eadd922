-- Support and resistance (docs/adr/0044-levels.md): what the last run found, and what was known when.
--
-- exchange is the venue's word (binance), not that of the candles: (binance, future) is binance_futures_um there.
CREATE TABLE analysis_results (
    id                bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    exchange          text             NOT NULL,
    symbol            text             NOT NULL,
    market_type       text             NOT NULL,
    timeframe         text             NOT NULL,
    input_limit       integer          NOT NULL,
    last_price        double precision NOT NULL,
    support_levels    jsonb            NOT NULL,
    resistance_levels jsonb            NOT NULL,
    details           jsonb            NOT NULL,
    known_from        timestamptz      NOT NULL,
    known_to          timestamptz      NOT NULL,
    created_at        timestamptz      NOT NULL DEFAULT now(),
    updated_at        timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT analysis_results_pkey PRIMARY KEY (id),
    CONSTRAINT analysis_results_series UNIQUE (exchange, symbol, market_type, timeframe),
    CONSTRAINT analysis_results_market_type CHECK (market_type IN ('future', 'spot')),
    CONSTRAINT analysis_results_input_limit CHECK (input_limit > 0),
    CONSTRAINT analysis_results_last_price CHECK (last_price > 0 AND last_price < 'Infinity'),
    CONSTRAINT analysis_results_forward CHECK (known_from <= known_to)
);
COMMENT ON TABLE analysis_results IS 'The newest analysis of each series: the best five levels of each side.';
COMMENT ON COLUMN analysis_results.input_limit IS 'Bars that were used: 2000 at most, 100 at least.';
COMMENT ON COLUMN analysis_results.known_to IS 'Close of the last bar used: price_levels says what was known from known_from up to here.';

-- A row for each stretch of time in which a level was known as it is here; (series, side, founded_ts) is the level, id
-- the row. state is how things stand now: formed or tested while the row holds (known_to is infinity), else why it
-- ended. What it was within its time is told by tests: formed where 0, tested where more.
CREATE TABLE price_levels (
    id             bigint             NOT NULL GENERATED ALWAYS AS IDENTITY,
    exchange       text               NOT NULL,
    symbol         text               NOT NULL,
    market_type    text               NOT NULL,
    timeframe      text               NOT NULL,
    side           text               NOT NULL,
    founded_ts     timestamptz        NOT NULL,
    formed_ts      timestamptz        NOT NULL,
    tested_ts      timestamptz,
    broken_ts      timestamptz,
    state          text               NOT NULL,
    tests          integer            NOT NULL,
    price          double precision   NOT NULL,
    pivot_ts       timestamptz[]      NOT NULL,
    confirmed_ts   timestamptz[]      NOT NULL,
    pivot_prices   double precision[] NOT NULL,
    pivot_windows  smallint[]         NOT NULL,
    known_from     timestamptz        NOT NULL,
    known_to       timestamptz        NOT NULL DEFAULT 'infinity',
    CONSTRAINT price_levels_pkey PRIMARY KEY (id),
    CONSTRAINT price_levels_level UNIQUE (exchange, symbol, market_type, timeframe, side, founded_ts, known_from),
    CONSTRAINT price_levels_side CHECK (side IN ('support', 'resistance')),
    CONSTRAINT price_levels_state CHECK (
        state IN ('formed', 'tested', 'changed', 'broken', 'expired', 'merged', 'withdrawn', 'unwatched')
    ),
    CONSTRAINT price_levels_open CHECK ((known_to = 'infinity') = (state IN ('formed', 'tested'))),
    CONSTRAINT price_levels_tested CHECK ((tests > 0) = (tested_ts IS NOT NULL) AND tests >= 0),
    CONSTRAINT price_levels_broken CHECK ((state = 'broken') = (broken_ts IS NOT NULL)),
    CONSTRAINT price_levels_forward CHECK (founded_ts < formed_ts AND formed_ts <= known_from AND known_from < known_to),
    CONSTRAINT price_levels_price CHECK (price > 0 AND price < 'Infinity'),
    CONSTRAINT price_levels_pivots CHECK (
        cardinality(pivot_ts) > 0
        AND cardinality(pivot_ts) = cardinality(confirmed_ts)
        AND cardinality(pivot_ts) = cardinality(pivot_prices)
        AND cardinality(pivot_ts) = cardinality(pivot_windows)
    )
);
CREATE INDEX price_levels_known ON price_levels (exchange, symbol, market_type, timeframe, known_to);
COMMENT ON TABLE price_levels IS 'Every level as it was known from known_from to known_to, with its pivots; nothing is rewritten.';
COMMENT ON COLUMN price_levels.state IS 'formed, tested; or why the row ended: changed (another row of the level follows), broken, expired, merged, withdrawn, unwatched.';
COMMENT ON COLUMN price_levels.pivot_ts IS 'Opens of the pivots'' bars, the founder first; confirmed_ts: the closes that made them known.';
COMMENT ON COLUMN price_levels.pivot_windows IS 'For how many of the windows of 5, 10, 20 and 30 bars each is a pivot that is known.';
