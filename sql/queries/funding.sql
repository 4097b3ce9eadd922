-- Settlements of funding.

-- name: merge
-- Column by column, as metrics.sql; REST knows the mark price, the archive the interval.
WITH written AS (
    INSERT INTO funding_rates AS stored (
        exchange, symbol, funding_time,
        funding_rate, funding_rate_rank,
        mark_price, mark_price_rank,
        interval_hours, interval_hours_rank,
        source, authority
    )
    SELECT
        %(exchange)s, symbol, to_timestamp(funding_ms::double precision / 1000),
        funding_rate, funding_rate_rank,
        mark_price, mark_price_rank,
        interval_hours, interval_hours_rank,
        source, authority
    FROM unnest(
        %(symbol)s::text[], %(funding_ms)s::bigint[],
        %(funding_rate)s::numeric[], %(funding_rate_rank)s::smallint[],
        %(mark_price)s::numeric[], %(mark_price_rank)s::smallint[],
        %(interval_hours)s::smallint[], %(interval_hours_rank)s::smallint[],
        %(source)s::text[], %(authority)s::smallint[]
    ) AS incoming (
        symbol, funding_ms,
        funding_rate, funding_rate_rank,
        mark_price, mark_price_rank,
        interval_hours, interval_hours_rank,
        source, authority
    )
    ORDER BY symbol COLLATE "C", funding_ms
    ON CONFLICT (exchange, symbol, funding_time) DO UPDATE SET
        funding_rate =
            CASE WHEN ROW(excluded.funding_rate_rank, excluded.funding_rate) > ROW(stored.funding_rate_rank, stored.funding_rate)
            THEN excluded.funding_rate ELSE stored.funding_rate END,
        funding_rate_rank = greatest(excluded.funding_rate_rank, stored.funding_rate_rank),
        mark_price =
            CASE WHEN ROW(excluded.mark_price_rank, excluded.mark_price) > ROW(stored.mark_price_rank, stored.mark_price)
            THEN excluded.mark_price ELSE stored.mark_price END,
        mark_price_rank = greatest(excluded.mark_price_rank, stored.mark_price_rank),
        interval_hours =
            CASE WHEN ROW(excluded.interval_hours_rank, excluded.interval_hours) > ROW(stored.interval_hours_rank, stored.interval_hours)
            THEN excluded.interval_hours ELSE stored.interval_hours END,
        interval_hours_rank = greatest(excluded.interval_hours_rank, stored.interval_hours_rank),
        source =
            CASE WHEN ROW(excluded.authority, excluded.source COLLATE "C") > ROW(stored.authority, stored.source COLLATE "C")
            THEN excluded.source ELSE stored.source END,
        authority = greatest(excluded.authority, stored.authority),
        updated_at = now()
    WHERE
        ROW(excluded.funding_rate_rank, excluded.funding_rate) > ROW(stored.funding_rate_rank, stored.funding_rate)
        OR ROW(excluded.mark_price_rank, excluded.mark_price) > ROW(stored.mark_price_rank, stored.mark_price)
        OR ROW(excluded.interval_hours_rank, excluded.interval_hours) > ROW(stored.interval_hours_rank, stored.interval_hours)
        OR ROW(excluded.authority, excluded.source COLLATE "C") > ROW(stored.authority, stored.source COLLATE "C")
    RETURNING symbol, funding_time, (xmax = 0) AS inserted
),
counted AS (
    INSERT INTO coverage_days AS line (exchange, dataset, symbol, day, have)
    SELECT %(exchange)s, 'funding', symbol, (funding_time AT TIME ZONE 'UTC')::date AS day, count(*)
    FROM written
    WHERE inserted
    GROUP BY symbol, day
    ORDER BY symbol COLLATE "C", day
    ON CONFLICT (exchange, dataset, symbol, day) DO UPDATE SET have = line.have + excluded.have
)
SELECT
    count(*) FILTER (WHERE inserted) AS inserted,
    count(*) FILTER (WHERE NOT inserted) AS replaced
FROM written;

-- name: newest
SELECT symbol, (extract(epoch FROM max(funding_time)) * 1000)::bigint AS funding_ms
FROM funding_rates
WHERE exchange = %(exchange)s AND funding_time >= %(since)s
GROUP BY symbol;

-- name: files_done
-- The monthly files that need no second look.
SELECT path FROM archive_files
WHERE exchange = %(exchange)s AND dataset = 'funding' AND state IN ('imported', 'quarantined');
