-- name: server
SELECT
    current_setting('server_version') AS postgresql,
    (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb') AS timescaledb,
    CASE current_setting('timescaledb.license', true)
        WHEN 'apache' THEN 'Apache'
        WHEN 'timescale' THEN 'Community'
        ELSE 'unknown'
    END AS edition,
    current_setting('max_locks_per_transaction')::integer AS max_locks_per_transaction,
    current_setting('max_connections')::integer AS max_connections,
    current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync,
    pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS read_only,
    current_user::text AS role,
    current_database()::text AS database,
    pg_database_size(current_database()) AS size_bytes;

-- name: missing_rights
-- What the daemon needs and the present role lacks, as "TABLE RIGHT".
SELECT needed.relation || ' ' || needed.privilege
FROM (VALUES
    ('candles_1m', 'SELECT'), ('candles_1m', 'INSERT'), ('candles_1m', 'UPDATE'),
    ('gap_events', 'INSERT'), ('rejected_rows', 'INSERT'), ('daemon_runs', 'INSERT'),
    ('coverage_days', 'INSERT'), ('coverage_days', 'UPDATE'), ('absent_minutes', 'INSERT'), ('absent_minutes', 'UPDATE'),
    ('instruments', 'INSERT'), ('instruments', 'UPDATE'),
    ('binance_futures_metrics_5m', 'INSERT'), ('binance_futures_metrics_5m', 'UPDATE'),
    ('funding_rates', 'INSERT'), ('funding_rates', 'UPDATE'), ('alpha_tokens', 'INSERT'), ('alpha_tokens', 'UPDATE'),
    ('archive_files', 'INSERT'), ('archive_files', 'UPDATE'), ('archive_listings', 'INSERT'), ('archive_listings', 'UPDATE'),
    ('backfill_requests', 'INSERT'), ('backfill_requests', 'UPDATE'),
    ('rate_limit_state', 'INSERT'), ('rate_limit_state', 'UPDATE'),
    ('candle_changes', 'INSERT'),
    ('schema_migration', 'SELECT')
) AS needed (relation, privilege)
WHERE NOT has_table_privilege(needed.relation, needed.privilege)
UNION ALL
SELECT 'database TEMPORARY' WHERE NOT has_database_privilege(current_database(), 'TEMPORARY')
UNION ALL
SELECT 'expire EXECUTE' WHERE NOT has_function_privilege('expire(timestamptz)', 'EXECUTE');

-- name: chunk_interval
SELECT time_interval FROM timescaledb_information.dimensions
WHERE hypertable_schema = %(schema)s AND hypertable_name = 'candles_1m' AND dimension_number = 1;

-- name: newest_minutes
-- The newest minute of each symbol, by jumping through the key: two index probes a symbol and chunk instead of a
-- scan. That holds because earliest is the start of a chunk, so the first entry of a symbol in a chunk always fits.
WITH RECURSIVE listed AS (
    (
        SELECT symbol FROM candles_1m
        WHERE exchange = %(exchange)s AND bucket_ts >= %(earliest)s
        ORDER BY symbol LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT symbol FROM candles_1m
        WHERE exchange = %(exchange)s AND symbol > listed.symbol AND bucket_ts >= %(earliest)s
        ORDER BY symbol LIMIT 1
    )
    FROM listed
    WHERE listed.symbol IS NOT NULL
)
SELECT listed.symbol, newest.bucket_ts
FROM listed
CROSS JOIN LATERAL (
    SELECT bucket_ts FROM candles_1m
    WHERE exchange = %(exchange)s AND symbol = listed.symbol AND bucket_ts >= %(earliest)s
    ORDER BY bucket_ts DESC LIMIT 1
) AS newest
WHERE newest.bucket_ts >= %(since)s
ORDER BY listed.symbol COLLATE "C";

-- name: rows_per_hour
SELECT date_bin('1 hour', minute.bucket_ts, '2000-01-01 00:00+00') AS hour, count(*) AS rows
FROM unnest(%(symbols)s::text[]) AS asked (symbol)
CROSS JOIN LATERAL (
    SELECT bucket_ts FROM candles_1m
    WHERE exchange = %(exchange)s AND symbol = asked.symbol AND bucket_ts >= %(since)s
) AS minute
GROUP BY 1
ORDER BY 1;

-- name: runs
-- A row for each role of a process; of three processes with all roles.
SELECT run_id, role, host, pid, version, started_at, stopped_at, clean
FROM daemon_runs
WHERE exchange = %(exchange)s
ORDER BY started_at DESC
LIMIT 24;

-- name: tables
-- Every table of ours with its size on disk; a hypertable with all its chunks, its rows estimated from statistics.
SELECT
    relname::text AS name,
    CASE WHEN hypertable.hypertable_name IS NULL THEN pg_total_relation_size(pg_class.oid)
         ELSE coalesce(hypertable_size(pg_class.oid::regclass), 0) END AS bytes,
    CASE WHEN hypertable.hypertable_name IS NULL THEN greatest(reltuples, 0)::bigint
         ELSE approximate_row_count(pg_class.oid::regclass) END AS approximate_rows,
    coalesce(hypertable.num_chunks, 0)::integer AS chunks
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
LEFT JOIN timescaledb_information.hypertables AS hypertable
    ON hypertable.hypertable_schema = nspname AND hypertable.hypertable_name = relname
WHERE nspname = %(schema)s AND relkind = 'r'
ORDER BY bytes DESC, name;

-- name: losses
-- What went wrong in the last 24 h: rows refused, minutes lost from a full buffer, candles overwritten.
SELECT
    (SELECT count(*) FROM rejected_rows
     WHERE exchange = %(exchange)s AND last_seen >= now() - interval '24 hours') AS rejected_rows,
    (SELECT coalesce(sum(extract(epoch FROM to_ts - from_ts) / 60), 0)::bigint FROM gap_events
     WHERE exchange = %(exchange)s AND recorded_at >= now() - interval '24 hours') AS lost_minutes,
    (SELECT count(*) FROM candle_revisions
     WHERE exchange = %(exchange)s AND replaced_at >= now() - interval '24 hours') AS overwritten_candles;
