-- What tasks, trades, swaps, bars and levels are at, for `marketd status`: from ledgers and small tables only.

-- name: tasks
-- By state, those asked for in the last 24 h, and all that are not over.
SELECT state, count(*) AS tasks
FROM tasks
WHERE created_at > now() - interval '24 hours' OR state IN ('PENDING', 'RUNNING')
GROUP BY state
ORDER BY state;

-- name: last_failure
SELECT task_id, error, finished_at
FROM tasks
WHERE created_at > now() - interval '24 hours' AND state = 'FAILED'
ORDER BY finished_at DESC NULLS LAST
LIMIT 1;

-- name: trades
-- The newest stored trade of each market, and how many ids are looked for.
SELECT
    newest.exchange, newest.symbol, newest.last_ts AS newest,
    coalesce(gaps.gaps, 0) AS open_gaps, coalesce(gaps.ids, 0) AS open_ids
FROM (
    SELECT DISTINCT ON (exchange, symbol) exchange, symbol, last_ts
    FROM trade_reach
    WHERE first_id IS NOT NULL
    ORDER BY exchange, symbol, listing_ts DESC
) AS newest
LEFT JOIN (
    SELECT exchange, symbol, count(*) AS gaps, sum(last_id - first_id + 1)::bigint AS ids
    FROM trade_gaps
    WHERE state = 'open'
    GROUP BY exchange, symbol
) AS gaps USING (exchange, symbol)
ORDER BY newest.last_ts, newest.exchange, newest.symbol;

-- name: pools
-- Each pool and the newest block of which all swaps are stored.
SELECT pools.chain, pools.pool, pools.symbol0, pools.symbol1, newest.to_block AS block, newest.to_time AS newest
FROM pools
LEFT JOIN LATERAL (
    SELECT to_block, to_time
    FROM swap_ranges
    WHERE chain = pools.chain AND pool = pools.pool
    ORDER BY from_block DESC
    LIMIT 1
) AS newest ON true
ORDER BY pools.chain, pools.pool;

-- name: bars
-- Up to when kept bars are made, of how many symbols.
SELECT count(*) AS symbols, max(made_to) AS made_to
FROM bar_fronts
WHERE exchange = %(exchange)s
HAVING count(*) > 0;

-- name: levels
SELECT market_type, timeframe, count(*) AS symbols, max(known_to) AS known_to, max(updated_at) AS updated_at
FROM analysis_results
GROUP BY market_type, timeframe
ORDER BY market_type, timeframe;
