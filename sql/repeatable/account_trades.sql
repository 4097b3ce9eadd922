-- What was stored just now, as runs of ids, in its transaction and under the lock of its symbols: gaps are filled, shrink or
-- break in two, the reach of the listing grows, and what lies between the old reach and the new ids is a new gap.
-- Gives the gaps that are new (docs/adr/0042-trades-by-id.md, 0047-trades-by-listing.md).
CREATE OR REPLACE FUNCTION account_trades(
    for_exchange text, for_symbols text[], for_listings timestamptz[], first_ids bigint[], last_ids bigint[],
    first_times timestamptz[], last_times timestamptz[]
) RETURNS TABLE (symbol text, first_id bigint, last_id bigint)
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
BEGIN
    INSERT INTO trade_reach (exchange, symbol, listing_ts)
    SELECT DISTINCT for_exchange, stored.symbol, stored.listing_ts
    FROM unnest(for_symbols, for_listings) AS stored (symbol, listing_ts)
    ON CONFLICT DO NOTHING;
    RETURN QUERY
    WITH runs AS (
        SELECT symbol, listing_ts, first_id, last_id, first_ts, last_ts
        FROM unnest(for_symbols, for_listings, first_ids, last_ids, first_times, last_times)
             AS stored (symbol, listing_ts, first_id, last_id, first_ts, last_ts)
    ),
    taken AS (
        SELECT symbol, listing_ts, range_agg(int8range(first_id, last_id, '[]')) AS ids, min(first_id) AS first_id,
               max(last_id) AS last_id, first(first_ts, first_id) AS first_ts, last(last_ts, last_id) AS last_ts,
               min(least(first_ts, last_ts)) AS oldest_ts, max(greatest(first_ts, last_ts)) AS newest_ts
        FROM runs
        GROUP BY symbol, listing_ts
    ),
    grown AS (
        SELECT symbol, listing_ts, taken.ids,
               reach.first_id AS old_first_id, reach.last_id AS old_last_id,
               reach.first_ts AS old_first_ts, reach.last_ts AS old_last_ts,
               least(reach.first_id, taken.first_id) AS first_id,
               greatest(reach.last_id, taken.last_id) AS last_id,
               CASE WHEN reach.first_id <= taken.first_id THEN reach.first_ts ELSE taken.first_ts END AS first_ts,
               CASE WHEN reach.last_id >= taken.last_id THEN reach.last_ts ELSE taken.last_ts END AS last_ts,
               least(coalesce(reach.oldest_ts, least(reach.first_ts, reach.last_ts)), taken.oldest_ts) AS oldest_ts,
               greatest(coalesce(reach.newest_ts, greatest(reach.first_ts, reach.last_ts)), taken.newest_ts)
                   AS newest_ts,
               CASE WHEN reach.first_id IS NULL THEN int8multirange()
                    ELSE int8multirange(int8range(reach.first_id, reach.last_id + 1)) END AS known
        FROM taken
        JOIN trade_reach AS reach USING (symbol, listing_ts)
        WHERE reach.exchange = for_exchange
    ),
    touched AS (
        SELECT gap.gap_id, symbol, listing_ts, gap.state, gap.first_id, gap.last_id, gap.after_ts, gap.before_ts,
               int8multirange(int8range(gap.first_id, gap.last_id, '[]')) - grown.ids AS rest
        FROM grown
        JOIN trade_gaps AS gap USING (symbol, listing_ts)
        WHERE gap.exchange = for_exchange
          AND gap.state IN ('open', 'left', 'absent')
          AND grown.ids && int8range(gap.first_id, gap.last_id, '[]')
    ),
    pieces AS (
        SELECT gap_id, symbol, listing_ts, state, lower(piece) AS first_id, upper(piece) - 1 AS last_id,
               row_number() OVER (PARTITION BY gap_id ORDER BY piece) AS number
        FROM touched, unnest(rest) AS piece
        UNION ALL
        SELECT NULL, symbol, listing_ts, 'open', lower(piece), upper(piece) - 1, NULL
        FROM grown, unnest(int8multirange(int8range(first_id, last_id, '[]')) - known - ids) AS piece
    ),
    edges AS (
        SELECT symbol, listing_ts, id, min(ts) AS ts
        FROM (
            SELECT symbol, listing_ts, first_id AS id, first_ts AS ts FROM runs
            UNION ALL SELECT symbol, listing_ts, last_id, last_ts FROM runs
            UNION ALL SELECT symbol, listing_ts, old_first_id, old_first_ts FROM grown
            UNION ALL SELECT symbol, listing_ts, old_last_id, old_last_ts FROM grown
            UNION ALL SELECT symbol, listing_ts, first_id - 1, after_ts FROM touched
            UNION ALL SELECT symbol, listing_ts, last_id + 1, before_ts FROM touched
        ) AS every
        GROUP BY symbol, listing_ts, id
    ),
    placed AS (
        SELECT pieces.*, below.ts AS after_ts, above.ts AS before_ts
        FROM pieces
        JOIN edges AS below ON below.symbol = pieces.symbol AND below.listing_ts = pieces.listing_ts
                           AND below.id = pieces.first_id - 1
        JOIN edges AS above ON above.symbol = pieces.symbol AND above.listing_ts = pieces.listing_ts
                           AND above.id = pieces.last_id + 1
    ),
    mended AS (
        UPDATE trade_gaps AS gap SET
            state = CASE WHEN placed.gap_id IS NULL THEN 'filled' ELSE gap.state END,
            closed_at = CASE WHEN placed.gap_id IS NULL THEN now() ELSE gap.closed_at END,
            first_id = coalesce(placed.first_id, gap.first_id),
            last_id = coalesce(placed.last_id, gap.last_id),
            after_ts = coalesce(placed.after_ts, gap.after_ts),
            before_ts = coalesce(placed.before_ts, gap.before_ts),
            attempts = 0,
            next_ask_at = '-infinity'
        FROM touched LEFT JOIN placed ON placed.gap_id = touched.gap_id AND placed.number = 1
        WHERE gap.gap_id = touched.gap_id
    ),
    reached AS (
        UPDATE trade_reach AS reach SET
            first_id = grown.first_id, last_id = grown.last_id, first_ts = grown.first_ts, last_ts = grown.last_ts,
            oldest_ts = grown.oldest_ts, newest_ts = grown.newest_ts
        FROM grown
        WHERE reach.exchange = for_exchange AND reach.symbol = grown.symbol AND reach.listing_ts = grown.listing_ts
    ),
    found AS (
        INSERT INTO trade_gaps (exchange, symbol, listing_ts, first_id, last_id, after_ts, before_ts, state)
        SELECT for_exchange, symbol, listing_ts, first_id, last_id, after_ts, before_ts, state
        FROM placed
        WHERE number IS DISTINCT FROM 1
        ORDER BY symbol COLLATE "C", listing_ts, first_id
        RETURNING symbol, first_id, last_id
    )
    SELECT symbol, first_id, last_id FROM found;
END
$function$;

-- PostgreSQL lets everybody execute a new function.
REVOKE ALL ON FUNCTION account_trades(text, text[], timestamptz[], bigint[], bigint[], timestamptz[], timestamptz[])
FROM PUBLIC;
