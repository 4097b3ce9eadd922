-- name: patience
-- The first time may mark years of days; the session's own 20 s are for queries.
SELECT set_config('statement_timeout', %(statement_timeout)s, false), set_config('lock_timeout', '3s', false);

-- name: expire
SELECT dataset, chunks, lines, rows_expired FROM expire(%(before)s)
UNION ALL
SELECT dataset, chunks, lines, rows_expired FROM expire_trades(%(before)s);
