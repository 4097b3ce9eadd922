-- Whoever deletes rows by hand makes their days dirty: the ledger no longer knows how many there are, and counts anew.
-- Bars that were made of deleted candles are made again without them. An archive file that held deleted candles is no
-- proof any more that a minute exists nowhere: it counts as listed, not as imported, until it was read again. So does the
-- file of a month of funding, which is read again because of that.
--
-- One statement trigger with a transition table a hypertable; a trigger per row would cost what deleting costs.
-- Arguments: the dataset, the column with the row's time, and what lies between that time and the ledger's (a metric
-- is labelled by the end of its period). SECURITY DEFINER: who deletes need not have a right on the ledger.
-- Dropping a chunk fires no trigger; expire() accounts for those rows itself.
CREATE OR REPLACE FUNCTION mark_days_dirty() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
BEGIN
    EXECUTE format(
        $statement$
        WITH touched AS (
            SELECT DISTINCT exchange, symbol, ((%I - %L::interval) AT TIME ZONE 'UTC')::date AS day FROM gone
        ), locked AS (
            SELECT line.exchange, line.dataset, line.symbol, line.day
            FROM coverage_days AS line
            JOIN touched USING (exchange, symbol, day)
            WHERE line.dataset = %L
            ORDER BY line.symbol COLLATE "C", line.day
            FOR UPDATE OF line
        )
        UPDATE coverage_days AS line SET dirty = true, verified_at = NULL
        FROM locked
        WHERE (line.exchange, line.dataset, line.symbol, line.day)
            = (locked.exchange, locked.dataset, locked.symbol, locked.day)
        $statement$,
        TG_ARGV[1], TG_ARGV[2], TG_ARGV[0]
    );
    IF TG_ARGV[0] = 'candles_1m' THEN
        INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts)
        SELECT exchange, (bucket_ts AT TIME ZONE 'UTC')::date AS day, symbol,
               min(bucket_ts), max(bucket_ts) + interval '1 minute'
        FROM gone
        GROUP BY exchange, symbol, day;
        UPDATE archive_files AS file SET state = 'listed'
        FROM (SELECT DISTINCT exchange, symbol, (bucket_ts AT TIME ZONE 'UTC')::date AS day FROM gone) AS touched
        WHERE file.exchange = touched.exchange
          AND file.dataset = 'candles_1m'
          AND file.symbol = touched.symbol
          AND file.first_day IN (touched.day, date_trunc('month', touched.day::timestamp)::date)
          AND (file.span = 'monthly' OR file.first_day = touched.day)
          AND file.state = 'imported';
    ELSIF TG_ARGV[0] = 'funding' THEN
        UPDATE archive_files AS file SET state = 'listed'
        FROM (
            SELECT DISTINCT exchange, symbol, date_trunc('month', funding_time AT TIME ZONE 'UTC')::date AS month FROM gone
        ) AS touched
        WHERE file.exchange = touched.exchange
          AND file.dataset = 'funding'
          AND file.symbol = touched.symbol
          AND file.first_day = touched.month
          AND file.state = 'imported';
    END IF;
    RETURN NULL;
END
$function$;

-- Only the owner may TRUNCATE; then every day of the dataset is to be counted anew.
CREATE OR REPLACE FUNCTION mark_dataset_dirty() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
BEGIN
    IF TG_ARGV[0] = 'candles_1m' THEN
        INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts)
        SELECT exchange, day, symbol, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC'
        FROM coverage_days
        WHERE dataset = 'candles_1m' AND have > 0;
    END IF;
    IF TG_ARGV[0] IN ('candles_1m', 'funding') THEN
        UPDATE archive_files SET state = 'listed' WHERE dataset = TG_ARGV[0] AND state = 'imported';
    END IF;
    UPDATE coverage_days SET dirty = true, verified_at = NULL WHERE dataset = TG_ARGV[0] AND have > 0;
    RETURN NULL;
END
$function$;
-- Else anybody could hang them on a temporary table, and they would do this as the owner.
REVOKE ALL ON FUNCTION mark_days_dirty(), mark_dataset_dirty() FROM PUBLIC;

-- Made once: making them again would lock the tables against the running daemon.
DO $do$
DECLARE
    counted record;
BEGIN
    FOR counted IN
        SELECT * FROM (VALUES
            ('candles_1m', 'candles_1m', 'bucket_ts', '0 minutes'),
            ('binance_futures_metrics_5m', 'metrics_5m', 'create_time', '5 minutes'),
            ('funding_rates', 'funding', 'funding_time', '0 minutes')
        ) AS counted (relation, dataset, time_column, late)
    LOOP
        IF NOT EXISTS (
            SELECT FROM pg_trigger
            WHERE tgrelid = counted.relation::regclass AND tgname = counted.relation || '_mark_days_dirty'
        ) THEN
            EXECUTE format(
                'CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS gone'
                ' FOR EACH STATEMENT EXECUTE FUNCTION mark_days_dirty(%L, %L, %L)',
                counted.relation || '_mark_days_dirty', counted.relation, counted.dataset, counted.time_column,
                counted.late
            );
            EXECUTE format(
                'CREATE TRIGGER %I AFTER TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION mark_dataset_dirty(%L)',
                counted.relation || '_mark_dataset_dirty', counted.relation, counted.dataset
            );
        END IF;
    END LOOP;
END
$do$;
