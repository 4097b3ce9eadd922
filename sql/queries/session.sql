-- name: configure
-- Everything a session of ours relies on, whatever the role's or the database's defaults are. The tcp settings make
-- the server notice a vanished client within about 15 s, so that its lock and its transaction do not outlive it;
-- on a Unix socket they do nothing. pg_temp comes last, so that no temporary table can stand before one of ours.
-- The extension may lie in any schema.
WITH extension (schema) AS (
    SELECT coalesce(min(nspname::text), 'public') FROM pg_extension
    JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'timescaledb'
)
SELECT set_config(name, value, false)
FROM extension, LATERAL (VALUES
    ('search_path', quote_ident(%(schema)s) || ', ' || quote_ident(extension.schema) || ', pg_temp'),
    ('TimeZone', 'UTC'),
    ('DateStyle', 'ISO'),
    ('default_transaction_isolation', 'read committed'),
    ('lock_timeout', %(lock_timeout)s),
    ('statement_timeout', %(statement_timeout)s),
    ('idle_in_transaction_session_timeout', '30s'),
    ('client_connection_check_interval', '5s'),
    ('tcp_keepalives_idle', '5'),
    ('tcp_keepalives_interval', '3'),
    ('tcp_keepalives_count', '3'),
    ('tcp_user_timeout', '15000')
) AS setting (name, value);

-- name: only_read
-- For sessions that have no business to write, also where their role might.
SELECT set_config('default_transaction_read_only', 'on', false);

-- name: tune
-- One setting of this session, for as long as it lives. Whoever asks has checked the name against a short list.
SELECT set_config(%(name)s, %(value)s, false);

-- name: synchronous_commit
SELECT current_setting('synchronous_commit');

-- name: alive
SELECT 1;

-- name: backend
SELECT pg_backend_pid();

-- name: try_lock
SELECT pg_try_advisory_lock(%(key)s::bigint);

-- name: lock_holder
-- Who holds the instance lock: its session, and the run that session belongs to.
SELECT
    holder.pid AS backend_pid,
    coalesce(activity.application_name, '') AS application_name,
    coalesce(run.run_id, '') AS run_id,
    run.pid AS pid,
    coalesce(run.host, host(activity.client_addr), 'this machine') AS host,
    coalesce(run.started_at, activity.backend_start) AS since
FROM pg_locks AS holder
LEFT JOIN pg_stat_activity AS activity ON activity.pid = holder.pid
LEFT JOIN daemon_runs AS run
    ON run.run_id = split_part(activity.application_name, '/', 3)
   AND run.role = %(role)s
   AND run.exchange = %(exchange)s
WHERE holder.locktype = 'advisory'
  AND holder.granted
  AND holder.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND holder.objsubid = 1
  AND ((holder.classid::bigint << 32) | holder.objid::bigint) = %(key)s::bigint;

-- name: end_ghost
-- A session of this very run that still holds the lock: its client gave it up, the server has not noticed yet.
SELECT pg_terminate_backend(holder.pid, 5000)
FROM pg_locks AS holder
JOIN pg_stat_activity AS activity ON activity.pid = holder.pid
WHERE holder.locktype = 'advisory'
  AND holder.granted
  AND holder.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND holder.objsubid = 1
  AND ((holder.classid::bigint << 32) | holder.objid::bigint) = %(key)s::bigint
  AND activity.application_name = %(application_name)s
  AND holder.pid <> pg_backend_pid();

-- name: previous_run
SELECT coalesce(clean, false) AS clean
FROM daemon_runs
WHERE exchange = %(exchange)s AND role = %(role)s AND run_id <> %(run_id)s
ORDER BY started_at DESC
LIMIT 1;

-- name: start_run
INSERT INTO daemon_runs (run_id, role, exchange, host, pid, version)
VALUES (%(run_id)s, %(role)s, %(exchange)s, %(host)s, %(pid)s, %(version)s)
ON CONFLICT DO NOTHING;

-- name: finish_run
UPDATE daemon_runs SET stopped_at = now(), clean = true
WHERE run_id = %(run_id)s AND role = %(role)s AND exchange = %(exchange)s;
