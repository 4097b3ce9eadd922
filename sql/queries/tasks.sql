-- name: turn
-- Whoever counts before it writes waits here, to the end of its transaction, for whoever does so now, in any process. The next
-- statement sees what that one has committed.
SELECT pg_advisory_xact_lock(hashtextextended('marketd/tasks/' || current_schema(), 0));

-- name: ask
-- A task once: the same id again finds the one that is there. One that comes of a schedule is left out while the one
-- before it still waits for its first attempt; schedules of one kind are told apart by their parameters. Where as many
-- wait as may, none is made. Tells whether it was made, whether there was one with its id, and how many waited.
WITH waiting (number) AS (
    SELECT count(*) FROM tasks WHERE state = 'PENDING'
), made AS (
    INSERT INTO tasks (task_id, kind, parameters, requested_by, scheduled_for)
    SELECT %(task_id)s, %(kind)s, %(parameters)s, %(requested_by)s, %(scheduled_for)s
    FROM waiting
    WHERE (%(most)s::bigint IS NULL OR number < %(most)s)
      AND (
          %(scheduled_for)s::timestamptz IS NULL OR NOT EXISTS (
              SELECT FROM tasks
              WHERE kind = %(kind)s AND parameters = %(parameters)s AND state = 'PENDING' AND attempts = 0
                  AND scheduled_for IS NOT NULL
          )
      )
    ON CONFLICT (task_id) DO NOTHING
    RETURNING true
)
SELECT EXISTS (SELECT FROM made), EXISTS (SELECT FROM tasks WHERE task_id = %(task_id)s), number FROM waiting;

-- name: set_job
UPDATE tasks SET job_id = %(job_id)s WHERE task_id = %(task_id)s;

-- name: begin
-- Whoever runs it says so. A task that is over is not begun again; one that runs belonged to a worker that is gone; one
-- that nobody wants ends here.
UPDATE tasks
SET state = CASE WHEN is_unwanted THEN 'CANCELLED' ELSE 'RUNNING' END,
    finished_at = CASE WHEN is_unwanted THEN now() END,
    attempts = attempts + 1, started_at = coalesce(started_at, now()), share = NULL
WHERE task_id = %(task_id)s AND state IN ('PENDING', 'RUNNING')
RETURNING is_unwanted, kind, parameters, attempts, failures, (extract(epoch FROM scheduled_for) * 1000)::bigint;

-- name: end
-- Only the attempt that is running may end it: a worker that was taken for dead has lost its word.
UPDATE tasks
SET state = %(state)s, error = %(error)s, result = coalesce(%(result)s, result),
    failures = failures + (%(error)s <> '')::integer,
    share = CASE WHEN %(state)s = 'SUCCESS' THEN 1 ELSE share END,
    finished_at = CASE WHEN %(state)s = 'PENDING' THEN NULL ELSE now() END
WHERE task_id = %(task_id)s AND state = 'RUNNING' AND attempts = %(attempt)s
RETURNING true;

-- name: cancel
-- One that nobody works at ends here; one that runs is ended by whoever runs it, or by whoever would begin it again.
UPDATE tasks
SET is_unwanted = true,
    state = CASE state WHEN 'PENDING' THEN 'CANCELLED' ELSE state END,
    finished_at = CASE state WHEN 'PENDING' THEN now() END
WHERE task_id = %(task_id)s AND state IN ('PENDING', 'RUNNING')
RETURNING job_id;

-- name: end_unwanted
-- Tasks that nobody wants and nobody will begin again: the job is gone, or has failed because it was to be stopped when its
-- worker was already dead, or when the attempt had just ended and was to be followed by another one (PENDING). As long as
-- somebody works at one, or will, it is theirs to end.
WITH ended AS (
    UPDATE tasks SET state = 'CANCELLED', finished_at = now()
    WHERE state IN ('PENDING', 'RUNNING') AND is_unwanted
      AND NOT EXISTS (
          SELECT FROM procrastinate_jobs AS job WHERE job.id = tasks.job_id AND job.status IN ('todo', 'doing')
      )
    RETURNING task_id, job_id
), dropped AS (
    DELETE FROM procrastinate_jobs WHERE id IN (SELECT job_id FROM ended)
)
SELECT task_id FROM ended;

-- name: tell
WITH told AS (
    UPDATE tasks SET share = coalesce(%(share)s, share)
    WHERE task_id = %(task_id)s AND state = 'RUNNING' AND attempts = %(attempt)s
    RETURNING task_id
)
INSERT INTO task_logs (task_id, level, line)
SELECT task_id, %(level)s, %(line)s FROM told;

-- name: show
SELECT task_id, kind, parameters, state, share, attempts, failures, error, result, requested_by,
       (extract(epoch FROM scheduled_for) * 1000)::bigint, (extract(epoch FROM created_at) * 1000)::bigint,
       (extract(epoch FROM started_at) * 1000)::bigint, (extract(epoch FROM finished_at) * 1000)::bigint
FROM tasks
WHERE task_id = %(task_id)s;

-- name: newest
SELECT task_id, kind, parameters, state, share, attempts, failures, error, result, requested_by,
       (extract(epoch FROM scheduled_for) * 1000)::bigint, (extract(epoch FROM created_at) * 1000)::bigint,
       (extract(epoch FROM started_at) * 1000)::bigint, (extract(epoch FROM finished_at) * 1000)::bigint
FROM tasks
WHERE (%(kind)s::text IS NULL OR kind = %(kind)s) AND (%(state)s::text IS NULL OR state = %(state)s)
  AND (%(before)s::text IS NULL OR created_at <= (SELECT created_at FROM tasks WHERE task_id = %(before)s))
  AND (
      %(before)s::text IS NULL OR task_id > %(before)s
      OR created_at < (SELECT created_at FROM tasks WHERE task_id = %(before)s)
  )
ORDER BY created_at DESC, task_id
LIMIT %(limit)s;

-- name: waiting
-- Tasks that nobody works at yet, or again.
SELECT count(*) FROM tasks WHERE state = 'PENDING';

-- name: lines
SELECT number, (extract(epoch FROM at) * 1000)::bigint, level, line
FROM task_logs
WHERE task_id = %(task_id)s AND number > %(after)s
ORDER BY number
LIMIT %(limit)s;

-- name: workers
SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - interval '1 minute';

-- name: prune
DELETE FROM tasks WHERE finished_at < now() - make_interval(days => %(days)s::integer);
