-- What the page with the overview asks for. All of it is small, but for coverage, which is one pass over the ledger's lines
-- of the days that are shown.

-- name: runs
-- The daemon that has each role, else the newest that had it. One that was killed never said that it ended, and one that
-- stands by again did not end: neither has a session of the role any more, and who took over again is not the newest.
-- A replica does not see the sessions of its primary, and believes what was said.
WITH present AS (
    SELECT DISTINCT split_part(application_name, '/', 2) AS role, split_part(application_name, '/', 3) AS run_id
    FROM pg_stat_activity
    WHERE application_name LIKE 'marketd/%%'
)
SELECT role, host, pid, version,
       (extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
       (extract(epoch FROM stopped_at) * 1000)::bigint AS stopped_ms,
       is_there OR (stopped_at IS NULL AND pg_is_in_recovery()) AS alive
FROM (
    SELECT DISTINCT ON (role) daemon_runs.*, stopped_at IS NULL AND present.run_id IS NOT NULL AS is_there
    FROM daemon_runs
    LEFT JOIN present USING (role, run_id)
    WHERE exchange = %(exchange)s AND started_at > now() - interval '400 days'
    ORDER BY role, is_there DESC, started_at DESC
) AS found
ORDER BY role
LIMIT 20;

-- name: backfills
SELECT id, cardinality(symbols) AS symbols, symbols[1:3] AS names, state,
       (extract(epoch FROM from_ts) * 1000)::bigint AS from_ms, (extract(epoch FROM to_ts) * 1000)::bigint AS to_ms,
       (extract(epoch FROM started_at) * 1000)::bigint AS started_ms,
       (progress ->> 'minutes_done')::bigint AS done, (progress ->> 'minutes_planned')::bigint AS due,
       coalesce(progress ->> 'note', '') AS note
FROM backfill_requests
WHERE exchange = %(exchange)s AND state IN ('waiting', 'running')
ORDER BY id
LIMIT 10;

-- name: asked_from
-- Since when open requests for all symbols ask, NULL without one. Those for some are told among the backfills: the
-- other symbols' days before are nobody's.
SELECT (extract(epoch FROM min(from_ts)) * 1000)::bigint AS since_ms
FROM backfill_requests
WHERE exchange = %(exchange)s AND state IN ('waiting', 'running') AND symbols = '{*}';

-- name: tasks
-- Tasks of the last week, by state.
SELECT state, count(*) FROM tasks WHERE created_at > now() - interval '7 days' GROUP BY state;

-- name: storage
-- Every table of ours with its size on disk, the largest first.
SELECT
    relname::text AS name,
    CASE WHEN hypertable.hypertable_name IS NULL THEN pg_total_relation_size(pg_class.oid)
         ELSE coalesce(hypertable_size(pg_class.oid::regclass), 0) END AS bytes
FROM pg_class
JOIN pg_namespace ON pg_namespace.oid = relnamespace
LEFT JOIN timescaledb_information.hypertables AS hypertable
    ON hypertable.hypertable_schema = nspname AND hypertable.hypertable_name = relname
WHERE nspname = current_schema() AND relkind = 'r'
ORDER BY bytes DESC, name
LIMIT 200;

-- name: coverage
-- What each symbol has of some days: runs of days that are alike, as JSON [[first, days, expected, have, absent, expired]].
-- First counts from the first day that was asked for; every line is cut to what it expects, in the order have, absent, expired.
WITH RECURSIVE listed AS (
    (
        SELECT symbol FROM coverage_days
        WHERE exchange = %(exchange)s AND dataset = %(dataset)s
        ORDER BY symbol LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT symbol FROM coverage_days
        WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND symbol > listed.symbol
        ORDER BY symbol LIMIT 1
    )
    FROM listed
    WHERE listed.symbol IS NOT NULL
),
lines AS (
    SELECT listed.symbol, line.*
    FROM listed
    CROSS JOIN LATERAL (
        SELECT
            day - %(first)s::date AS place,
            expected,
            least(have, expected) AS have,
            least(absent, greatest(expected - have, 0)) AS absent,
            least(expired, greatest(expected - have - absent, 0)) AS expired
        FROM coverage_days
        WHERE exchange = %(exchange)s AND dataset = %(dataset)s AND coverage_days.symbol = listed.symbol
          AND day BETWEEN %(first)s AND %(last)s
    ) AS line
    WHERE listed.symbol IS NOT NULL
),
runs AS (
    SELECT symbol, min(place) AS first, count(*) AS days, expected, have, absent, expired
    FROM (
        SELECT lines.*,
               place - row_number() OVER (
                   PARTITION BY symbol, expected, have, absent, expired ORDER BY place
               ) AS island
        FROM lines
    ) AS placed
    GROUP BY symbol, expected, have, absent, expired, island
)
SELECT symbol, json_agg(json_build_array(first, days, expected, have, absent, expired) ORDER BY first)::text
FROM runs
GROUP BY symbol
ORDER BY symbol COLLATE "C"
LIMIT 5000;
