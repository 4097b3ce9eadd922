-- Keeps the old row of every overwrite that changes a market value, and tells whoever makes bars of candles.
--
-- SECURITY DEFINER: the writer fires it without a grant on candle_revisions, so it can add to that ledger only by
-- really overwriting a candle. SET search_path FROM CURRENT fixes the names to the schema of this migration run.
CREATE OR REPLACE FUNCTION record_candle_revision() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
BEGIN
    INSERT INTO candle_revisions (
        exchange, symbol, bucket_ts, open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume,
        taker_buy_quote_volume, ingested_at, revision, authority, source, new_revision, new_authority, new_source
    ) VALUES (
        OLD.exchange, OLD.symbol, OLD.bucket_ts, OLD.open, OLD.high, OLD.low, OLD.close, OLD.volume,
        OLD.quote_volume, OLD.trade_count, OLD.taker_buy_volume, OLD.taker_buy_quote_volume, OLD.ingested_at,
        OLD.revision, OLD.authority, OLD.source, NEW.revision, NEW.authority, NEW.source
    );
    INSERT INTO candle_changes (exchange, day, symbol, from_ts, to_ts) VALUES (
        NEW.exchange, (NEW.bucket_ts AT TIME ZONE 'UTC')::date, NEW.symbol, NEW.bucket_ts,
        NEW.bucket_ts + interval '1 minute'
    );
    RETURN NULL;
END
$function$;
-- Else anybody could hang it on a temporary table, and it would do this as the owner.
REVOKE ALL ON FUNCTION record_candle_revision() FROM PUBLIC;

-- Made once: dropping and making it again would lock the table against the running daemon.
DO $do$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_trigger WHERE tgrelid = 'candles_1m'::regclass AND tgname = 'candles_1m_keep_old_row'
    ) THEN
        CREATE TRIGGER candles_1m_keep_old_row AFTER UPDATE ON candles_1m
        FOR EACH ROW
        WHEN ((OLD.exchange, OLD.symbol, OLD.bucket_ts, OLD.open, OLD.high, OLD.low, OLD.close, OLD.volume,
               OLD.quote_volume, OLD.trade_count, OLD.taker_buy_volume, OLD.taker_buy_quote_volume)
              IS DISTINCT FROM
              (NEW.exchange, NEW.symbol, NEW.bucket_ts, NEW.open, NEW.high, NEW.low, NEW.close, NEW.volume,
               NEW.quote_volume, NEW.trade_count, NEW.taker_buy_volume, NEW.taker_buy_quote_volume))
        EXECUTE FUNCTION record_candle_revision();
    END IF;
END
$do$;
