-- What the venue says besides candles: futures metrics every 5 min, and settlements of funding.
--
-- Rows are merged column by column, because they come from several places that each know a part: every column has a
-- rank beside it (authority x 1000 + revision of the archive file, -1 while it is NULL), and a value gives way only to
-- one of larger rank, or of the same rank and larger. NULL means that nobody said; it is never 0. The CHECKs
-- also refuse NaN and Infinity: PostgreSQL sorts NaN above everything. No default time index, as for candles. A tenth of
-- each page stays free for the mends that a row gets (five endpoints, then the archive).
CREATE TABLE binance_futures_metrics_5m (
    exchange                              text        NOT NULL,
    symbol                                text        NOT NULL,
    create_time                           timestamptz NOT NULL,
    sum_open_interest                     numeric,
    sum_open_interest_value               numeric,
    count_toptrader_long_short_ratio      numeric,
    sum_toptrader_long_short_ratio        numeric,
    count_long_short_ratio                numeric,
    sum_taker_long_short_vol_ratio        numeric,
    sum_open_interest_rank                smallint    NOT NULL DEFAULT -1,
    sum_open_interest_value_rank          smallint    NOT NULL DEFAULT -1,
    count_toptrader_long_short_ratio_rank smallint    NOT NULL DEFAULT -1,
    sum_toptrader_long_short_ratio_rank   smallint    NOT NULL DEFAULT -1,
    count_long_short_ratio_rank           smallint    NOT NULL DEFAULT -1,
    sum_taker_long_short_vol_ratio_rank   smallint    NOT NULL DEFAULT -1,
    ingested_at                           timestamptz NOT NULL DEFAULT now(),
    updated_at                            timestamptz NOT NULL DEFAULT now(),
    authority                             smallint    NOT NULL,
    source                                text        NOT NULL,
    CONSTRAINT binance_futures_metrics_5m_pkey PRIMARY KEY (exchange, symbol, create_time),
    CONSTRAINT binance_futures_metrics_5m_symbol CHECK (char_length(symbol) BETWEEN 1 AND 64),
    CONSTRAINT binance_futures_metrics_5m_whole_period
        CHECK (create_time = date_bin('5 minutes', create_time, '2000-01-01 00:00+00')),
    CONSTRAINT metrics_sum_open_interest CHECK (sum_open_interest >= 0 AND sum_open_interest < 'Infinity'),
    CONSTRAINT metrics_sum_open_interest_value CHECK (sum_open_interest_value >= 0 AND sum_open_interest_value < 'Infinity'),
    CONSTRAINT metrics_count_toptrader_long_short_ratio CHECK (count_toptrader_long_short_ratio >= 0 AND count_toptrader_long_short_ratio < 'Infinity'),
    CONSTRAINT metrics_sum_toptrader_long_short_ratio CHECK (sum_toptrader_long_short_ratio >= 0 AND sum_toptrader_long_short_ratio < 'Infinity'),
    CONSTRAINT metrics_count_long_short_ratio CHECK (count_long_short_ratio >= 0 AND count_long_short_ratio < 'Infinity'),
    CONSTRAINT metrics_sum_taker_long_short_vol_ratio CHECK (sum_taker_long_short_vol_ratio >= 0 AND sum_taker_long_short_vol_ratio < 'Infinity'),
    CONSTRAINT binance_futures_metrics_5m_authority CHECK (authority BETWEEN 0 AND 3),
    CONSTRAINT binance_futures_metrics_5m_ranks CHECK (
        (sum_open_interest IS NULL) = (sum_open_interest_rank = -1) AND
        (sum_open_interest_value IS NULL) = (sum_open_interest_value_rank = -1) AND
        (count_toptrader_long_short_ratio IS NULL) = (count_toptrader_long_short_ratio_rank = -1) AND
        (sum_toptrader_long_short_ratio IS NULL) = (sum_toptrader_long_short_ratio_rank = -1) AND
        (count_long_short_ratio IS NULL) = (count_long_short_ratio_rank = -1) AND
        (sum_taker_long_short_vol_ratio IS NULL) = (sum_taker_long_short_vol_ratio_rank = -1)
    )
) WITH (fillfactor = 90);

SELECT create_hypertable(
    'binance_futures_metrics_5m',
    by_range('create_time', make_interval(days => current_setting('marketd.chunk_days')::integer)),
    create_default_indexes => false
);

COMMENT ON TABLE binance_futures_metrics_5m IS 'Open interest and long/short ratios every 5 min; NULL where no source said.';
COMMENT ON COLUMN binance_futures_metrics_5m.create_time IS 'END of the 5 min period, UTC, for every column.';
COMMENT ON COLUMN binance_futures_metrics_5m.authority IS 'The largest of what was merged: 3 archive, 2 REST, 0 foreign; each column has its own in its rank.';

-- The venue settles a few milliseconds after the full hour; the key is cut to the second, so that REST and archive meet.
CREATE TABLE funding_rates (
    exchange            text        NOT NULL,
    symbol              text        NOT NULL,
    funding_time        timestamptz NOT NULL,
    funding_rate        numeric     NOT NULL,
    mark_price          numeric,
    interval_hours      smallint,
    funding_rate_rank   smallint    NOT NULL,
    mark_price_rank     smallint    NOT NULL DEFAULT -1,
    interval_hours_rank smallint    NOT NULL DEFAULT -1,
    ingested_at         timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now(),
    authority           smallint    NOT NULL,
    source              text        NOT NULL,
    CONSTRAINT funding_rates_pkey PRIMARY KEY (exchange, symbol, funding_time),
    CONSTRAINT funding_rates_symbol CHECK (char_length(symbol) BETWEEN 1 AND 64),
    CONSTRAINT funding_rates_whole_second CHECK (funding_time = date_trunc('second', funding_time)),
    CONSTRAINT funding_rates_rate CHECK (funding_rate > '-Infinity' AND funding_rate < 'Infinity'),
    CONSTRAINT funding_rates_mark_price CHECK (mark_price > 0 AND mark_price < 'Infinity'),
    CONSTRAINT funding_rates_interval CHECK (interval_hours BETWEEN 1 AND 24),
    CONSTRAINT funding_rates_authority CHECK (authority BETWEEN 0 AND 3),
    CONSTRAINT funding_rates_ranks CHECK (
        (mark_price IS NULL) = (mark_price_rank = -1) AND (interval_hours IS NULL) = (interval_hours_rank = -1)
    )
) WITH (fillfactor = 90);

SELECT create_hypertable(
    'funding_rates',
    by_range('funding_time', make_interval(days => current_setting('marketd.chunk_days')::integer)),
    create_default_indexes => false
);

COMMENT ON TABLE funding_rates IS 'Settlements of funding: the rate as a fraction, and the mark price it was taken at.';
COMMENT ON COLUMN funding_rates.interval_hours IS 'Hours since the settlement before, as they were then; NULL where no source said.';
