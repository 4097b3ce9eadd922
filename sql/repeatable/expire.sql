-- Drops what is older than t, and says so in the coverage ledger, in one transaction.
--
-- Whole chunks go, never single rows: what lies before t in the chunk that holds t stays until all of that chunk is
-- older. In the ledger every day before the day of t then has what is still stored, and all else that was due and is
-- not proved absent is expired, whether it was dropped or never filled: nobody fills it any more. Repeating it changes
-- nothing, and whatever came late into a range that was dropped goes the next time.
--
-- SECURITY DEFINER: the writer may do this and has no DELETE. The newest seven days are refused whoever asks. Chunks are
-- locked before ledger lines, and lines by symbol and day, as every writer of rows does (docs/adr/0020); a
-- writer of newer chunks never waits.
CREATE OR REPLACE FUNCTION expire(
    t timestamptz,
    OUT dataset text, OUT chunks integer, OUT lines integer, OUT rows_expired bigint
) RETURNS SETOF record
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    held record;
    oldest_kept timestamptz;
BEGIN
    IF t IS NULL OR t > now() - interval '7 days' THEN
        RAISE EXCEPTION 'expire(%): the last seven days are never dropped', t USING ERRCODE = '22023';
    END IF;
    FOR held IN
        -- The rows of a day D are those of [D + late, D + 1 day + late): metrics carry the END of their period.
        SELECT * FROM (VALUES
            ('candles_1m', 'candles_1m', 'bucket_ts', interval '0'),
            ('metrics_5m', 'binance_futures_metrics_5m', 'create_time', interval '5 minutes')
        ) AS kept_in (dataset, relation, time_column, late)
        WHERE to_regclass(quote_ident(relation)) IS NOT NULL
    LOOP
        dataset := held.dataset;
        SELECT count(*) INTO chunks FROM drop_chunks(held.relation::regclass, older_than => t);
        SELECT coalesce(min(range_start), 'infinity') INTO oldest_kept
        FROM timescaledb_information.chunks
        WHERE hypertable_schema = current_schema() AND hypertable_name = held.relation;
        EXECUTE format(
            $statement$
            WITH bounds AS (
                SELECT exchange, symbol, day, expected, have, absent, expired, dirty,
                       (day::timestamp AT TIME ZONE 'UTC') + $3 AS from_ts,
                       (day::timestamp AT TIME ZONE 'UTC') + $3 + interval '1 day' AS to_ts
                FROM coverage_days
                WHERE dataset = $1 AND day < ($2 AT TIME ZONE 'UTC')::date
            ),
            counted AS (
                SELECT *, CASE
                    WHEN to_ts <= $4 THEN 0
                    WHEN from_ts >= $4 THEN have
                    ELSE (SELECT count(*) FROM %1$I AS stored
                          WHERE stored.exchange = bounds.exchange AND stored.symbol = bounds.symbol
                            AND stored.%2$I >= $4 AND stored.%2$I < bounds.to_ts)::integer
                END AS kept
                FROM bounds
            ),
            wanted AS (
                SELECT exchange, symbol, day, kept, greatest(expected - absent - kept, 0) AS gone,
                       dirty AND from_ts >= $4 AS dirty, expired AS before
                FROM counted
                WHERE kept <> have OR expired <> greatest(expected - absent - kept, 0) OR (dirty AND from_ts < $4)
            ),
            locked AS MATERIALIZED (
                SELECT line.exchange, line.symbol, line.day
                FROM coverage_days AS line
                JOIN wanted USING (exchange, symbol, day)
                WHERE line.dataset = $1
                ORDER BY line.symbol COLLATE "C", line.day
                FOR UPDATE OF line
            ),
            marked AS (
                UPDATE coverage_days AS line
                SET have = wanted.kept, expired = wanted.gone, dirty = wanted.dirty
                FROM wanted JOIN locked USING (exchange, symbol, day)
                WHERE line.exchange = wanted.exchange AND line.dataset = $1
                  AND line.symbol = wanted.symbol AND line.day = wanted.day
                RETURNING wanted.gone - wanted.before AS more
            )
            SELECT count(*), coalesce(sum(more), 0) FROM marked
            $statement$,
            held.relation, held.time_column
        ) INTO lines, rows_expired USING held.dataset, t, held.late, oldest_kept;
        RETURN NEXT;
    END LOOP;
END
$function$;

-- PostgreSQL lets everybody execute a new function.
REVOKE ALL ON FUNCTION expire(timestamptz) FROM PUBLIC;
