"""The process itself, its requests and the budgets it shares."""

from __future__ import annotations

from .families import DURATION_BUCKETS, Families

_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5, 10)


class ProcessFamilies(Families):
    """Metrics of requests, of their budgets, and of the process."""

    def _rest(self) -> None:
        self.rest_requests = self._counter(
            "rest_requests", "Requests sent, by endpoint and status code.", "endpoint", "code"
        )
        self.rest_duration = self._histogram(
            "rest_request_duration_seconds", "Wall time of one request.", DURATION_BUCKETS
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

    def _process(self) -> None:
        self.build_info = self._gauge("build_info", "Always 1.", "version")
        self.role = self._gauge("role", "1 for each role of this process.", "role")
        self.event_loop_lag = self._histogram(
            "event_loop_lag_seconds", "How late a timer fired.", _LAG_BUCKETS
        )
        self.event_loop_tasks = self._gauge(
            "event_loop_tasks", "Tasks of the event loop, counted ten times a second."
        )
        self.memory_limit_used = self._gauge(
            "memory_limit_used_ratio",
            "Used share of the memory limit of the control group, this process and its children; 0 without a limit.",
        )
        self.memory_shedding = self._gauge(
            "memory_shedding", "1 while this is shed for want of memory: history, api, buffer.", "load"
        )
        self.clean_start = self._gauge(
            "clean_start", "1 the last run ended by itself, 0 it did not, -1 not known."
        )
        self.supervisor_restarts = self._counter(
            "supervisor_restarts", "Collectors restarted after a failure.", "collector"
        )
        self.collectors_stuck = self._gauge(
            "collectors_stuck",
            "Collectors of which nothing has gone on for half an hour, and that wait for nothing outside.",
        )
        self.service_notifications = self._counter(
            "service_notifications", "Messages to the service manager, by result: sent, failed.", "result"
        )
        self.log_suppressed = self._counter("log_suppressed", "Log lines left out because they repeated.")
        self.log_lost = self._counter(
            "log_lost", "Log lines not written: disk full, pipe closed, reader stalled."
        )
