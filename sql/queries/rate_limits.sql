-- name: open_budget
INSERT INTO rate_limit_state (egress, budget) VALUES (%(egress)s, %(budget)s)
ON CONFLICT DO NOTHING;

-- name: lock_budget
SELECT
    slots, leased, strangers,
    CASE WHEN banned_until = '-infinity' THEN 0
         WHEN banned_until = 'infinity' THEN 'Infinity'::float8
         ELSE greatest(extract(epoch FROM banned_until - clock_timestamp()), 0)::float8 END AS ban_s
FROM rate_limit_state
WHERE egress = %(egress)s AND budget = %(budget)s
FOR UPDATE;

-- name: save_budget
UPDATE rate_limit_state
SET slots = %(slots)s, leased = %(leased)s, strangers = %(strangers)s, updated_at = clock_timestamp()
WHERE egress = %(egress)s AND budget = %(budget)s;

-- name: ban
-- A shorter ban never ends a longer one, unless that one is longer than any the venue knows.
INSERT INTO rate_limit_state AS state (egress, budget, banned_until)
SELECT %(egress)s, budget, clock_timestamp() + make_interval(secs => %(seconds)s)
FROM unnest(%(budgets)s::text[]) AS asked (budget)
ORDER BY budget
ON CONFLICT (egress, budget) DO UPDATE SET
    updated_at = clock_timestamp(),
    banned_until = CASE
        WHEN state.banned_until > clock_timestamp() + make_interval(secs => %(longest)s) THEN excluded.banned_until
        ELSE greatest(state.banned_until, excluded.banned_until) END;

-- name: announce
SELECT pg_notify('marketd_rate_limits', %(egress)s);

-- name: listen
LISTEN marketd_rate_limits;

-- name: bans
SELECT
    budget,
    CASE WHEN banned_until = 'infinity' THEN 'Infinity'::float8
         ELSE extract(epoch FROM banned_until - clock_timestamp())::float8 END AS ban_s
FROM rate_limit_state
WHERE egress = %(egress)s AND banned_until > clock_timestamp();
