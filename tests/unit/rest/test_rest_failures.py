"""What becomes of requests whose answer is wrong, late, missing or a refusal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from src.adapters.binance.rest.client import BinanceRest
from src.errors import MarketdError, Permanent, RateLimited, Unavailable, UnknownSymbol
from src.model import MINUTE_MS
from src.ports import Priority
from tests.support.eventually import eventually
from tests.support.processes import port_of, reserved_port
from tests.support.raw_http import Say, answer, dripping, raw, zipped

from .bench import OPTIONS, START, row, venue

BROKEN: dict[str, tuple[Say, str]] = {
    "html": (answer("<html>Just a moment</html>"), "html"),
    "long_html": (answer("<html>" + "Just a moment " * 1_000), "html"),
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
        dripping(b"[" + b" " * 10_000 + b"]", every=0.05),
    ],
    ids=["no_answer", "stalled_body", "dripping_body"],
)
async def test_a_slow_answer_is_given_up_in_time_and_its_permit_returned(say: Say) -> None:
    async with venue(always=say, options=replace(OPTIONS, timeout=0.3, attempts=1)) as it:
        # The slowest of these answers would be complete after eight minutes.
        async with asyncio.timeout(60):
            with pytest.raises(Unavailable) as caught:
                await it.candles(1)
        assert caught.value.reason == "timeout"
        assert it.limiter.view().in_flight == 0
        assert it.count("rest_requests_total", endpoint="klines", code="timeout") == 1


async def test_nobody_listening_is_unavailable() -> None:
    async with venue() as it:
        pass
    with reserved_port() as held:
        options = replace(OPTIONS, base_url=f"http://127.0.0.1:{port_of(held)}", attempts=2)
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
    async with venue(answer("slow down", 429, Retry_After="30"), speed=10) as it:
        asked: list[float] = []

        async def stamped(request: Any, writer: asyncio.StreamWriter) -> None:
            asked.append(it.clock.now())
            await answer([])(request, writer)

        it.http.always = stamped
        first = asyncio.create_task(it.candles(), name="first")
        until = await eventually(lambda: it.limiter.view().ban_until)
        await asyncio.gather(
            first, *(it.candles() for _ in range(20)), it.candles(priority=Priority.ROLL_CALL)
        )
    assert len(asked) == 22
    assert min(asked) >= until


async def test_a_ban_is_raised_at_once_and_nobody_asks_while_it_lasts() -> None:
    until = int((START + 3600) * 1000)
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


async def test_cancelled_while_asking_returns_the_permit() -> None:
    async with venue(always=raw(b"", then="stall")) as it:
        task = asyncio.create_task(it.candles(), name="asking")
        await eventually(lambda: it.http.requests)
        assert it.limiter.view().in_flight == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert it.limiter.view().in_flight == 0
