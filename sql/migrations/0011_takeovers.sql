-- Which months of another program's tables were taken over, so that `marketd import` goes on where it stopped.
--
-- A line is written after the last row of its month is stored. source names server, database and table, never an
-- account. What a month brought is told once more by the ledger, which counts rows whoever wrote them.
CREATE TABLE takeovers (
    exchange   text        NOT NULL,
    source     text        NOT NULL,
    dataset    text        NOT NULL,
    symbol     text        NOT NULL,
    month      date        NOT NULL,
    rows_read  bigint      NOT NULL,
    inserted   bigint      NOT NULL,
    refused    bigint      NOT NULL,
    done_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT takeovers_pkey PRIMARY KEY (exchange, source, dataset, symbol, month)
);
COMMENT ON TABLE takeovers IS 'Months of other programs'' tables that `marketd import` has taken over whole.';
