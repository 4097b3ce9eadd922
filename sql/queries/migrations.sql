-- name: try_lock
SELECT pg_try_advisory_lock(%(key)s::bigint);

-- name: configure
SELECT set_config('search_path', quote_ident(%(schema)s) || ', ' || quote_ident(extension.schema) || ', pg_temp', false),
       set_config('TimeZone', 'UTC', false),
       set_config('lock_timeout', '30s', false),
       set_config('statement_timeout', '0', false),
       set_config('marketd.chunk_days', %(chunk_days)s, false)
FROM (
    SELECT coalesce(min(nspname::text), 'public') AS schema FROM pg_extension
    JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'timescaledb'
) AS extension;

-- name: schema_exists
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s);

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS {schema};

-- name: extension
-- Its installed version, and the one the server could install; both NULL when the server does not have it.
SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'timescaledb';

-- name: create_extension
CREATE EXTENSION IF NOT EXISTS timescaledb WITH SCHEMA public;

-- name: ledger_columns
SELECT array_agg(attname::text ORDER BY attnum)
FROM pg_attribute
JOIN pg_class ON pg_class.oid = attrelid
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(schema)s AND relname = 'schema_migration' AND attnum > 0 AND NOT attisdropped;

-- name: tables
-- What people would call tables of the schema, without those that belong to an extension.
SELECT relname::text
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(schema)s
  AND relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT EXISTS (
      SELECT FROM pg_depend
      WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e'
  )
ORDER BY relname;

-- name: create_ledger
CREATE TABLE IF NOT EXISTS schema_migration (
    name       text        PRIMARY KEY,
    sha256     text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- name: ledger
SELECT name, sha256 FROM {schema}.schema_migration;

-- name: record
INSERT INTO schema_migration (name, sha256) VALUES (%(name)s, %(sha256)s)
ON CONFLICT (name) DO UPDATE SET sha256 = excluded.sha256, applied_at = now();
