"""A venue of futures metrics and funding on loopback: every value is a function of its key, and it counts requests."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from zlib import crc32

from aiohttp import web

from src.model import FIVE_MINUTES_MS, METRIC_COLUMNS
from src.ports.metrics import MetricSeries

PATHS = {
    "openInterestHist": MetricSeries.OPEN_INTEREST,
    "topLongShortAccountRatio": MetricSeries.TOP_ACCOUNTS,
    "topLongShortPositionRatio": MetricSeries.TOP_POSITIONS,
    "globalLongShortAccountRatio": MetricSeries.ACCOUNTS,
    "takerlongshortRatio": MetricSeries.TAKER,
}
_FIELD = {
    "sum_open_interest": "sumOpenInterest",
    "sum_open_interest_value": "sumOpenInterestValue",
    "sum_taker_long_short_vol_ratio": "buySellRatio",
}
_OF_SERIES = {
    MetricSeries.OPEN_INTEREST: ("sum_open_interest", "sum_open_interest_value"),
    MetricSeries.TOP_ACCOUNTS: ("count_toptrader_long_short_ratio",),
    MetricSeries.TOP_POSITIONS: ("sum_toptrader_long_short_ratio",),
    MetricSeries.ACCOUNTS: ("count_long_short_ratio",),
    MetricSeries.TAKER: ("sum_taker_long_short_vol_ratio",),
}
_WINDOW_S = 300.0


def value(column: str, symbol: str, end_ms: int) -> Decimal:
    """What the venue says, with four decimals."""
    return Decimal(crc32(f"{column}:{symbol}:{end_ms}".encode()) % 10**7) / 10**4


def row_of(symbol: str, end_ms: int) -> tuple[Decimal, ...]:
    """All six values in the order of the table."""
    return tuple(value(column, symbol, end_ms) for column in METRIC_COLUMNS)


@dataclass
class MetricVenue:
    """``now`` is its time in venue seconds; ``broken`` answer 500; ``limit`` is requests in any 5 min, then 429."""

    now: Callable[[], float]
    limit: int = 1000
    delay_s: float = 5.0
    url: str = ""
    broken: set[MetricSeries] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    settlements: list[dict[str, Any]] = field(default_factory=list)
    requests: Counter[tuple[str, MetricSeries]] = field(default_factory=Counter)
    order: list[str] = field(default_factory=list)
    rows_told: Counter[tuple[str, MetricSeries, int]] = field(default_factory=Counter)
    refused: int = 0
    queries: list[dict[str, str]] = field(default_factory=list)
    sent: deque[float] = field(default_factory=deque)

    async def data(self, request: web.Request) -> web.Response:
        """One of the five."""
        series, symbol = PATHS[request.match_info["name"]], request.query["symbol"]
        if not self._admitted():
            self.refused += 1
            return web.json_response({"code": -1003, "msg": "Too many requests"}, status=429)
        self.requests[symbol, series] += 1
        self.order.append(symbol)
        self.queries.append(dict(request.query))
        if series in self.broken:
            return web.Response(status=500, text="<html>no</html>")
        if symbol in self.unknown:
            return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)
        newest_ms = int((self.now() - self.delay_s) * 1000) // FIVE_MINUTES_MS * FIVE_MINUTES_MS
        shift_ms = FIVE_MINUTES_MS if series is MetricSeries.TAKER else 0
        last_ms = min(newest_ms, int(request.query.get("endTime", newest_ms)) + shift_ms)
        count = int(request.query.get("limit", 30))
        ends = [last_ms - number * FIVE_MINUTES_MS for number in range(count)]
        if "startTime" in request.query:
            ends = [end_ms for end_ms in ends if end_ms - shift_ms >= int(request.query["startTime"])]
        self.rows_told.update((symbol, series, end_ms) for end_ms in ends)
        return web.json_response([self._row(series, symbol, end_ms) for end_ms in ends])

    async def funding(self, request: web.Request) -> web.Response:
        """The settlements given, of one symbol or the newest of all."""
        since = int(request.query.get("startTime", 0))
        rows = [
            row
            for row in self.settlements
            if row["symbol"] == request.query.get("symbol", row["symbol"]) and row["fundingTime"] >= since
        ]
        limit = int(request.query["limit"])
        return web.json_response(rows[:limit] if "startTime" in request.query else rows[-limit:])

    async def funding_info(self, request: web.Request) -> web.Response:
        """One symbol has 4 h."""
        return web.json_response([{"symbol": "FASTUSDT", "fundingIntervalHours": 4}])

    def _admitted(self) -> bool:
        now = self.now()
        while self.sent and self.sent[0] <= now - _WINDOW_S:
            self.sent.popleft()
        self.sent.append(now)
        return len(self.sent) <= self.limit

    def _row(self, series: MetricSeries, symbol: str, end_ms: int) -> dict[str, object]:
        row: dict[str, object] = {
            _FIELD.get(column, "longShortRatio"): f"{value(column, symbol, end_ms):.4f}"
            for column in _OF_SERIES[series]
        }
        if series is MetricSeries.TAKER:
            return row | {"timestamp": end_ms - FIVE_MINUTES_MS}
        return row | {"symbol": symbol, "timestamp": end_ms}


@asynccontextmanager
async def metric_venue(now: Callable[[], float], **options: Any) -> AsyncIterator[MetricVenue]:
    """It listens on a free port of loopback."""
    venue = MetricVenue(now, **options)
    app = web.Application()
    app.router.add_get("/futures/data/{name}", venue.data)
    app.router.add_get("/fapi/v1/fundingRate", venue.funding)
    app.router.add_get("/fapi/v1/fundingInfo", venue.funding_info)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        venue.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield venue
    finally:
        await runner.cleanup()
