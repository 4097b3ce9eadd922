-- Brings the ledger of trades into agreement with the listings that are known: a listing may become known, move or go after
-- trades were stored (docs/adr/0047-trades-by-listing.md). Costs a look at a few lines where all is as it should be.

-- Lines that hold trades of another listing than their own. oldest and newest bound the times of a line's trades.
CREATE OR REPLACE VIEW trade_misfits AS
SELECT line.exchange, line.symbol, line.listing_ts, line.oldest, line.newest, home.listing_ts AS home_ts
FROM (
    SELECT exchange, symbol, listing_ts,
           coalesce(oldest_ts, least(first_ts, last_ts)) AS oldest,
           coalesce(newest_ts, greatest(first_ts, last_ts)) AS newest
    FROM trade_reach
    WHERE first_id IS NOT NULL
) AS line
CROSS JOIN LATERAL (
    SELECT coalesce(max(cut_ts), '1970-01-01 00:00:00+00') AS listing_ts
    FROM listing_cuts AS cut
    WHERE cut.exchange = line.exchange AND cut.symbol = line.symbol AND cut.cut_ts <= line.oldest
) AS home
WHERE home.listing_ts <> line.listing_ts
   OR EXISTS (
       SELECT FROM listing_cuts AS cut
       WHERE cut.exchange = line.exchange AND cut.symbol = line.symbol
         AND cut.cut_ts > line.oldest AND cut.cut_ts <= line.newest
   );

