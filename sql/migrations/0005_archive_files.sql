-- Every archive file we know of. A file is imported once: its line here and its rows are one transaction. A file that
-- is published again with another checksum is imported again as the next revision.
CREATE TABLE archive_files (
    exchange      text        NOT NULL,
    path          text        NOT NULL,
    dataset       text        NOT NULL,
    symbol        text        NOT NULL,
    span          text        NOT NULL,
    first_day     date        NOT NULL,
    state         text        NOT NULL,
    sha256        text        NOT NULL DEFAULT '',
    size_bytes    bigint      NOT NULL DEFAULT 0,
    last_modified timestamptz,
    file_rows     integer     NOT NULL DEFAULT 0,
    revision      integer     NOT NULL DEFAULT 0,
    attempts      smallint    NOT NULL DEFAULT 0,
    detail        text        NOT NULL DEFAULT '',
    checked_at    timestamptz NOT NULL DEFAULT now(),
    imported_at   timestamptz,
    CONSTRAINT archive_files_pkey PRIMARY KEY (exchange, path),
    CONSTRAINT archive_files_span CHECK (span IN ('daily', 'monthly')),
    CONSTRAINT archive_files_state CHECK (state IN ('listed', 'imported', 'quarantined', 'missing'))
);
CREATE INDEX archive_files_subject ON archive_files (exchange, dataset, symbol, first_day);
COMMENT ON TABLE archive_files IS 'Archive files by path: listed, imported, quarantined (unusable for good) or missing (404).';
