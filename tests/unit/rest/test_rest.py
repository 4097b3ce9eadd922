"""What is asked, what comes of good answers, and what of bad rows among good ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from src.adapters.binance.rest.client import FINAL_MARGIN_MS, BinanceRest, RestOptions
from src.adapters.rate_limiter import RateLimiter
from src.clock import VenueClock
from src.errors import ConfigError, Unavailable
from src.model import MINUTE_MS, Authority
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.fakes import StepClock
from tests.support.raw_http import answer, raw, raw_http

from .bench import SYMBOL, row, venue


async def test_a_request_names_the_symbol_the_minutes_and_the_cheapest_limit() -> None:
    async with venue() as it:
        await it.rest.candles(SYMBOL, it.minute - 99 * MINUTE_MS, it.minute, priority=Priority.REPAIR)
        await it.rest.candles(
            SYMBOL, it.minute - 100 * MINUTE_MS - 5, it.minute + 7, priority=Priority.REPAIR
        )
        await it.rest.candles(SYMBOL, it.minute - 9000 * MINUTE_MS, it.minute, priority=Priority.REPAIR)
        small, middle, large = (request.query for request in it.http.requests)
        assert it.limiter.view().used == 1 + 2 + 2
    assert it.http.requests[0].path == "/fapi/v1/klines"
    assert "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT" in it.http.requests[0].target
    assert small == {
        "symbol": SYMBOL,
        "interval": "1m",
        "startTime": str(it.minute - 99 * MINUTE_MS),
        "endTime": str(it.minute - MINUTE_MS),
        "limit": "99",
    }
    assert (middle["startTime"], middle["endTime"]) == (str(it.minute - 100 * MINUTE_MS), str(it.minute))
    assert middle["limit"] == "101"
    assert large["limit"] == "499"
    assert int(large["endTime"]) - int(large["startTime"]) == 498 * MINUTE_MS


async def test_nothing_is_asked_for_no_minutes() -> None:
    async with venue() as it:
        assert await it.rest.candles(SYMBOL, it.minute, it.minute, priority=Priority.REPAIR) == []
        assert await it.rest.candles(SYMBOL, it.minute, it.minute - 5, priority=Priority.REPAIR) == []
        assert await it.rest.candles(SYMBOL, it.minute - 5, it.minute, priority=Priority.REPAIR) == []
    assert it.http.requests == []


async def test_rows_become_candles_trusted_by_their_age() -> None:
    async with venue() as it:
        it.http.always = answer([row(it.minute - count * MINUTE_MS) for count in (3, 2, 1)])
        candles = await it.candles()
    assert [candle.open_ms for candle in candles] == [it.minute - count * MINUTE_MS for count in (3, 2, 1)]
    assert [candle.authority for candle in candles] == [Authority.REST, Authority.REST, Authority.STREAM]
    first = candles[0]
    assert (first.symbol, first.source, first.close, first.trade_count) == (SYMBOL, "binance_rest", 1.5, 3)
    assert (first.quote_volume, first.taker_buy_volume, first.taker_buy_quote_volume) == (15.0, 5.0, 7.0)


async def test_a_minute_that_is_not_surely_over_is_left_out() -> None:
    async with venue() as it:
        it.http.always = answer([row(it.minute - MINUTE_MS), row(it.minute)])
        it.clock.set((it.minute + FINAL_MARGIN_MS - 300) / 1000)
        assert (
            await it.rest.candles(
                SYMBOL, it.minute - MINUTE_MS, it.minute + MINUTE_MS, priority=Priority.ROLL_CALL
            )
            == []
        )
        it.clock.set((it.minute + FINAL_MARGIN_MS + 100) / 1000)
        candles = await it.rest.candles(
            SYMBOL, it.minute - MINUTE_MS, it.minute + MINUTE_MS, priority=Priority.ROLL_CALL
        )
    assert [candle.open_ms for candle in candles] == [it.minute - MINUTE_MS]
    assert it.count("rows_rejected_total", reason="unasked") == 0


async def test_bad_rows_are_counted_and_cost_only_themselves() -> None:
    async with venue() as it:
        start = it.minute - 4 * MINUTE_MS
        rows = [
            row(start, close="NaN"),
            row(start + MINUTE_MS),
            row(start + MINUTE_MS),
            row(start - 10 * MINUTE_MS),
            [1, 2],
            None,
            row(start + 2 * MINUTE_MS, trades=-1),
            row(start + 3 * MINUTE_MS),
        ]
        it.http.always = answer(rows)
        candles = await it.candles(4)
    assert [candle.open_ms for candle in candles] == [start + MINUTE_MS, start + 3 * MINUTE_MS]
    assert it.count("rows_rejected_total", reason="bad_number") == 2
    assert it.count("rows_rejected_total", reason="not_kline") == 2
    assert it.count("rows_rejected_total", reason="unasked") == 2
    assert it.count("rows_received_total", source="binance_rest") == 6


async def test_rows_come_in_order_whatever_the_venue_does() -> None:
    async with venue() as it:
        it.http.always = answer([row(it.minute - count * MINUTE_MS) for count in (1, 3, 2)])
        candles = await it.candles()
    assert [candle.open_ms for candle in candles] == sorted(candle.open_ms for candle in candles)


async def test_digits_beyond_a_float_are_counted() -> None:
    async with venue() as it:
        it.http.always = answer([row(it.minute - MINUTE_MS, close="1.2345678901234567")])
        assert len(await it.candles(1)) == 1
    assert it.count("inexact_values_total", field="close") == 1


async def test_the_weight_header_feeds_the_budget_and_requests_are_counted() -> None:
    async with venue(always=answer([], x_mbx_used_weight_1m="321")) as it:
        await it.candles()
        assert it.limiter.view().used == 321
    assert it.count("rest_requests_total", endpoint="klines", code="200") == 1
    assert it.count("rest_request_duration_seconds_count") == 1


@pytest.mark.parametrize("header", ["", "soon", "-3", "9" * 30, "٣"])
async def test_a_broken_weight_header_changes_nothing(header: str) -> None:
    async with venue(
        always=raw(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-MBX-USED-WEIGHT-1M: "
            + header.encode()
            + b"\r\n\r\n[]"
        )
    ) as it:
        await it.candles()
        assert it.limiter.view().used == 1


async def test_the_venues_time_is_corrected_by_half_the_round_trip() -> None:
    clock = StepClock()
    delay = 0.2  # each way, on the clock that the client measures with

    async def late(request: Any, writer: asyncio.StreamWriter) -> None:
        clock.advance(delay)
        told = clock.now_ms() + 100_000
        clock.advance(delay)
        await answer({"serverTime": told})(request, writer)

    async with raw_http(always=late) as http:
        options, metrics = RestOptions(base_url=http.url), Metrics()
        rest = BinanceRest(options, RateLimiter(clock, metrics), clock, metrics)
        await rest.open()
        try:
            assert await rest.server_time() - clock.now() == pytest.approx(100, abs=0.002)
        finally:
            await rest.close()
        assert len(http.requests) == 2


@pytest.mark.parametrize("body", [{}, {"serverTime": None}, {"serverTime": "1"}, [], {"serverTime": -1}])
async def test_a_time_that_is_none_is_not_adopted(body: object) -> None:
    async with venue(always=answer(body)) as it:
        with pytest.raises(Unavailable) as caught:
            await it.rest.server_time()
        assert caught.value.reason == "bad_json"


async def test_instruments_come_with_their_limit_and_bad_ones_are_counted() -> None:
    good = {
        "symbol": SYMBOL, "contractType": "PERPETUAL", "status": "TRADING", "baseAsset": "币安人生",
        "quoteAsset": "USDT", "onboardDate": 1_760_000_000_000, "deliveryDate": 4_133_404_800_000,
        "pricePrecision": 2, "quantityPrecision": 0, "filters": [],
    }  # fmt: skip
    limits = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 1200}]
    body = {"symbols": [good, good | {"symbol": ""}], "rateLimits": limits}
    async with venue(always=answer(body)) as it:
        assert [instrument.symbol for instrument in await it.rest.instruments()] == [SYMBOL]
        assert it.limiter.view().limit == 900
    assert it.count("symbols_rejected_total", reason="bad_symbol") == 1


async def test_a_path_in_the_base_url_is_kept() -> None:
    async with venue(path="/mirror/") as it:
        await it.candles()
    assert it.http.requests[0].path == "/mirror/fapi/v1/klines"


@pytest.mark.parametrize(
    "url", ["http://fapi.binance.com", "ftp://127.0.0.1", "fapi.binance.com", "https://user:pw@host", ""]
)
def test_a_base_url_that_is_neither_tls_nor_loopback_is_refused(url: str) -> None:
    clock, metrics = VenueClock(), Metrics()
    with pytest.raises(ConfigError, match="BINANCE_REST_URL"):
        BinanceRest(RestOptions(base_url=url), RateLimiter(clock, metrics), clock, metrics)


async def test_not_open_is_unavailable_and_closing_twice_is_harmless() -> None:
    async with venue() as it:
        await it.rest.open()
        await it.rest.close()
        with pytest.raises(Unavailable):
            await it.rest.server_time()
        await it.rest.close()
