-- How many ids were missing between the trades that bars were made of. Fewer now: trades came that these bars lack.
ALTER TABLE bar_state ADD COLUMN missing_ids bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN bar_state.missing_ids IS 'Ids without a trade between begun_id and the last trade taken, when it was taken.';
