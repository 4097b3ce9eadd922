-- Chunks of bars hold eight times as many days as those of minutes: 2,000 bars of a day lie in 36 chunks instead of 286, each
-- of which costs 0.1 ms of planning. Of 740 symbols a chunk has 17 million bars then, where a week of minutes has 7 million.
-- Chunks that are there stay as they are.
SELECT set_chunk_time_interval('bars', make_interval(days => 8 * current_setting('marketd.chunk_days')::integer));
