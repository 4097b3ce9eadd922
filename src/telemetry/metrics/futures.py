"""Futures metrics, funding and the Alpha list."""

from __future__ import annotations

from .families import Families


class FuturesFamilies(Families):
    """Metrics of what is collected beside the candles."""

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

    def _metric_files(self) -> None:
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

    def _funding(self) -> None:
        self.funding_rows = self._counter(
            "funding_rows",
            "Settlements of funding stored, by source and result: inserted, replaced.",
            "source",
            "result",
        )

    def _alpha(self) -> None:
        self.alpha_tokens = self._gauge("alpha_tokens", "Alpha tokens in the last good list.")
        self.alpha_refreshes = self._counter(
            "alpha_refreshes", "Readings of the Alpha list, by result: ok, failed.", "result"
        )
        self.alpha_last_refresh = self._gauge(
            "alpha_last_refresh_timestamp_seconds", "Venue time of the last good list, 0 never."
        )

    def _trades(self) -> None:
        self.trades_received = self._counter(
            "trades_received", "Aggregate trades received, by source: stream, rest, archive.", "source"
        )
        self.trades_stored = self._counter(
            "trades_stored", "Aggregate trades stored, by source: stream, rest, archive.", "source"
        )
        self.trades_repeated = self._counter(
            "trades_repeated", "Aggregate trades whose ids were stored already, by source.", "source"
        )
        self.trades_rejected = self._counter(
            "trades_rejected", "Aggregate trades left out as unusable, by reason.", "reason"
        )
        self.trades_dropped = self._counter(
            "trades_dropped", "Aggregate trades dropped from a full buffer; their ids are gaps.", "reason"
        )
        self.trades_waiting = self._gauge("trades_waiting", "Aggregate trades in memory, not stored yet.")
        self.trade_gap_ids = self._counter(
            "trade_gap_ids", "Ids of aggregate trades that were found missing between stored ones."
        )
        self.trade_gaps_open = self._gauge(
            "trade_gaps_open", "Gaps between stored ids that were due to be looked for at the last look."
        )
        self.trade_files = self._counter(
            "trade_files", "Archive files of trades, by result: imported, refused, missing, failed.", "result"
        )
        self.trade_symbols_subscribed = self._gauge(
            "trade_symbols_subscribed", "Symbols whose trades are subscribed on a live connection."
        )
