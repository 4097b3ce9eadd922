"""What is asked of ``/futures/data`` and funding, what comes of the answers, and what stops whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

import pytest

from src.adapters.binance.rest.client import RestOptions
from src.adapters.binance.rest.metrics import MetricsRest
from src.adapters.rate_limiter import RateLimiter
from src.clock import VenueClock
from src.errors import ConfigError, RateLimited, Unavailable, UnknownSymbol
from src.model import FIVE_MINUTES_MS, FuturesMetric
from src.ports.metrics import MetricSeries
from src.telemetry.metrics import Metrics
from tests.support.metric_venue import MetricVenue, metric_venue, row_of
from tests.support.raw_http import answer, raw_http

NOW_MS = 1_800_000_100_000
SYMBOL = "币安人生USDT"


class Fixed(VenueClock):
    """It is always the same time."""

    def now(self) -> float:
        return NOW_MS / 1000


@dataclass
class Client:
    venue: MetricVenue
    rest: MetricsRest
    futures_data: RateLimiter
    funding: RateLimiter
    metrics: Metrics


@asynccontextmanager
async def client() -> AsyncIterator[Client]:
    clock, metrics = Fixed(), Metrics()
    async with metric_venue(clock.now) as venue:
        futures_data = RateLimiter(clock, Metrics(), limit=900)
        funding = RateLimiter(clock, Metrics(), limit=450)
        rest = MetricsRest(
            RestOptions(base_url=venue.url, timeout=60.0), futures_data, funding, clock, metrics
        )
        await rest.open()
        try:
            yield Client(venue, rest, futures_data, funding, metrics)
        finally:
            await rest.close()


NEWEST_MS = NOW_MS // FIVE_MINUTES_MS * FIVE_MINUTES_MS


async def last(rest: MetricsRest, series: MetricSeries, rows: int = 1) -> list[FuturesMetric]:
    """The newest rows."""
    return await rest.between(series, SYMBOL, NEWEST_MS - rows * FIVE_MINUTES_MS, NEWEST_MS)


@pytest.mark.parametrize("series", list(MetricSeries))
async def test_exactly_the_rows_wanted_are_asked_for_and_labelled_by_their_end(series: MetricSeries) -> None:
    async with client() as it:
        rows = await last(it.rest, series, 3)
        early_ms = FIVE_MINUTES_MS if series is MetricSeries.TAKER else 0
        assert it.venue.queries == [
            {
                "symbol": SYMBOL,
                "period": "5m",
                "limit": "3",
                "startTime": str(NEWEST_MS - 2 * FIVE_MINUTES_MS - early_ms),
                "endTime": str(NEWEST_MS - early_ms),
            }
        ]
        assert it.futures_data.view().used == 1
        assert it.funding.view().used == 0
    assert [row.end_ms for row in rows] == [NEWEST_MS - n * FIVE_MINUTES_MS for n in (2, 1, 0)]
    for row in rows:
        said = [value for value in row.values if value is not None]
        assert said
        assert all(value in row_of(SYMBOL, row.end_ms) for value in said)


@pytest.mark.parametrize("series", list(MetricSeries))
async def test_between_is_open_at_the_start_and_closed_at_the_end(series: MetricSeries) -> None:
    until_ms = NOW_MS // FIVE_MINUTES_MS * FIVE_MINUTES_MS - 50 * FIVE_MINUTES_MS
    async with client() as it:
        rows = await it.rest.between(series, SYMBOL, until_ms - 4 * FIVE_MINUTES_MS, until_ms)
    assert [row.end_ms for row in rows] == [until_ms - n * FIVE_MINUTES_MS for n in (3, 2, 1, 0)]


async def test_no_more_than_an_answer_holds_is_asked_for() -> None:
    async with client() as it:
        await last(it.rest, MetricSeries.TAKER, 9999)
        assert it.venue.queries[0]["limit"] == "500"


async def test_funding_has_a_budget_of_its_own() -> None:
    async with client() as it:
        it.venue.settlements = [
            {
                "symbol": "BTCUSDT",
                "fundingTime": 1791244800003,
                "fundingRate": "-0.00002485",
                "markPrice": "85718.5",
            },
            {"symbol": "ETHUSDT", "fundingTime": 1791244800003, "fundingRate": "0.0001", "markPrice": ""},
        ]
        (row,) = await it.rest.settlements("BTCUSDT", 1)
        assert (row.rate, row.mark_price) == (Decimal("-0.00002485"), Decimal("85718.5"))
        assert len(await it.rest.settlements(None, None)) == 2
        assert await it.rest.intervals() == {"FASTUSDT": 4}
        assert (it.funding.view().used, it.futures_data.view().used) == (3, 0)


async def test_errors_come_out_sorted_and_after_one_attempt() -> None:
    async with client() as it:
        it.venue.broken.add(MetricSeries.TAKER)
        with pytest.raises(Unavailable):
            await last(it.rest, MetricSeries.TAKER)
        assert it.venue.requests.total() == 1
        it.venue.unknown.add(SYMBOL)
        with pytest.raises(UnknownSymbol):
            await last(it.rest, MetricSeries.ACCOUNTS)


async def test_a_429_pauses_its_budget() -> None:
    async with client() as it:
        it.venue.limit = 0
        with pytest.raises(RateLimited):
            await last(it.rest, MetricSeries.TAKER)
        assert it.futures_data.view().ban_until > NOW_MS / 1000


async def test_an_answer_that_is_no_list_is_unavailable_and_bad_rows_are_counted() -> None:
    clock, metrics = Fixed(), Metrics()
    async with raw_http(answer({"hello": 1}), answer([{"timestamp": "x"}, 3])) as http:
        budget = RateLimiter(clock, Metrics(), limit=900)
        rest = MetricsRest(RestOptions(base_url=http.url, timeout=60.0), budget, budget, clock, metrics)
        with pytest.raises(Unavailable, match="not open"):
            await last(rest, MetricSeries.TAKER)
        await rest.open()
        try:
            with pytest.raises(Unavailable, match="not a list"):
                await last(rest, MetricSeries.TAKER)
            assert await last(rest, MetricSeries.TAKER) == []
        finally:
            await rest.close()
    for reason in ("bad_time", "not_row"):
        labels = {"dataset": "metrics_5m", "reason": reason}
        assert metrics.registry.get_sample_value("marketd_metric_rows_rejected_total", labels) == 1


def test_plain_http_is_for_loopback_only() -> None:
    clock = Fixed()
    budget = RateLimiter(clock, Metrics())
    with pytest.raises(ConfigError, match="BINANCE_REST_URL"):
        MetricsRest(RestOptions(base_url="http://example.com"), budget, budget, clock, Metrics())
