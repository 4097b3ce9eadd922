"""``BinanceRest`` against a server that says exactly what the test wants."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from src.adapters.binance.rest import FINAL_MARGIN_MS, BinanceRest, RestOptions
from src.adapters.rate_limiter import RateLimiter
from src.clock import VenueClock
from src.errors import ConfigError, MarketdError, Permanent, RateLimited, Unavailable, UnknownSymbol
from src.model import MINUTE_MS, Authority
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.raw_http import RawHttp, Say, answer, dripping, raw, raw_http, zipped

SYMBOL = "币安人生USDT"
OPTIONS = RestOptions(timeout=2.0, attempts=3, backoff_base=0.01, backoff_cap=0.02)


def row(open_ms: int, **changes: Any) -> list[Any]:
    values: dict[str, Any] = {"close": "1.5", "trades": 3} | changes
    return [
        open_ms, "1", "2", "0.5", values["close"], "10", open_ms + 59_999, "15", values["trades"], "5", "7", "0",
    ]  # fmt: skip


class Venue:
    """A server, and a ``BinanceRest`` that asks it."""

    def __init__(self, http: RawHttp, options: RestOptions, speed: float) -> None:
        self.http, self.clock, self.metrics = http, VenueClock(speed=speed), Metrics()
        self.limiter = RateLimiter(self.clock, self.metrics, patience=options.patience)
        self.rest = BinanceRest(options, self.limiter, self.clock, self.metrics)
        self.minute = self.clock.now_ms() // MINUTE_MS * MINUTE_MS

    async def candles(self, minutes: int = 3, *, priority: Priority = Priority.REPAIR) -> list[Any]:
        """The last whole minutes before the running one."""
        from_ms = self.minute - minutes * MINUTE_MS
        return await self.rest.candles(SYMBOL, from_ms, self.minute, priority=priority)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0


@asynccontextmanager
async def venue(
    *script: Say,
    always: Say | None = None,
    options: RestOptions = OPTIONS,
    speed: float = 1.0,
    path: str = "",
) -> AsyncIterator[Venue]:
    async with raw_http(*script, always=always) as http:
        it = Venue(http, replace(options, base_url=http.url + path), speed)
        await it.rest.open()
        try:
            yield it
        finally:
            await it.rest.close()


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


BROKEN: dict[str, tuple[Say, str]] = {
    "html": (answer("<html>Just a moment</html>"), "html"),
    "empty": (answer(""), "empty"),
    "half_json": (answer('[[1800000000000,"1"'), "bad_json"),
    "nan": (answer("[[NaN]]"), "bad_json"),
    "deep": (answer("[" * 100_000 + "]" * 100_000), "bad_json"),
    "not_utf8": (answer(b'["\xff\xfe"'), "bad_json"),
    "object": (answer({"rows": []}), "bad_json"),
    "text": (answer('"klines"'), "bad_json"),
    "truncated": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"), "truncated"),
    "no_http": (raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "bad_http"),
    "cut_headers": (raw(b"HTTP/1.1 200 OK\r\nContent-Le"), "reset"),
    "reset": (raw(b"", then="reset"), "reset"),
    "closed": (raw(b""), "reset"),
    "server_error": (answer("oops", 500), "server_error"),
    "overloaded": (answer({"code": -1008, "msg": "throttled"}, 503), "overloaded"),
    "venue_timeout": (answer("", 408), "venue_timeout"),
    "elsewhere": (answer("", 302, Location="http://127.0.0.1:1/fapi/v1/klines"), "redirect"),
    "gzip_bomb": (zipped(64 * 1024 * 1024), "too_large"),
    "not_gzip": (answer(b"nonsense", Content_Encoding="gzip"), "truncated"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_tried_again_and_then_forgotten(name: str) -> None:
    say, _ = BROKEN[name]
    async with venue(say, say) as it:
        it.http.always = answer([row(it.minute - MINUTE_MS)])
        assert len(await it.candles(1)) == 1
        assert len(it.http.requests) == 3
        assert it.limiter.view().in_flight == 0


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_venue_is_told_by_its_reason_after_bounded_attempts(name: str) -> None:
    say, reason = BROKEN[name]
    async with venue(always=say) as it:
        with pytest.raises(Unavailable) as caught:
            await it.candles(1)
        assert caught.value.reason == reason
        assert len(it.http.requests) == OPTIONS.attempts
        assert it.limiter.view().in_flight == 0


@pytest.mark.parametrize(
    "say",
    [
        raw(b"", then="stall"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[", then="stall"),
        dripping(b"[" + b" " * 1000 + b"]", every=0.05),
    ],
    ids=["no_answer", "stalled_body", "dripping_body"],
)
async def test_a_slow_answer_is_given_up_in_time_and_its_permit_returned(say: Say) -> None:
    async with venue(always=say, options=replace(OPTIONS, timeout=0.3, attempts=1)) as it:
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            await it.candles(1)
        assert caught.value.reason == "timeout"
        assert time.monotonic() - began < 1.5
        assert it.limiter.view().in_flight == 0
        assert it.count("rest_requests_total", endpoint="klines", code="timeout") == 1


async def test_nobody_listening_is_unavailable() -> None:
    async with venue() as it:
        pass
    options = replace(OPTIONS, base_url=it.http.url, attempts=2)
    rest = BinanceRest(options, it.limiter, it.clock, it.metrics)
    await rest.open()
    try:
        with pytest.raises(Unavailable) as caught:
            await rest.server_time()
    finally:
        await rest.close()
    assert caught.value.reason == "connect"
    assert it.count("rest_requests_total", endpoint="time", code="connect") == 2


@pytest.mark.parametrize(
    ("say", "kind"),
    [
        (answer({"code": -1121, "msg": "Invalid symbol."}, 400), UnknownSymbol),
        (answer({"code": -1130, "msg": "Data sent for parameter limit is not valid."}, 400), Permanent),
        (answer("not here", 404), Permanent),
    ],
)
async def test_a_permanent_answer_is_not_tried_again(say: Say, kind: type[MarketdError]) -> None:
    async with venue(always=say) as it:
        with pytest.raises(kind) as caught:
            await it.candles(1)
        assert type(caught.value) is kind
        assert len(it.http.requests) == 1


async def test_a_429_stops_everyone_until_its_time_and_then_all_are_served() -> None:
    async with venue(answer("slow down", 429, Retry_After="20"), always=answer([]), speed=20) as it:
        stop = it.clock.now() + 20
        asked: list[float] = []
        before = it.http.always

        async def stamped(request: Any, writer: asyncio.StreamWriter) -> None:
            asked.append(it.clock.now())
            await before(request, writer)

        it.http.always = stamped
        await asyncio.gather(*(it.candles() for _ in range(20)), it.candles(priority=Priority.ROLL_CALL))
    # Those already on their way when the 429 came are not held against us.
    on_their_way = [moment for moment in asked if moment < stop - 15]
    after = [moment for moment in asked if moment >= stop]
    assert len(asked) == len(on_their_way) + len(after) == 21
    assert after


async def test_a_ban_is_raised_at_once_and_nobody_asks_while_it_lasts() -> None:
    until = int((time.time() + 3600) * 1000)
    text = {"code": -1003, "msg": f"Way too many requests; IP(1.2.3.4) banned until {until}. Please use ..."}
    async with venue(answer(text, 418), always=answer([])) as it:
        for _ in range(3):
            with pytest.raises(RateLimited) as caught:
                await it.candles()
            assert caught.value.retry_after == pytest.approx(3600, abs=5)
        assert len(it.http.requests) == 1
        assert it.limiter.view().ban_until == pytest.approx(until / 1000, abs=5)


@pytest.mark.parametrize(("status", "reason"), [(403, "forbidden"), (451, "restricted")])
async def test_an_unwanted_address_does_not_ask_in_a_tight_loop(status: int, reason: str) -> None:
    async with venue(always=answer("no", status), options=replace(OPTIONS, patience=5)) as it:
        with pytest.raises(Unavailable) as caught:
            await it.candles()
        assert caught.value.reason == reason
        with pytest.raises(RateLimited):
            await it.candles()
        assert len(it.http.requests) == 1


async def test_the_venues_time_is_corrected_by_half_the_round_trip() -> None:
    delay = 0.2

    async def late(request: Any, writer: asyncio.StreamWriter) -> None:
        told = int((time.time() + 100 + delay) * 1000)
        await asyncio.sleep(delay)
        await asyncio.sleep(delay)
        await answer({"serverTime": told - int(delay * 1000) * 0})(request, writer)

    async with venue(always=late) as it:
        # The server reads its clock on arrival, so half of the trip is still to come; the answer counts it.
        found = await it.rest.server_time()
        assert found - time.time() == pytest.approx(100, abs=0.1)
        assert len(it.http.requests) == 2


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


async def test_cancelled_while_asking_returns_the_permit() -> None:
    async with venue(always=raw(b"", then="stall")) as it:
        task = asyncio.create_task(it.candles(), name="asking")
        await eventually(lambda: it.http.requests)
        assert it.limiter.view().in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert it.limiter.view().in_flight == 0


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
