"""Every metric of marketd, declared once. Made by ``wiring``, passed to whoever counts.

Names follow the Prometheus conventions: base units, ``_total`` on counters, timestamps instead of ages, and
no label whose values are not a short fixed list. Nothing is labelled by symbol.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

_FLUSH_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_CLOSE_TO_COMMIT_BUCKETS = (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 7, 10, 15, 20, 35, 60, 120, 300, 900, 3600)
_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class Metrics:
    """One process's metric families on one registry; attributes carry the name without its prefix."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # One more series for every counter and histogram, which nobody here asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry or CollectorRegistry()
        self._stream()
        self._rows()
        self._ledger()
        self._write()
        self._rest()
        self._rate_limits()
        self._backfill()
        self._process()
        self._retention()
        self._futures_metrics()
        self._archive()

    def _stream(self) -> None:
        self.ws_frames = self._counter(
            "ws_frames",
            "Frames received, by kind: open and closed klines, canary, contract, control, other, malformed.",
            "kind",
        )
        self.ws_bytes = self._counter("ws_received_bytes", "Bytes of frames received.")
        self.ws_connections = self._gauge(
            "ws_connections", "Stream connections by state: connecting, live, draining, waiting.", "state"
        )
        self.ws_reconnects = self._counter(
            "ws_reconnects", "Connections that ended and were made anew, by reason.", "reason"
        )
        self.ws_connection_attempts = self._counter(
            "ws_connection_attempts", "Handshakes tried, by result: ok, refused, failed, timeout.", "result"
        )
        self.ws_resubscribes = self._counter(
            "ws_resubscribes", "Symbols subscribed again, by action: same_connection, moved.", "action"
        )
        self.ws_request_errors = self._counter(
            "ws_request_errors", "SUBSCRIBE and UNSUBSCRIBE requests that the venue answered with an error."
        )
        self.ws_last_data = self._gauge(
            "ws_last_data_frame_timestamp_seconds", "Venue time of the newest data frame on any connection."
        )
        self.symbols_expected = self._gauge(
            "symbols_expected", "Symbols that should have a candle every minute."
        )
        self.symbols_subscribed = self._gauge(
            "symbols_subscribed", "Symbols subscribed on a live connection."
        )
        self.symbols_stale = self._gauge(
            "symbols_stale", "Expected symbols whose newest candle is over 150 s old."
        )
        self.universe_changes = self._counter(
            "universe_changes",
            "Symbols that joined or left the universe while running, by change: added, removed.",
            "change",
        )
        self.roll_call_misses = self._counter(
            "roll_call_misses",
            "Symbols without their candle when asked for, by round: quiet, first, second.",
            "round",
        )
        self.roll_call_filled = self._counter(
            "roll_call_filled", "Candles that the roll call got over REST, by round.", "round"
        )
        self.symbols_quiet = self._gauge(
            "symbols_quiet", "Expected symbols that did not trade in the last minute."
        )

    def enable_symbol_gauge(self) -> Gauge:
        """Register the optional per-symbol gauge (bounded by the venue's list)."""
        return self._gauge(
            "symbol_last_open_time_seconds", "Open time of the newest stored candle.", "symbol"
        )

    def _rows(self) -> None:
        self.rows_received = self._counter("rows_received", "Candles received, by source.", "source")
        self.rows_deduped = self._counter(
            "rows_deduped",
            "Candles that added nothing, by where that was seen: buffer (waiting), database (stored).",
            "where",
        )
        self.rows_rejected = self._counter("rows_rejected", "Candles quarantined, by reason.", "reason")
        self.rows_dropped = self._counter(
            "rows_dropped", "Candles dropped from a full buffer; their minutes are gaps.", "reason"
        )
        self.rows_committed = self._counter(
            "rows_committed", "Candles stored, by source and result: inserted, replaced.", "source", "result"
        )
        self.inexact_values = self._counter(
            "inexact_values", "Numbers of more than 15 significant digits, stored rounded.", "field"
        )
        # Exported without the word "minutes", which promtool takes for a unit that should be seconds.
        self.gap_minutes_open = self._gauge(
            "missing_candles", "Symbol-minutes of the last 25 h known to be missing."
        )
        self.gap_candles_found = self._counter(
            "gap_candles_found", "Missing minutes found, by what told of them.", "reason"
        )
        self.gap_candles_filled = self._counter(
            "gap_candles_filled", "Missing minutes got back, by source.", "source"
        )

    def _write(self) -> None:
        self.buffer_rows = self._gauge("buffer_rows", "Candles waiting for their commit.")
        self.buffer_capacity_rows = self._gauge(
            "buffer_capacity_rows", "Candles the buffer holds before the oldest go."
        )
        self.buffer_oldest = self._gauge(
            "buffer_oldest_timestamp_seconds",
            "Venue time at which the oldest waiting candle arrived, 0 when empty.",
        )
        self.flush = self._counter(
            "flush", "Flushes by result: ok, retried, bisected, misconfigured.", "result"
        )
        self.flush_duration = self._histogram(
            "flush_duration_seconds", "Wall time of one flush.", _FLUSH_BUCKETS
        )
        self.close_to_commit = self._histogram(
            "close_to_commit_seconds",
            "Venue time from a minute's end to the commit of its live candle.",
            _CLOSE_TO_COMMIT_BUCKETS,
        )
        self.last_commit = self._gauge("last_commit_timestamp_seconds", "Venue time of the newest commit.")
        self.database_up = self._gauge("database_up", "1 while the writer has a working session, else 0.")
        self.database_errors = self._counter(
            "database_errors", "Failed database calls by class of SQLSTATE or none.", "sqlstate_class"
        )

    def _rest(self) -> None:
        self.rest_requests = self._counter(
            "rest_requests", "Requests sent, by endpoint and status code.", "endpoint", "code"
        )
        self.rest_duration = self._histogram(
            "rest_request_duration_seconds", "Wall time of one request.", _FLUSH_BUCKETS
        )
        self.symbols_rejected = self._counter(
            "symbols_rejected", "Entries of exchangeInfo left out as unusable, by reason.", "reason"
        )
        self.clock_offset = self._gauge("exchange_clock_offset_seconds", "Venue time minus this computer's.")

    def _rate_limits(self) -> None:
        self.rate_limit_allowed = self._gauge(
            "rate_limit_allowed", "What we allow ourselves in a window of the budget, by budget.", "budget"
        )
        self.rate_limit_used = self._gauge(
            "rate_limit_used",
            "What is used of the present window, by this process or as far as it knows by others, by budget.",
            "budget",
        )
        self.rate_limit_waiting = self._gauge(
            "rate_limit_waiting_requests",
            "Requests waiting for their budget, by budget and priority.",
            "budget",
            "priority",
        )
        self.rate_limit_ban_until = self._gauge(
            "rate_limit_ban_until_timestamp_seconds",
            "Venue time until which nobody may ask, 0 when free, by budget.",
            "budget",
        )
        self.rate_limit_shared = self._gauge(
            "rate_limit_shared",
            "1 while the budget is leased from the book that all processes share, else 0, by budget.",
            "budget",
        )
        self.rate_limit_leases = self._counter(
            "rate_limit_leases",
            "Leases asked for, by budget and result: granted, refused, reported (nothing wanted), failed,"
            " corrupt.",
            "budget",
            "result",
        )

    def _backfill(self) -> None:
        self.backfill_tasks = self._counter(
            "backfill_tasks",
            "Tasks of history by kind (daily, monthly, rest) and result: ok, missing, quarantined, refused,"
            " unanswered.",
            "kind",
            "result",
        )
        self.backfill_tasks_left = self._gauge("backfill_tasks_left", "Tasks planned and not done.")
        self.backfill_candles_left = self._gauge(
            "backfill_candles_left", "Missing candles that planned tasks are to fill."
        )
        self.backfill_paused = self._gauge(
            "backfill_paused", "1 while no file is downloaded, by reason: folder, disk_low.", "reason"
        )
        self.history_open_days = self._gauge(
            "history_incomplete", "Symbol-days in reach of the patrol that are not complete."
        )
        self.absent_candles = self._counter("absent_candles", "Candles found to exist nowhere, with proof.")
        self.verified_files = self._counter(
            "verified_files",
            "Daily files compared with what is stored, by result: equal, corrected, missing, quarantined,"
            " unanswered.",
            "result",
        )

    def _process(self) -> None:
        self.build_info = self._gauge("build_info", "Always 1.", "version")
        self.event_loop_lag = self._histogram(
            "event_loop_lag_seconds", "How late a timer fired.", _LAG_BUCKETS
        )
        self.clean_start = self._gauge(
            "clean_start", "1 the last run ended by itself, 0 it did not, -1 not known."
        )
        self.supervisor_restarts = self._counter(
            "supervisor_restarts", "Collectors restarted after a failure.", "collector"
        )
        self.log_suppressed = self._counter("log_suppressed", "Log lines left out because they repeated.")
        self.log_lost = self._counter(
            "log_lost", "Log lines not written: disk full, pipe closed, reader stalled."
        )

    def _retention(self) -> None:
        self.chunks_expired = self._counter(
            "chunks_expired",
            "Chunks dropped because RETENTION_DAYS no longer keeps them, by dataset.",
            "dataset",
        )
        self.rows_expired = self._counter(
            "rows_expired", "Rows that became expired in the ledger, dropped or never filled.", "dataset"
        )
        self.retention_last_run = self._gauge(
            "retention_last_run_timestamp_seconds",
            "Venue time at which retention was last enforced, 0 never.",
        )

    def _archive(self) -> None:
        self.archive_requests = self._counter(
            "archive_requests",
            "Requests to the archive, by kind (file, checksum, list) and status code.",
            "kind",
            "code",
        )
        self.archive_bytes = self._counter("archive_received_bytes", "Bytes of archive files received.")
        self.archive_downloads = self._counter(
            "archive_downloads", "Archive files downloaded, by result: ok, checksum (thrown away).", "result"
        )
        self.archive_entries_rejected = self._counter(
            "archive_entries_rejected", "Entries of the archive's listing left out, by reason.", "reason"
        )
        self.archive_imports = self._counter(
            "archive_imports",
            "Archive files imported, by what they were: first, republished, same (not read again).",
            "kind",
        )
        self.import_workers_lost = self._counter(
            "import_workers_lost", "Times that a file lost its import process: ended, hung, killed."
        )

    def _ledger(self) -> None:
        self.ledger_corrections = self._counter(
            "ledger_corrections",
            "Lines of the coverage ledger that the rolling audit found wrong and mended, by dataset.",
            "dataset",
        )
        self.gap_symbols_searched = self._counter(
            "gap_symbols_searched",
            "Symbols whose minutes were searched, because the ledger said that one may be missing.",
        )
        self.listings_known = self._gauge(
            "listings_known", "Listing intervals in the database, living and delisted."
        )
        self.ledger_followed = self._gauge(
            "ledger_followed_timestamp_seconds", "Venue time until which the ledger knows what is due."
        )

    def _futures_metrics(self) -> None:
        self.metric_rows = self._counter(
            "metric_rows",
            "Rows of futures metrics stored, by source and result: inserted, replaced.",
            "source",
            "result",
        )
        self.metric_rows_rejected = self._counter(
            "metric_rows_rejected",
            "Rows of futures metrics, funding and Alpha tokens left out as unusable, by dataset and reason.",
            "dataset",
            "reason",
        )
        self.metric_rows_repeated = self._counter(
            "metric_rows_repeated",
            "Rows of futures metrics that came again although they were not asked for.",
        )
        self.metric_requests_failed = self._counter(
            "metric_requests_failed",
            "Requests of the metrics sweep without an answer, by series and reason; asked again later.",
            "series",
            "reason",
        )
        self.metric_series_resting = self._gauge(
            "metric_series_resting", "1 while a series that keeps failing is left alone, else 0.", "series"
        )
        self.metric_sweep_duration = self._gauge(
            "metric_sweep_duration_seconds", "Venue time the last whole sweep took."
        )
        self.metric_symbols_behind = self._gauge(
            "metric_symbols_behind",
            "Symbols of which some series was over 25 min behind at the end of the last sweep.",
        )
        self.metric_files = self._counter(
            "metric_files",
            "Archive files of metrics and funding, by dataset and result: imported, refused, missing, failed.",
            "dataset",
            "result",
        )
        self.metric_archive_checks = self._counter(
            "metric_archive_checks",
            "Comparisons of the newest archive day of metrics with REST, by result: agrees, disagrees, unknown.",
            "result",
        )
        self.metric_archive_disagrees = self._gauge(
            "metric_archive_disagrees",
            "1 while archive and REST disagree and no archive day is merged, else 0.",
        )
        self.funding_rows = self._counter(
            "funding_rows",
            "Settlements of funding stored, by source and result: inserted, replaced.",
            "source",
            "result",
        )
        self.alpha_tokens = self._gauge("alpha_tokens", "Alpha tokens in the last good list.")
        self.alpha_refreshes = self._counter(
            "alpha_refreshes", "Readings of the Alpha list, by result: ok, failed.", "result"
        )
        self.alpha_last_refresh = self._gauge(
            "alpha_last_refresh_timestamp_seconds", "Venue time of the last good list, 0 never."
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"marketd_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"marketd_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"marketd_{name}", text, buckets=buckets, registry=self.registry)
