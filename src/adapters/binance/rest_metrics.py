"""The venue's REST side beside candles: five series of futures metrics, and funding, each with a budget of its own."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from ...config.network import endpoint
from ...errors import BadData, ConfigError, RateLimited, Retryable, Unavailable
from ...metric_ports import MetricSeries
from ...model import FIVE_MINUTES_MS, Dataset, FundingRate, FuturesMetric
from ...ports import Clock, Priority
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from .parse_funding import funding_intervals, rest_funding
from .parse_metrics import START_LABELLED, rest_metrics
from .rest import RestOptions
from .rest_http import GuardedSession

MAX_ROWS = 500
"""Rows in one answer of ``/futures/data``; how many are asked for does not change what it costs."""
MAX_SETTLEMENTS = 1000

_METHODS = {
    MetricSeries.OPEN_INTEREST: "fapiDataGetOpenInterestHist",
    MetricSeries.TOP_ACCOUNTS: "fapiDataGetTopLongShortAccountRatio",
    MetricSeries.TOP_POSITIONS: "fapiDataGetTopLongShortPositionRatio",
    MetricSeries.ACCOUNTS: "fapiDataGetGlobalLongShortAccountRatio",
    MetricSeries.TAKER: "fapiDataGetTakerlongshortRatio",
}
_ENDPOINTS = frozenset(
    {
        "openInterestHist",
        "topLongShortAccountRatio",
        "topLongShortPositionRatio",
        "globalLongShortAccountRatio",
        "takerlongshortRatio",
        "fundingRate",
        "fundingInfo",
    }
)
_WATCHED_CODES = ("200", "418", "429")

log = get_logger("rest")


class Budget(Protocol):
    """What is asked of a limiter: ``permit`` before a request, ``pause`` after a 429."""

    def permit(self, weight: int, priority: Priority) -> AbstractAsyncContextManager[None]: ...

    def pause(self, seconds: float) -> None: ...


class MetricsRest:
    """``metric_ports.MetricSource`` and ``FundingSource``. ``open`` before the first call; calls may run side by side.

    ``futures_data`` (five endpoints together) and ``funding`` are the limiters of these requests; a 429 or 418 pauses
    the one it came to. Nothing is tried twice here: whoever sweeps comes round again. Raises ``ConfigError`` for a base
    URL that is not TLS and not loopback.
    """

    def __init__(
        self, options: RestOptions, futures_data: Budget, funding: Budget, clock: Clock, metrics: Metrics
    ) -> None:
        try:
            self._base_url = endpoint(options.base_url, secure="https", plain="http")
        except ValueError as error:
            raise ConfigError(f"BINANCE_REST_URL: {error}") from None
        self._options, self._clock, self._metrics = options, clock, metrics
        self._futures_data, self._funding = futures_data, funding
        for name in _ENDPOINTS:
            for code in _WATCHED_CODES:
                metrics.rest_requests.labels(name, code)
        self._session: GuardedSession | None = None
        self._exchange: Any = None

    async def open(self) -> None:
        """Load ccxt (in a thread) and make the session; nothing is sent yet."""
        if self._session is not None:
            return
        module = await asyncio.to_thread(importlib.import_module, ".rest_ccxt", __package__)
        exchange = module.Exchange(self._base_url, self._clock.now)
        self._session = GuardedSession(
            self._base_url,
            proxy=self._options.proxy,
            timeout=self._options.timeout,
            on_answer=self._count,
            trusted=exchange.cafile,
            max_connections=16,
        )
        exchange.use(self._session)
        self._exchange = exchange

    async def close(self) -> None:
        exchange, session = self._exchange, self._session
        self._exchange = self._session = None
        if exchange is not None:
            await exchange.close()
        if session is not None:
            await session.close()

    async def between(
        self, series: MetricSeries, symbol: str, after_ms: int, until_ms: int
    ) -> list[FuturesMetric]:
        """See ``metric_ports.MetricSource``."""
        early_ms = FIVE_MINUTES_MS if series in START_LABELLED else 0
        first_ms = after_ms + FIVE_MINUTES_MS
        rows = min((until_ms - after_ms) // FIVE_MINUTES_MS, MAX_ROWS)
        query = {"startTime": first_ms - early_ms, "endTime": until_ms - early_ms, "limit": rows}
        found = await self._series(series, symbol, query)
        return [row for row in found if after_ms < row.end_ms <= until_ms]

    async def settlements(self, symbol: str | None, since_ms: int | None) -> list[FundingRate]:
        """See ``metric_ports.FundingSource``."""
        query: dict[str, object] = {"limit": MAX_SETTLEMENTS}
        if symbol is not None:
            query["symbol"] = symbol
        if since_ms is not None:
            query["startTime"] = since_ms
        answer = await self._send(self._funding, "fapiPublicGetFundingRate", query)
        try:
            found = rest_funding(answer, source=self._options.source)
        except BadData as error:
            raise Unavailable(str(error), reason="bad_json") from None
        self._reject(Dataset.FUNDING, found.rejected)
        return list(found.rows)

    async def intervals(self) -> dict[str, int]:
        """See ``metric_ports.FundingSource``."""
        answer = await self._send(self._funding, "fapiPublicGetFundingInfo", {})
        try:
            return funding_intervals(answer)
        except BadData as error:
            raise Unavailable(str(error), reason="bad_json") from None

    async def _series(
        self, series: MetricSeries, symbol: str, query: Mapping[str, object]
    ) -> list[FuturesMetric]:
        given = {"symbol": symbol, "period": "5m"} | dict(query)
        answer = await self._send(self._futures_data, _METHODS[series], given)
        try:
            found = rest_metrics(
                series, symbol, answer, source=self._options.source, asked_ms=self._clock.now_ms()
            )
        except BadData as error:
            raise Unavailable(str(error), reason="bad_json") from None
        self._reject(Dataset.METRICS, found.rejected)
        return list(found.rows)

    async def _send(self, budget: Budget, method: str, query: Mapping[str, object]) -> Any:
        async with budget.permit(1, Priority.METRICS):
            if self._exchange is None:
                raise Unavailable("the REST session is not open", reason="closed")
            try:
                return await getattr(self._exchange, method)(dict(query))
            except Retryable as error:
                if isinstance(error, RateLimited) or error.reason in ("forbidden", "restricted"):
                    budget.pause(error.retry_after)
                raise

    def _reject(self, dataset: Dataset, rejected: Mapping[str, int]) -> None:
        for reason, rows in rejected.items():
            self._metrics.metric_rows_rejected.labels(dataset.value, reason).inc(rows)
            log.warning(
                "metric_rows_rejected", msg=f"{rows} rows: {reason}", dataset=dataset.value, reason=reason
            )

    def _count(self, path: str, status: str, headers: Mapping[str, str], seconds: float) -> None:
        name = path.rpartition("/")[2]
        self._metrics.rest_requests.labels(name if name in _ENDPOINTS else "other", status).inc()
        self._metrics.rest_duration.observe(seconds)
