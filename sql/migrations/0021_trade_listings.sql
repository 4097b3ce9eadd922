-- Trades are accounted for by listing: a symbol that was listed again is another contract, whose ids begin anew
-- (docs/adr/0047-trades-by-listing.md). The rows need nothing: their key holds the time.
--
-- listing_ts is when the listing begins, as in listing_cuts; 1970 for the first one, or the only one that is known. That
-- line is there for every symbol that has any, and locking it is locking the symbol.
ALTER TABLE trade_reach ADD COLUMN listing_ts timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00';
ALTER TABLE trade_reach ADD COLUMN oldest_ts timestamptz;
ALTER TABLE trade_reach ADD COLUMN newest_ts timestamptz;
ALTER TABLE trade_reach DROP CONSTRAINT trade_reach_pkey;
ALTER TABLE trade_reach ADD CONSTRAINT trade_reach_pkey PRIMARY KEY (exchange, symbol, listing_ts);
COMMENT ON TABLE trade_reach IS 'The first and the last stored trade of each listing; nothing but what trade_gaps says is missing between.';
COMMENT ON COLUMN trade_reach.listing_ts IS 'When the listing begins; 1970 for a symbol''s first one.';
COMMENT ON COLUMN trade_reach.oldest_ts IS 'No trade of this line is older, newest_ts: or newer. NULL: no older or newer than first_ts and last_ts.';

ALTER TABLE trade_gaps ADD COLUMN listing_ts timestamptz NOT NULL DEFAULT '1970-01-01 00:00:00+00';
COMMENT ON COLUMN trade_gaps.listing_ts IS 'Whose ids they are, as in trade_reach.';

COMMENT ON COLUMN bar_state.missing_ids IS 'Ids without a trade between begun_id and the last trade taken, when it was taken; for each listing in between less those that had one.';
