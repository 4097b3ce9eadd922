-- What the daemon's role may do, and nothing else: no DELETE, no TRUNCATE, no DDL. The names in braces are
-- filled in as quoted identifiers by the migration runner when DATABASE_URL and DATABASE_OWNER_URL name two roles.
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
GRANT USAGE ON SCHEMA {schema} TO {role};
GRANT TEMPORARY ON DATABASE {database} TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role};
GRANT INSERT, UPDATE ON {schema}.candles_1m TO {role};
GRANT INSERT ON {schema}.gap_events TO {role};
GRANT INSERT, UPDATE (times_seen, last_seen, detail) ON {schema}.rejected_rows TO {role};
GRANT INSERT, UPDATE (stopped_at, clean) ON {schema}.daemon_runs TO {role};
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA {schema} FROM {role};
GRANT INSERT, UPDATE ON {schema}.rate_limit_state TO {role};
GRANT EXECUTE ON FUNCTION {schema}.expire(timestamptz) TO {role};
GRANT INSERT, UPDATE ON {schema}.instruments, {schema}.coverage_days, {schema}.absent_minutes TO {role};
GRANT INSERT, UPDATE ON {schema}.takeovers TO {role};
GRANT INSERT, UPDATE ON {schema}.binance_futures_metrics_5m, {schema}.funding_rates, {schema}.alpha_tokens TO {role};
GRANT INSERT, UPDATE ON {schema}.archive_files, {schema}.archive_listings, {schema}.backfill_requests TO {role};
GRANT INSERT ON {schema}.agg_trades TO {role};
GRANT INSERT, UPDATE ON {schema}.trade_reach, {schema}.trade_gaps TO {role};
-- A reorg takes swaps back, and with them what was followed.
GRANT INSERT, UPDATE, DELETE ON {schema}.uniswap_swaps, {schema}.swap_ranges, {schema}.chain_blocks TO {role};
GRANT INSERT, UPDATE, DELETE ON {schema}.block_headers TO {role};
GRANT INSERT, UPDATE ON {schema}.pools TO {role};
GRANT INSERT, UPDATE, DELETE ON {schema}.bars, {schema}.bar_state TO {role};
GRANT INSERT, UPDATE ON {schema}.bar_fronts TO {role};
GRANT INSERT, DELETE ON {schema}.candle_changes TO {role};
GRANT INSERT, UPDATE ON {schema}.analysis_results TO {role};
GRANT INSERT, UPDATE, DELETE ON {schema}.price_levels TO {role};
-- Tasks that are long over are forgotten, and the queue is the package's own affair.
GRANT INSERT, UPDATE, DELETE ON {schema}.tasks TO {role};
GRANT INSERT ON {schema}.task_logs TO {role};
GRANT INSERT, UPDATE, DELETE ON {schema}.procrastinate_jobs, {schema}.procrastinate_events TO {role};
GRANT INSERT, UPDATE, DELETE ON {schema}.procrastinate_workers, {schema}.procrastinate_periodic_defers TO {role};
-- Their numbers come from sequences of the old kind, which have rights of their own.
GRANT USAGE ON SEQUENCE {schema}.procrastinate_jobs_id_seq, {schema}.procrastinate_events_id_seq TO {role};
GRANT USAGE ON SEQUENCE {schema}.procrastinate_periodic_defers_id_seq TO {role};
-- Results that an analysis makes anew; a batch itself stays.
GRANT INSERT, DELETE ON {schema}.price_series, {schema}.arbitrage_opportunities TO {role};
GRANT INSERT, UPDATE ON {schema}.batches TO {role};
GRANT EXECUTE ON FUNCTION {schema}.expire_trades(timestamptz) TO {role};
GRANT EXECUTE ON FUNCTION {schema}.fit_trades(text, text[]) TO {role};
GRANT EXECUTE ON FUNCTION {schema}.account_trades(
    text, text[], timestamptz[], bigint[], bigint[], timestamptz[], timestamptz[]
) TO {role};
GRANT INSERT ON {schema}.level_fetches TO {role};
GRANT INSERT, UPDATE ON {schema}.alerts, {schema}.alert_events TO {role};
