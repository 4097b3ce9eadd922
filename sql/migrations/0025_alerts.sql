-- Prices that somebody wants to hear of, and each time they were crossed (docs/adr/0052-alerts.md).
CREATE TABLE alerts (
    alert_id   bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    exchange   text             NOT NULL,
    symbol     text             NOT NULL,
    price      double precision NOT NULL,
    direction  text             NOT NULL,
    note       text             NOT NULL DEFAULT '',
    target     text,
    level_id   text,
    enabled    boolean          NOT NULL DEFAULT true,
    made_by    text             NOT NULL DEFAULT '',
    watermark  timestamptz      NOT NULL,
    last_close double precision,
    created_at timestamptz      NOT NULL DEFAULT now(),
    removed_at timestamptz,
    CONSTRAINT alerts_pkey PRIMARY KEY (alert_id),
    CONSTRAINT alerts_price CHECK (price > 0 AND price < 'Infinity'),
    CONSTRAINT alerts_direction CHECK (direction IN ('long', 'short')),
    CONSTRAINT alerts_note CHECK (char_length(note) <= 500),
    CONSTRAINT alerts_watermark CHECK (watermark = date_bin('1 minute', watermark, '2000-01-01 00:00+00'))
);
CREATE INDEX alerts_watched ON alerts (alert_id) WHERE enabled AND removed_at IS NULL;
COMMENT ON COLUMN alerts.direction IS 'long: a close comes down to the price or below; short: one comes up to it or above.';
COMMENT ON COLUMN alerts.watermark IS 'Candles before it were looked at, once; it moves with the events in one transaction.';
COMMENT ON COLUMN alerts.last_close IS 'Of the newest candle that was looked at: which side of the price it was on.';
COMMENT ON COLUMN alerts.target IS 'A name of ALERT_TARGETS; NULL is told to listeners alone.';

CREATE TABLE alert_events (
    event_id     bigint           NOT NULL GENERATED ALWAYS AS IDENTITY,
    alert_id     bigint           NOT NULL,
    bucket_ts    timestamptz      NOT NULL,
    price        double precision NOT NULL,
    direction    text             NOT NULL,
    close        double precision NOT NULL,
    target       text,
    delivery     text             NOT NULL,
    attempts     integer          NOT NULL DEFAULT 0,
    due_at       timestamptz      NOT NULL DEFAULT now(),
    error        text             NOT NULL DEFAULT '',
    created_at   timestamptz      NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    CONSTRAINT alert_events_pkey PRIMARY KEY (event_id),
    CONSTRAINT alert_events_alert FOREIGN KEY (alert_id) REFERENCES alerts (alert_id),
    CONSTRAINT alert_events_once UNIQUE (alert_id, bucket_ts),
    CONSTRAINT alert_events_delivery CHECK (delivery IN ('none', 'waiting', 'delivered', 'dead')),
    CONSTRAINT alert_events_target CHECK ((target IS NULL) = (delivery = 'none')),
    CONSTRAINT alert_events_delivered CHECK ((delivery = 'delivered') = (delivered_at IS NOT NULL))
);
CREATE INDEX alert_events_due ON alert_events (due_at) WHERE delivery = 'waiting';
COMMENT ON TABLE alert_events IS 'Each closed candle that crossed the price of an alert, once.';
COMMENT ON COLUMN alert_events.delivery IS 'none: no target; waiting; delivered; dead: given up after the last attempt.';
COMMENT ON COLUMN alert_events.due_at IS 'Not tried before. Whoever tries moves it ahead first: after a kill it is tried again.';
