-- Drops trades older than t, whole chunks as expire() does, and moves the reach of every listing behind them, in one
-- transaction (docs/adr/0042-trades-by-id.md, 0047-trades-by-listing.md). Gaps below are expired: nobody looks for them any more. Where nothing
-- is left, the reach is empty and stands behind the last id that was there, so that what comes next shows a gap.
--
-- SECURITY DEFINER: the writer may do this and has no DELETE. Repeating it changes nothing.
CREATE OR REPLACE FUNCTION expire_trades(
    t timestamptz,
    OUT dataset text, OUT chunks integer, OUT lines integer, OUT rows_expired bigint
) RETURNS record
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
DECLARE
    oldest_kept timestamptz;
    reach record;
    kept_id bigint;
    kept_ts timestamptz;
    missing bigint;
BEGIN
    IF t IS NULL OR t > now() - interval '7 days' THEN
        RAISE EXCEPTION 'expire_trades(%): the last seven days are never dropped', t USING ERRCODE = '22023';
    END IF;
    dataset := 'agg_trades';
    lines := 0;
    rows_expired := 0;
    SELECT count(*) INTO chunks FROM drop_chunks('agg_trades'::regclass, older_than => t);
    IF chunks = 0 THEN
        RETURN;
    END IF;
    SELECT coalesce(min(range_start), 'infinity') INTO oldest_kept
    FROM timescaledb_information.chunks
    WHERE hypertable_schema = current_schema() AND hypertable_name = 'agg_trades';
    PERFORM FROM trade_reach AS symbol_lock
    WHERE symbol_lock.listing_ts = '1970-01-01 00:00:00+00'
      AND EXISTS (
          SELECT FROM trade_reach AS line
          WHERE line.exchange = symbol_lock.exchange AND line.symbol = symbol_lock.symbol
            AND line.first_ts < oldest_kept
      )
    ORDER BY symbol_lock.exchange, symbol_lock.symbol COLLATE "C"
    FOR UPDATE;
    FOR reach IN
        SELECT * FROM (
            SELECT *, lead(line.listing_ts, 1, 'infinity')
                          OVER (PARTITION BY line.exchange, line.symbol ORDER BY line.listing_ts) AS until_ts
            FROM trade_reach AS line
        ) AS every
        WHERE every.first_ts < oldest_kept
        ORDER BY every.exchange, every.symbol COLLATE "C", every.listing_ts
    LOOP
        SELECT trade_id, ts INTO kept_id, kept_ts
        FROM agg_trades AS stored
        WHERE stored.exchange = reach.exchange AND stored.symbol = reach.symbol AND stored.ts >= oldest_kept
          AND stored.ts >= reach.listing_ts AND stored.ts < reach.until_ts
        ORDER BY trade_id
        LIMIT 1;
        kept_id := coalesce(kept_id, reach.last_id + 1);
        WITH gone AS (
            UPDATE trade_gaps AS gap SET state = 'expired', closed_at = now()
            WHERE gap.exchange = reach.exchange AND gap.symbol = reach.symbol AND gap.listing_ts = reach.listing_ts
              AND gap.state IN ('open', 'left', 'absent') AND gap.last_id < kept_id
            RETURNING gap.last_id - gap.first_id + 1 AS ids
        )
        SELECT coalesce(sum(ids), 0) INTO missing FROM gone;
        UPDATE trade_reach AS line SET first_id = kept_id, first_ts = coalesce(kept_ts, reach.last_ts)
        WHERE line.exchange = reach.exchange AND line.symbol = reach.symbol AND line.listing_ts = reach.listing_ts;
        lines := lines + 1;
        rows_expired := rows_expired + kept_id - reach.first_id - missing;
    END LOOP;
END
$function$;

-- PostgreSQL lets everybody execute a new function.
REVOKE ALL ON FUNCTION expire_trades(timestamptz) FROM PUBLIC;
