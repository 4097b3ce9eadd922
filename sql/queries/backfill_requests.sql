-- name: ask
INSERT INTO backfill_requests (exchange, symbols, from_ts, to_ts, source, force, keep, requested_by)
VALUES (%(exchange)s, %(symbols)s, %(since)s, %(until)s, %(source)s, %(force)s, %(keep)s, %(requested_by)s)
RETURNING id;

-- name: take
-- The oldest one to do. One that runs already was begun by a daemon that is gone: only one has the lock.
UPDATE backfill_requests SET state = 'running', started_at = coalesce(started_at, now()), told_at = now()
WHERE id = (
    SELECT id FROM backfill_requests
    WHERE exchange = %(exchange)s AND state IN ('waiting', 'running')
    ORDER BY id
    LIMIT 1
)
RETURNING id, symbols, (extract(epoch FROM from_ts) * 1000)::bigint, (extract(epoch FROM to_ts) * 1000)::bigint,
          source, force, keep;

-- name: tell
-- How far it is; says whether it is still wanted.
UPDATE backfill_requests SET told_at = now(), progress = %(progress)s
WHERE id = %(id)s AND exchange = %(exchange)s
RETURNING cancel;

-- name: finish
UPDATE backfill_requests
SET state = %(state)s, detail = %(detail)s, progress = %(progress)s, told_at = now(), finished_at = now()
WHERE id = %(id)s AND exchange = %(exchange)s AND state = 'running';

-- name: cancel
-- One that nobody has begun ends here; one that runs is ended by whoever runs it.
UPDATE backfill_requests
SET cancel = true,
    state = CASE WHEN state = 'waiting' THEN 'cancelled' ELSE state END,
    finished_at = CASE WHEN state = 'waiting' THEN now() ELSE finished_at END
WHERE id = %(id)s AND exchange = %(exchange)s AND state IN ('waiting', 'running');

-- name: look
SELECT state, progress, detail
FROM backfill_requests
WHERE id = %(id)s AND exchange = %(exchange)s;

-- name: same
-- One that asks for just the same, and is not over.
SELECT id
FROM backfill_requests
WHERE exchange = %(exchange)s AND state IN ('waiting', 'running') AND NOT cancel
  AND symbols = %(symbols)s::text[] AND from_ts = %(since)s AND to_ts = %(until)s
  AND source = %(source)s AND force = %(force)s AND keep = %(keep)s
ORDER BY id
LIMIT 1;

-- name: open
SELECT count(*) FROM backfill_requests WHERE exchange = %(exchange)s AND state IN ('waiting', 'running');
