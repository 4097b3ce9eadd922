-- Trades that are not there any more: what was deleted by hand becomes a gap that is filled again, and files of the archive
-- that hold it are imported again (docs/adr/0047-trades-by-listing.md).

-- Takes runs of ids out of a line of the ledger. Inside of the reach they become gaps, together with those beside them; at an
-- end the reach shrinks behind them, over gaps too. Rows of the line lie in [listing, until); the runs are none of them.
CREATE OR REPLACE FUNCTION lose_trades(
    for_exchange text, for_symbol text, for_listing timestamptz, until_ts timestamptz,
    first_ids bigint[], last_ids bigint[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    reach trade_reach;
    known int8multirange;
    lost int8multirange;
    missing int8multirange;
    there int8multirange;
BEGIN
    SELECT * INTO reach FROM trade_reach
    WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = for_listing;
    IF reach.first_id IS NULL THEN
        RETURN;
    END IF;
    SELECT range_agg(int8range(first_id, last_id, '[]')) INTO lost
    FROM unnest(first_ids, last_ids) AS run (first_id, last_id);
    SELECT coalesce(range_agg(int8range(first_id, last_id, '[]')), '{}') INTO missing
    FROM trade_gaps
    WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = for_listing
      AND state IN ('open', 'left', 'absent');
    known := int8multirange(int8range(reach.first_id, reach.last_id + 1));
    missing := (missing + lost) * known;
    there := known - missing;
    -- Gaps that were, and are not any more as they were: at the ends, or part of a larger one.
    DELETE FROM trade_gaps
    WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = for_listing
      AND state IN ('open', 'left', 'absent')
      AND (isempty(there)
           OR int8range(first_id, last_id, '[]') << int8range(lower(there), NULL)
           OR int8range(first_id, last_id, '[]') >> int8range(NULL, upper(there))
           OR lost && int8range(first_id - 1, last_id + 1, '[]'));
    IF isempty(there) THEN
        UPDATE trade_reach
        SET first_id = NULL, last_id = NULL, first_ts = NULL, last_ts = NULL, oldest_ts = NULL, newest_ts = NULL
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = for_listing;
        RETURN;
    END IF;
    INSERT INTO trade_gaps (exchange, symbol, listing_ts, first_id, last_id, after_ts, before_ts)
    SELECT for_exchange, for_symbol, for_listing, lower(gap), upper(gap) - 1, below.ts, above.ts
    FROM unnest(missing * int8multirange(int8range(lower(there), upper(there)))) AS gap
    CROSS JOIN LATERAL (
        SELECT ts FROM agg_trades
        WHERE exchange = for_exchange AND symbol = for_symbol AND trade_id = lower(gap) - 1
          AND ts >= for_listing AND ts < until_ts
        LIMIT 1
    ) AS below
    CROSS JOIN LATERAL (
        SELECT ts FROM agg_trades
        WHERE exchange = for_exchange AND symbol = for_symbol AND trade_id = upper(gap)
          AND ts >= for_listing AND ts < until_ts
        LIMIT 1
    ) AS above
    WHERE NOT EXISTS (
        SELECT FROM trade_gaps
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = for_listing
          AND state IN ('open', 'left', 'absent') AND first_id = lower(gap)
    );
    UPDATE trade_reach SET
        first_id = lower(there),
        last_id = upper(there) - 1,
        first_ts = CASE WHEN lower(there) = reach.first_id THEN reach.first_ts ELSE (
            SELECT ts FROM agg_trades
            WHERE exchange = for_exchange AND symbol = for_symbol AND trade_id = lower(there)
              AND ts >= for_listing AND ts < until_ts
            LIMIT 1
        ) END,
        last_ts = CASE WHEN upper(there) - 1 = reach.last_id THEN reach.last_ts ELSE (
            SELECT ts FROM agg_trades
            WHERE exchange = for_exchange AND symbol = for_symbol AND trade_id = upper(there) - 1
              AND ts >= for_listing AND ts < until_ts
            LIMIT 1
        ) END
    WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = for_listing;
END
$function$;
REVOKE ALL ON FUNCTION lose_trades(text, text, timestamptz, timestamptz, bigint[], bigint[]) FROM PUBLIC;

-- One statement trigger with a transition table, as for candles. SECURITY DEFINER: who deletes need not have a right on the
-- ledger. Dropping a chunk fires no trigger; expire_trades() accounts for those rows itself.
CREATE OR REPLACE FUNCTION lose_deleted_trades() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
DECLARE
    lost record;
BEGIN
    PERFORM FROM trade_reach AS line
    WHERE line.listing_ts = '1970-01-01 00:00:00+00'
      AND EXISTS (SELECT FROM gone WHERE gone.exchange = line.exchange AND gone.symbol = line.symbol)
    ORDER BY line.exchange, line.symbol COLLATE "C"
    FOR UPDATE;
    FOR lost IN
        WITH line AS (
            SELECT exchange, symbol, listing_ts,
                   lead(listing_ts, 1, 'infinity') OVER (PARTITION BY exchange, symbol ORDER BY listing_ts) AS until_ts
            FROM trade_reach
        ),
        placed AS (
            SELECT exchange, symbol, line.listing_ts, line.until_ts, gone.trade_id,
                   gone.trade_id - row_number() OVER (
                       PARTITION BY exchange, symbol, line.listing_ts ORDER BY gone.trade_id
                   ) AS run
            FROM gone
            JOIN line USING (exchange, symbol)
            WHERE gone.ts >= line.listing_ts AND gone.ts < line.until_ts
        ),
        runs AS (
            SELECT exchange, symbol, listing_ts, until_ts, min(trade_id) AS first_id, max(trade_id) AS last_id
            FROM placed
            GROUP BY exchange, symbol, listing_ts, until_ts, run
        )
        SELECT exchange, symbol, listing_ts, until_ts, array_agg(first_id) AS first_ids, array_agg(last_id) AS last_ids
        FROM runs
        GROUP BY exchange, symbol, listing_ts, until_ts
        ORDER BY exchange, symbol COLLATE "C", listing_ts
    LOOP
        PERFORM lose_trades(
            lost.exchange, lost.symbol, lost.listing_ts, lost.until_ts, lost.first_ids, lost.last_ids
        );
    END LOOP;
    UPDATE archive_files AS file
    SET state = 'listed', detail = 'trades of it were deleted'
    FROM (
        SELECT DISTINCT exchange, symbol, (ts AT TIME ZONE 'UTC')::date AS day FROM gone
    ) AS touched
    WHERE file.exchange = touched.exchange AND file.symbol = touched.symbol
      AND file.dataset = 'agg_trades' AND file.state = 'imported'
      AND file.first_day = CASE file.span WHEN 'daily' THEN touched.day
                                          ELSE date_trunc('month', touched.day::timestamp)::date END;
    RETURN NULL;
END
$function$;

-- Only the owner may TRUNCATE; then nothing is there, and nothing is known to be missing.
CREATE OR REPLACE FUNCTION lose_all_trades() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
BEGIN
    PERFORM FROM trade_reach ORDER BY exchange, symbol COLLATE "C", listing_ts FOR UPDATE;
    DELETE FROM trade_gaps WHERE state IN ('open', 'left', 'absent');
    UPDATE trade_reach
    SET first_id = NULL, last_id = NULL, first_ts = NULL, last_ts = NULL, oldest_ts = NULL, newest_ts = NULL;
    UPDATE archive_files SET state = 'listed', detail = 'trades of it were deleted'
    WHERE dataset = 'agg_trades' AND state = 'imported';
    RETURN NULL;
END
$function$;
-- Else anybody could hang them on a temporary table, and they would do this as the owner.
REVOKE ALL ON FUNCTION lose_deleted_trades(), lose_all_trades() FROM PUBLIC;

-- Made once: making them again would lock the table against the running daemon.
DO $do$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = 'agg_trades'::regclass AND tgname = 'agg_trades_lose_deleted'
    ) THEN
        CREATE TRIGGER agg_trades_lose_deleted AFTER DELETE ON agg_trades REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION lose_deleted_trades();
        CREATE TRIGGER agg_trades_lose_all AFTER TRUNCATE ON agg_trades
        FOR EACH STATEMENT EXECUTE FUNCTION lose_all_trades();
    END IF;
END
$do$;
