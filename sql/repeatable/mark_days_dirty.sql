-- Whoever deletes rows by hand makes their days dirty: the ledger no longer knows how many there are, and counts anew.
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
        UPDATE coverage_days AS line SET dirty = true
        FROM locked
        WHERE (line.exchange, line.dataset, line.symbol, line.day)
            = (locked.exchange, locked.dataset, locked.symbol, locked.day)
        $statement$,
        TG_ARGV[1], TG_ARGV[2], TG_ARGV[0]
    );
    RETURN NULL;
END
$function$;

-- Only the owner may TRUNCATE; then every day of the dataset is to be counted anew.
CREATE OR REPLACE FUNCTION mark_dataset_dirty() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
BEGIN
    UPDATE coverage_days SET dirty = true WHERE dataset = TG_ARGV[0] AND have > 0;
    RETURN NULL;
END
$function$;

-- Made once: making them again would lock the table against the running daemon.
DO $do$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = 'candles_1m'::regclass AND tgname = 'candles_1m_mark_days_dirty'
    ) THEN
        CREATE TRIGGER candles_1m_mark_days_dirty AFTER DELETE ON candles_1m
        REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION mark_days_dirty('candles_1m', 'bucket_ts', '0 minutes');
    END IF;
    IF NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = 'candles_1m'::regclass AND tgname = 'candles_1m_mark_dataset_dirty'
    ) THEN
        CREATE TRIGGER candles_1m_mark_dataset_dirty AFTER TRUNCATE ON candles_1m
        FOR EACH STATEMENT EXECUTE FUNCTION mark_dataset_dirty('candles_1m');
    END IF;
END
$do$;
