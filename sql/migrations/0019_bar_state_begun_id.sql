-- With which trade bars begin. Times may go back by a minute, so a time alone does not say which trades are behind it.
ALTER TABLE bar_state ADD COLUMN begun_id bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN bar_state.begun_id IS 'The first trade that was taken; begun_ts is the time that was asked for, or its own.';
