-- Every listing that ever was: one row for one time of trading of one contract, [onboard_ts, end_ts).
--
-- A symbol listed again later is another row, so that nothing reaches over the time between. Living contracts come
-- from exchangeInfo; those that were delisted before we looked are known only from the archive's listing, and some
-- of their folders have another name there (CTKUSDTSETTLED), kept in archive_symbol.
CREATE TABLE instruments (
    exchange       text        NOT NULL,
    symbol         text        NOT NULL,
    onboard_ts     timestamptz NOT NULL,
    end_ts         timestamptz NOT NULL DEFAULT 'infinity',
    contract_type  text        NOT NULL,
    status         text        NOT NULL,
    base           text        NOT NULL,
    quote          text        NOT NULL,
    delivery_ts    timestamptz,
    tick_size      text        NOT NULL DEFAULT '',
    step_size      text        NOT NULL DEFAULT '',
    archive_symbol text        NOT NULL,
    origin         text        NOT NULL,
    alpha          boolean     NOT NULL DEFAULT false,
    first_seen     timestamptz NOT NULL DEFAULT now(),
    last_seen      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT instruments_pkey PRIMARY KEY (exchange, symbol, onboard_ts),
    CONSTRAINT instruments_forward CHECK (onboard_ts < end_ts),
    CONSTRAINT instruments_origin CHECK (origin IN ('exchange_info', 'archive'))
);
COMMENT ON TABLE instruments IS 'Listing intervals of every contract, [onboard_ts, end_ts); listed again is another row.';
COMMENT ON COLUMN instruments.end_ts IS 'First instant without trading: delivery, a halt, or the end of the archive; infinity while it trades.';
