-- What a person asks to be filled, and how far it is. `marketd backfill` writes a request, the daemon that holds the
-- lock of the role backfill works through it and says how far it is; whoever reads the row can follow.
CREATE TABLE backfill_requests (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    exchange         text        NOT NULL,
    symbols          text[]      NOT NULL,
    from_ts          timestamptz NOT NULL,
    to_ts            timestamptz NOT NULL,
    source           text        NOT NULL,
    force            boolean     NOT NULL,
    keep             boolean     NOT NULL,
    requested_by     text        NOT NULL,
    requested_at     timestamptz NOT NULL DEFAULT now(),
    state            text        NOT NULL DEFAULT 'waiting',
    cancel           boolean     NOT NULL DEFAULT false,
    started_at       timestamptz,
    told_at          timestamptz,
    finished_at      timestamptz,
    progress         jsonb       NOT NULL DEFAULT '{}',
    detail           text        NOT NULL DEFAULT '',
    CONSTRAINT backfill_requests_state CHECK (state IN ('waiting', 'running', 'done', 'cancelled', 'failed')),
    CONSTRAINT backfill_requests_source CHECK (source IN ('auto', 'zip', 'rest')),
    CONSTRAINT backfill_requests_forward CHECK (from_ts < to_ts)
) WITH (fillfactor = 50);
CREATE INDEX backfill_requests_to_do ON backfill_requests (exchange, id) WHERE state IN ('waiting', 'running');
COMMENT ON TABLE backfill_requests IS 'What marketd backfill asked for, and how far it is; a running one is begun again by the next daemon.';

-- When the archive's listing of each folder was last read, to see what was published again.
CREATE TABLE archive_listings (
    exchange text        NOT NULL,
    dataset  text        NOT NULL,
    folder   text        NOT NULL,
    read_at  timestamptz NOT NULL,
    CONSTRAINT archive_listings_pkey PRIMARY KEY (exchange, dataset, folder)
);
COMMENT ON TABLE archive_listings IS 'When the listing of each archive folder was last read.';

-- Complete days that no archive file was compared with yet: what verifying walks through.
CREATE INDEX coverage_days_unverified ON coverage_days (exchange, dataset, day DESC, symbol)
    WHERE state = 'complete' AND verified_at IS NULL;
