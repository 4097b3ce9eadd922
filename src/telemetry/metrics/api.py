"""HTTP and the live feed."""

from __future__ import annotations

from .families import DURATION_BUCKETS, Families

_DELAY_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class ApiFamilies(Families):
    """Metrics of requests, by the route they were for: a short fixed list, whatever is asked."""

    def _api(self) -> None:
        self.api_requests = self._counter(
            "api_requests",
            "Requests, by route and status code (0: the client left before); of gRPC by method and status.",
            "route",
            "code",
        )
        self.api_duration = self._histogram(
            "api_request_duration_seconds", "Wall time of one request.", DURATION_BUCKETS
        )
        self.api_refused = self._counter(
            "api_refused",
            "Requests and connections that were not taken or were cut off: a status code of the gate (401, 429 ..), or"
            " malformed, url, header, body, slow, deadline, connections, listeners, backlog, flood.",
            "reason",
        )
        self.api_connections = self._gauge(
            "api_connections", "Open connections, by kind: http, feed.", "kind"
        )
        self.api_cache_answers = self._counter(
            "api_cache_answers",
            "Requests that might be answered out of memory, by result: hit, miss (asked of the database).",
            "result",
        )
        self.api_cache_dropped = self._counter(
            "api_cache_dropped",
            "Answers no longer kept, by reason: expired, evicted (no room), changed (rows of it were stored).",
            "reason",
        )
        self.api_cache_bytes = self._gauge("api_cache_bytes", "Answers kept in memory, 32 MiB at most.")
        self.alert_events = self._counter("alert_events", "Candles that crossed the price of an alert.")
        self.alerts_behind = self._gauge(
            "alerts_behind", "Alerts whose candles were looked at up to more than an hour ago."
        )
        self.alert_deliveries = self._counter(
            "alert_deliveries",
            "Attempts to deliver an event to its target, by result: delivered, again, dead (given up).",
            "result",
        )
        self.feed_frames = self._counter("feed_frames", "Frames sent to listeners of the live feed.")
        self.feed_dropped = self._counter("feed_dropped", "Alerts not told: too many waited.")
        self.feed_delay = self._histogram(
            "feed_delay_seconds",
            "Wall time from the first thing to tell until everybody was told, a flush.",
            _DELAY_BUCKETS,
        )
