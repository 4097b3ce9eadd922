-- What is there and what is not, to the minute (docs/adr/0020-coverage-ledger.md).
--
-- One row for each (dataset, symbol, UTC day) since listing. ``have`` is counted by the very statement that writes
-- the rows, so it is right whenever the rows are. ``state`` is generated and the partial index stands on it alone:
-- a flush that only counts up is then a heap-only update, and looking for work costs what there is to do, not what
-- history there is.
CREATE TABLE coverage_days (
    exchange     text        NOT NULL,
    dataset      text        NOT NULL,
    symbol       text        NOT NULL,
    day          date        NOT NULL,
    expected     integer     NOT NULL DEFAULT 0,
    have         integer     NOT NULL DEFAULT 0,
    absent       integer     NOT NULL DEFAULT 0,
    expired      integer     NOT NULL DEFAULT 0,
    attempts     smallint    NOT NULL DEFAULT 0,
    dirty        boolean     NOT NULL DEFAULT false,
    next_look_at timestamptz NOT NULL DEFAULT '-infinity',
    counted_at   timestamptz,
    verified_at  timestamptz,
    state        text        NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN dirty THEN 'dirty'
            WHEN have + absent + expired < expected THEN 'open'
            WHEN expired > 0 THEN 'expired'
            ELSE 'complete'
        END
    ) STORED,
    CONSTRAINT coverage_days_pkey PRIMARY KEY (exchange, dataset, symbol, day),
    CONSTRAINT coverage_days_dataset CHECK (dataset IN ('candles_1m', 'metrics_5m', 'funding', 'agg_trades'))
) WITH (fillfactor = 80);
CREATE INDEX coverage_days_to_do ON coverage_days (exchange, dataset, day, symbol) WHERE state IN ('dirty', 'open');
COMMENT ON TABLE coverage_days IS 'How many rows each day of each symbol should have, has, and cannot have.';
COMMENT ON COLUMN coverage_days.day IS 'UTC day of the row; of create_time - 5 min for metrics_5m.';
COMMENT ON COLUMN coverage_days.expected IS 'Rows due in the whole day, bounded by the listing; those not due yet count as pending.';

-- Rows that no source has, each with its proof: the verified archive file lacks it, and REST, asked after that file
-- appeared, has none. Asked again after 1, 7 and 30 days; found_at is set when it turned up after all.
CREATE TABLE absent_minutes (
    exchange       text        NOT NULL,
    dataset        text        NOT NULL,
    symbol         text        NOT NULL,
    ts             timestamptz NOT NULL,
    archive_path   text        NOT NULL,
    archive_sha256 text        NOT NULL,
    rest_asked_at  timestamptz NOT NULL,
    asks           smallint    NOT NULL DEFAULT 1,
    next_ask_at    timestamptz NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    found_at       timestamptz,
    CONSTRAINT absent_minutes_pkey PRIMARY KEY (exchange, dataset, symbol, ts)
);
CREATE INDEX absent_minutes_next_ask ON absent_minutes (exchange, dataset, next_ask_at) WHERE found_at IS NULL;
COMMENT ON TABLE absent_minutes IS 'Rows that neither the archive nor REST has, with the proof of both.';