-- A whole line becomes another listing's. What that has already is joined with it, as if it were stored now.
CREATE OR REPLACE FUNCTION move_trades(
    for_exchange text, for_symbol text, from_listing timestamptz, to_listing timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    reach trade_reach;
    taken boolean;
    runs record;
BEGIN
    SELECT * INTO STRICT reach FROM trade_reach
    WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = from_listing;
    SELECT EXISTS (
        SELECT FROM trade_reach
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = to_listing AND first_id IS NOT NULL
    ) INTO taken;
    -- The runs between the gaps: a gap knows the times of the trades on both sides.
    WITH gap AS (
        SELECT first_id, last_id, after_ts, before_ts FROM trade_gaps
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = from_listing
          AND state IN ('open', 'left', 'absent')
          AND first_id > reach.first_id AND last_id < reach.last_id
    ),
    begins AS (
        SELECT id, ts, row_number() OVER (ORDER BY id) AS number
        FROM (SELECT reach.first_id AS id, reach.first_ts AS ts UNION ALL SELECT last_id + 1, before_ts FROM gap) AS every
    ),
    ends AS (
        SELECT id, ts, row_number() OVER (ORDER BY id) AS number
        FROM (SELECT reach.last_id AS id, reach.last_ts AS ts UNION ALL SELECT first_id - 1, after_ts FROM gap) AS every
    )
    SELECT array_agg(begins.id) AS first_ids, array_agg(ends.id) AS last_ids,
           array_agg(begins.ts) AS first_ts, array_agg(ends.ts) AS last_ts, count(*)::integer AS number
    INTO runs
    FROM begins JOIN ends USING (number)
    WHERE begins.id <= ends.id;
    IF taken THEN
        DELETE FROM trade_gaps
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = from_listing
          AND state IN ('open', 'left', 'absent');
    ELSE
        INSERT INTO trade_reach AS line (
            exchange, symbol, listing_ts, first_id, last_id, first_ts, last_ts, oldest_ts, newest_ts
        ) VALUES (
            for_exchange, for_symbol, to_listing, reach.first_id, reach.last_id, reach.first_ts, reach.last_ts,
            reach.oldest_ts, reach.newest_ts
        )
        ON CONFLICT (exchange, symbol, listing_ts) DO UPDATE SET
            first_id = excluded.first_id, last_id = excluded.last_id, first_ts = excluded.first_ts,
            last_ts = excluded.last_ts, oldest_ts = excluded.oldest_ts, newest_ts = excluded.newest_ts;
        UPDATE trade_gaps SET listing_ts = to_listing
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = from_listing;
    END IF;
    -- The line of 1970 stays, empty: it is the symbol's lock.
    IF from_listing = '1970-01-01 00:00:00+00' THEN
        UPDATE trade_reach
        SET first_id = NULL, last_id = NULL, first_ts = NULL, last_ts = NULL, oldest_ts = NULL, newest_ts = NULL
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = from_listing;
    ELSE
        DELETE FROM trade_reach
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = from_listing;
    END IF;
    IF taken AND runs.number > 0 THEN
        PERFORM account_trades(
            for_exchange, array_fill(for_symbol, ARRAY[runs.number]), array_fill(to_listing, ARRAY[runs.number]),
            runs.first_ids, runs.last_ids, runs.first_ts, runs.last_ts
        );
        -- Between the ends of a run there may be trades that are older or newer than both.
        UPDATE trade_reach SET
            oldest_ts = least(oldest_ts, reach.oldest_ts), newest_ts = greatest(newest_ts, reach.newest_ts)
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = to_listing;
    END IF;
END
$function$;
REVOKE ALL ON FUNCTION move_trades(text, text, timestamptz, timestamptz) FROM PUBLIC;

-- Trades of a line that were traded in [cut, until) go to the line of the listing that begins at the cut.
CREATE OR REPLACE FUNCTION cut_trades(
    for_exchange text, for_symbol text, from_listing timestamptz, cut timestamptz, until_ts timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    runs record;
BEGIN
    WITH placed AS (
        SELECT trade_id, ts, trade_id - row_number() OVER (ORDER BY trade_id) AS run
        FROM agg_trades
        WHERE exchange = for_exchange AND symbol = for_symbol AND ts >= cut AND ts < until_ts
    ),
    run AS (
        SELECT min(trade_id) AS first_id, max(trade_id) AS last_id,
               first(ts, trade_id) AS first_ts, last(ts, trade_id) AS last_ts,
               min(ts) AS oldest_ts, max(ts) AS newest_ts
        FROM placed
        GROUP BY run
    )
    SELECT array_agg(first_id) AS first_ids, array_agg(last_id) AS last_ids,
           array_agg(first_ts) AS first_ts, array_agg(last_ts) AS last_ts,
           min(oldest_ts) AS oldest_ts, max(newest_ts) AS newest_ts, count(*)::integer AS number
    INTO runs
    FROM run;
    IF runs.number > 0 THEN
        PERFORM lose_trades(for_exchange, for_symbol, from_listing, cut, runs.first_ids, runs.last_ids);
        PERFORM account_trades(
            for_exchange, array_fill(for_symbol, ARRAY[runs.number]), array_fill(cut, ARRAY[runs.number]),
            runs.first_ids, runs.last_ids, runs.first_ts, runs.last_ts
        );
        UPDATE trade_reach SET
            oldest_ts = least(oldest_ts, runs.oldest_ts), newest_ts = greatest(newest_ts, runs.newest_ts)
        WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = cut;
    END IF;
    UPDATE trade_reach SET newest_ts = least(newest_ts, cut - interval '1 millisecond')
    WHERE exchange = for_exchange AND symbol = for_symbol AND listing_ts = from_listing AND first_id IS NOT NULL;
END
$function$;
REVOKE ALL ON FUNCTION cut_trades(text, text, timestamptz, timestamptz, timestamptz) FROM PUBLIC;

-- The cuts of the symbols that have any, in order, UTC milliseconds; their trades are accounted for by them afterwards.
CREATE OR REPLACE FUNCTION fit_trades(for_exchange text, for_symbols text[])
RETURNS TABLE (symbol text, cuts bigint[])
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
#variable_conflict use_column
DECLARE
    misfit record;
    beyond record;
BEGIN
    IF EXISTS (SELECT FROM trade_misfits WHERE exchange = for_exchange AND symbol = ANY(for_symbols)) THEN
        PERFORM FROM trade_reach
        WHERE exchange = for_exchange AND symbol = ANY(for_symbols) AND listing_ts = '1970-01-01 00:00:00+00'
        ORDER BY symbol COLLATE "C"
        FOR UPDATE;
        LOOP
            -- One at a time: what is moved may make another line one that does not fit.
            SELECT * INTO misfit FROM trade_misfits
            WHERE exchange = for_exchange AND symbol = ANY(for_symbols)
            ORDER BY symbol COLLATE "C", listing_ts DESC
            LIMIT 1;
            EXIT WHEN NOT FOUND;
            IF misfit.home_ts <> misfit.listing_ts THEN
                PERFORM move_trades(for_exchange, misfit.symbol, misfit.listing_ts, misfit.home_ts);
            END IF;
            FOR beyond IN
                SELECT cut_ts, until_ts
                FROM (
                    SELECT cut_ts, lead(cut_ts, 1, 'infinity') OVER (ORDER BY cut_ts) AS until_ts
                    FROM listing_cuts
                    WHERE exchange = for_exchange AND symbol = misfit.symbol
                ) AS listing
                WHERE cut_ts > misfit.oldest AND cut_ts <= misfit.newest
                ORDER BY cut_ts DESC
            LOOP
                PERFORM cut_trades(for_exchange, misfit.symbol, misfit.home_ts, beyond.cut_ts, beyond.until_ts);
            END LOOP;
        END LOOP;
    END IF;
    RETURN QUERY
    SELECT symbol, array_agg((extract(epoch FROM cut_ts) * 1000)::bigint ORDER BY cut_ts)
    FROM listing_cuts
    WHERE exchange = for_exchange AND symbol = ANY(for_symbols)
    GROUP BY symbol;
END
$function$;
REVOKE ALL ON FUNCTION fit_trades(text, text[]) FROM PUBLIC;
