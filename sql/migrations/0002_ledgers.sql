-- What happened to rows: overwritten, refused, lost from a full buffer; and which daemon ran when.

-- One row for every overwrite that changed a market value; written by the trigger in
-- repeatable/record_candle_revision.sql, so that no path to the table goes around it.
CREATE TABLE candle_revisions (
    id                     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange               text             NOT NULL,
    symbol                 text             NOT NULL,
    bucket_ts              timestamptz      NOT NULL,
    replaced_at            timestamptz      NOT NULL DEFAULT now(),
    open                   double precision NOT NULL,
    high                   double precision NOT NULL,
    low                    double precision NOT NULL,
    close                  double precision NOT NULL,
    volume                 double precision NOT NULL,
    quote_volume           double precision,
    trade_count            bigint,
    taker_buy_volume       double precision,
    taker_buy_quote_volume double precision,
    ingested_at            timestamptz      NOT NULL,
    revision               integer          NOT NULL,
    authority              smallint         NOT NULL,
    source                 text             NOT NULL,
    new_revision           integer          NOT NULL,
    new_authority          smallint         NOT NULL,
    new_source             text             NOT NULL
);
CREATE INDEX candle_revisions_key ON candle_revisions (exchange, symbol, bucket_ts);
COMMENT ON TABLE candle_revisions IS 'Candles as they were before an overwrite, and what overwrote them.';

-- A refused row may hold anything, so it is kept as text with every control character escaped. The same row
-- refused again only counts up: a venue that repeats a bad row for ever does not fill the disk.
CREATE TABLE rejected_rows (
    exchange   text        NOT NULL,
    reason     text        NOT NULL,
    row_md5    text        NOT NULL,
    symbol     text        NOT NULL,
    open_ms    numeric     NOT NULL,
    detail     text        NOT NULL,
    raw_row    text        NOT NULL,
    times_seen bigint      NOT NULL DEFAULT 1,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rejected_rows_pkey PRIMARY KEY (exchange, reason, row_md5)
);
CREATE INDEX rejected_rows_last_seen ON rejected_rows (last_seen);
COMMENT ON TABLE rejected_rows IS 'Rows that were quarantined instead of stored, one per distinct row and reason.';

-- Minutes that were received and then lost from a full buffer; [from_ts, to_ts). Append-only, and the key makes
-- writing the same ones again (after a commit whose answer was lost) write nothing.
CREATE TABLE gap_events (
    exchange    text        NOT NULL,
    symbol      text        NOT NULL,
    from_ts     timestamptz NOT NULL,
    to_ts       timestamptz NOT NULL,
    reason      text        NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT gap_events_pkey PRIMARY KEY (exchange, symbol, from_ts, to_ts, reason),
    CONSTRAINT gap_events_forward CHECK (from_ts < to_ts)
);
CREATE INDEX gap_events_recorded_at ON gap_events (recorded_at);
COMMENT ON TABLE gap_events IS 'Minutes remembered as lost, [from_ts, to_ts); repair reads them back from the venue.';

-- One row per daemon and role; clean stays NULL until the daemon ends by itself, so a kill -9 shows.
CREATE TABLE daemon_runs (
    run_id     text        NOT NULL,
    role       text        NOT NULL,
    exchange   text        NOT NULL,
    host       text        NOT NULL,
    pid        integer     NOT NULL,
    version    text        NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    stopped_at timestamptz,
    clean      boolean,
    CONSTRAINT daemon_runs_pkey PRIMARY KEY (run_id, role, exchange)
);
CREATE INDEX daemon_runs_started_at ON daemon_runs (exchange, role, started_at DESC);
COMMENT ON TABLE daemon_runs IS 'When which daemon ran, and whether it ended by itself.';
