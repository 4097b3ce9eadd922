"""The live candles: from the stream through the buffer into the database."""

from __future__ import annotations

from prometheus_client import Gauge

from .families import DURATION_BUCKETS, Families

_CLOSE_TO_COMMIT_BUCKETS = (0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 7, 10, 15, 20, 35, 60, 120, 300, 900, 3600)


class LiveFamilies(Families):
    """Metrics of the stream, of rows on their way, and of writing them."""

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
            "flush_duration_seconds", "Wall time of one flush.", DURATION_BUCKETS
        )
        self.close_to_commit = self._histogram(
            "close_to_commit_seconds",
            "Venue time from a minute's end to the commit of its live candle.",
            _CLOSE_TO_COMMIT_BUCKETS,
        )
        self.last_commit = self._gauge("last_commit_timestamp_seconds", "Venue time of the newest commit.")
        self.database_up = self._gauge("database_up", "1 while the writer has a working session, else 0.")
        self.standby = self._gauge(
            "standby",
            "1 while another instance has the lock of the live candles and this one waits for it, else 0.",
        )
        self.database_errors = self._counter(
            "database_errors", "Failed database calls by class of SQLSTATE or none.", "sqlstate_class"
        )
