"""The venue's REST side beside candles: five series of futures metrics, and funding, each with a budget of its own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from ....errors import BadData, Unavailable
from ....model import FIVE_MINUTES_MS, Dataset, FundingRate, FuturesMetric
from ....ports import Clock, Priority
from ....ports.metrics import MetricSeries
from ....slices import a_slice
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from ..parse.funding import funding_intervals, rest_funding
from ..parse.metrics import START_LABELLED, rest_metrics
from .client import RestOptions
from .session import Pausable, RestSession

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
_ENDPOINTS = (
    "openInterestHist",
    "topLongShortAccountRatio",
    "topLongShortPositionRatio",
    "globalLongShortAccountRatio",
    "takerlongshortRatio",
    "fundingRate",
    "fundingInfo",
)
_MAX_CONNECTIONS = 16

log = get_logger("rest")


class Budget(Pausable, Protocol):
    """What is asked of a limiter: ``permit`` before a request, ``pause`` after a 429."""

    def permit(self, weight: int, priority: Priority) -> AbstractAsyncContextManager[None]: ...


class MetricsRest:
    """``ports.metrics.MetricSource`` and ``FundingSource``. ``open`` before the first call; calls may run side by side.

    ``futures_data`` (five endpoints together) and ``funding`` are the limiters of these requests; a 429 or 418 pauses
    the one it came to. Nothing is tried twice here: whoever sweeps comes round again. Raises ``ConfigError`` for a base
    URL that is not TLS and not loopback.
    """

    def __init__(
        self, options: RestOptions, futures_data: Budget, funding: Budget, clock: Clock, metrics: Metrics
    ) -> None:
        self._options, self._clock, self._metrics = options, clock, metrics
        self._futures_data, self._funding = futures_data, funding
        self._session = RestSession(
            options.base_url,
            clock,
            metrics,
            endpoints=_ENDPOINTS,
            proxy=options.proxy,
            timeout=options.timeout,
            max_connections=_MAX_CONNECTIONS,
        )

    async def open(self) -> None:
        """Load ccxt and make the session; nothing is sent yet."""
        await self._session.open()

    async def close(self) -> None:
        await self._session.close()

    async def between(
        self, series: MetricSeries, symbol: str, after_ms: int, until_ms: int
    ) -> list[FuturesMetric]:
        """See ``ports.metrics.MetricSource``."""
        early_ms = FIVE_MINUTES_MS if series in START_LABELLED else 0
        first_ms = after_ms + FIVE_MINUTES_MS
        rows = min((until_ms - after_ms) // FIVE_MINUTES_MS, MAX_ROWS)
        query = {"startTime": first_ms - early_ms, "endTime": until_ms - early_ms, "limit": rows}
        found = await self._series(series, symbol, query)
        return [row for row in found if after_ms < row.end_ms <= until_ms]

    async def settlements(self, symbol: str | None, since_ms: int | None) -> list[FundingRate]:
        """See ``ports.metrics.FundingSource``."""
        query: dict[str, object] = {"limit": MAX_SETTLEMENTS}
        if symbol is not None:
            query["symbol"] = symbol
        if since_ms is not None:
            query["startTime"] = since_ms
        answer = await self._send(self._funding, "fapiPublicGetFundingRate", query)
        try:
            async with a_slice():
                found = rest_funding(answer, source=self._options.source)
        except BadData as error:
            raise Unavailable(str(error), reason="bad_json") from None
        self._reject(Dataset.FUNDING, found.rejected)
        return list(found.rows)

    async def intervals(self) -> dict[str, int]:
        """See ``ports.metrics.FundingSource``."""
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
            async with a_slice():
                found = rest_metrics(
                    series, symbol, answer, source=self._options.source, asked_ms=self._clock.now_ms()
                )
        except BadData as error:
            raise Unavailable(str(error), reason="bad_json") from None
        self._reject(Dataset.METRICS, found.rejected)
        return list(found.rows)

    async def _send(self, budget: Budget, method: str, query: Mapping[str, object]) -> Any:
        async with budget.permit(1, Priority.METRICS):
            return await self._session.send(budget, method, query)

    def _reject(self, dataset: Dataset, rejected: Mapping[str, int]) -> None:
        for reason, rows in rejected.items():
            self._metrics.metric_rows_rejected.labels(dataset.value, reason).inc(rows)
            log.warning(
                "metric_rows_rejected", msg=f"{rows} rows: {reason}", dataset=dataset.value, reason=reason
            )
