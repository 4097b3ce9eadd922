"""The REST side: rows, weights, refusals, and the faults of an HTTP server."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from src.sandbox.market.candles import MINUTE_MS, delay
from tests.support.eventually import eventually

from .client import START_MS, Client

MINUTE = START_MS // MINUTE_MS


async def test_time_runs_at_the_given_speed() -> None:
    async with Client.open(speed=60) as client:
        _, first, _ = await client.get("/fapi/v1/time")
        assert START_MS <= first["serverTime"] <= client.sandbox.now_ms()
        outside = time.monotonic()
        before = client.sandbox.now_ms()
        inside = time.monotonic()
        _, later, _ = await client.get("/fapi/v1/time")
        inside = time.monotonic() - inside
        after = client.sandbox.now_ms()
        outside = time.monotonic() - outside
        assert before <= later["serverTime"] <= after
        assert 60_000 * inside - 1 <= after - before <= 60_000 * outside + 1
        assert client.sandbox.now() >= after / 1000


async def test_exchange_info_comes_compressed_for_those_who_ask() -> None:
    async with Client.open(symbols=50) as client, aiohttp.ClientSession(auto_decompress=False) as session:
        url = client.sandbox.rest_url + "/fapi/v1/exchangeInfo"
        async with session.get(url, headers={"Accept-Encoding": "gzip"}) as answer:
            packed = await answer.read()
            assert answer.headers["Content-Encoding"] == "gzip"
        async with session.get(url, headers={"Accept-Encoding": "identity"}) as answer:
            plain = await answer.read()
            assert "Content-Encoding" not in answer.headers
        assert json.loads(gzip.decompress(packed)) == json.loads(plain)
        assert len(packed) < len(plain) / 8


@pytest.mark.parametrize(
    ("limit", "weight"),
    [(1, 1), (99, 1), (100, 2), (499, 2), (500, 5), (1000, 5), (1001, 10), (1500, 10), (None, 5)],
)
async def test_weights_by_limit(limit: int | None, weight: int) -> None:
    async with Client.open(speed=1) as client:
        query = {} if limit is None else {"limit": limit}
        status, rows, headers = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", **query)
        assert status == 200
        assert len(rows) == (limit or 500)
        assert headers["X-MBX-USED-WEIGHT-1M"] == str(weight)
        _, _, headers = await client.get("/fapi/v1/ping")
        assert headers["X-MBX-USED-WEIGHT-1M"] == str(weight + 1)


async def test_the_weight_window_is_the_exchanges_minute() -> None:
    async with Client.open(speed=60) as client:
        await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=1500)
        minute = client.sandbox.now_ms() // MINUTE_MS
        await eventually(lambda: client.sandbox.now_ms() // MINUTE_MS > minute)
        _, _, headers = await client.get("/fapi/v1/ping")
        assert headers["X-MBX-USED-WEIGHT-1M"] == "1"


@pytest.mark.parametrize(
    ("query", "code", "text"),
    [
        ({"symbol": "NOPEUSDT", "interval": "1m"}, -1121, "Invalid symbol."),
        ({"symbol": "BTCUSDT", "interval": "1s"}, -1120, "Invalid interval."),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": "1501"}, -1130, "'limit' is not valid"),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": "0"}, -1130, "'limit' is not valid"),
        ({"symbol": "BTCUSDT", "interval": "1m", "limit": "x"}, -1130, "'limit' is not valid"),
        ({"interval": "1m"}, -1102, "Mandatory parameter 'symbol'"),
        ({"symbol": "BTCUSDT"}, -1102, "Mandatory parameter 'interval'"),
        ({"symbol": "BTCUSDT", "interval": "1m", "startTime": "2", "endTime": "1"}, -1023, "Start time"),
    ],
)
async def test_errors_have_the_venues_codes(query: dict[str, str], code: int, text: str) -> None:
    async with Client.open() as client:
        status, body, headers = await client.get("/fapi/v1/klines", **query)
        assert status == 400
        assert body["code"] == code
        assert text in body["msg"]
        assert int(headers["X-MBX-USED-WEIGHT-1M"]) >= 1, "a refused request costs its weight"


async def test_ranges_are_inclusive_and_rounded_inwards() -> None:
    async with Client.open(speed=1) as client:

        async def minutes(**query: int) -> list[int]:
            return [row[0] // MINUTE_MS - MINUTE for row in await client.klines("BTCUSDT", **query)]

        at = START_MS - 100 * MINUTE_MS
        assert await minutes(startTime=at, endTime=at + 2 * MINUTE_MS) == [-100, -99, -98]
        assert await minutes(startTime=at + 1, endTime=at + 2 * MINUTE_MS - 1) == [-99]
        assert await minutes(startTime=at, limit=3) == [-100, -99, -98]
        assert await minutes(endTime=at, limit=3) == [-102, -101, -100]
        assert await minutes(startTime=START_MS + 10 * MINUTE_MS) == []


async def test_there_is_nothing_before_the_listing() -> None:
    async with Client.open(speed=1) as client:
        for symbol in ("BTCUSDT", "币安人生USDT"):
            onboard = client.sandbox.venue.universe.find(symbol).info["onboardDate"]
            assert await client.klines(symbol, endTime=onboard - MINUTE_MS) == []
            rows = await client.klines(symbol, startTime=0, limit=2)
            assert [row[0] for row in rows] == [onboard, onboard + MINUTE_MS]


async def test_closed_rows_are_the_truth_and_the_last_may_be_open() -> None:
    async with Client.open(speed=60) as client:
        rows = await client.klines("XAUUSDT", limit=99)
        now = client.sandbox.now_ms()
        truth = client.sandbox.truth("XAUUSDT", rows[0][0], now)
        closed = [tuple(row) for row in rows if row[6] < START_MS - 60_000]
        assert len(closed) >= 90
        assert closed == truth[: len(closed)]


def late_minute(client: Client, symbol: str) -> int:
    """A recent minute of the symbol whose candle takes between 5 and 20 s."""
    made = client.sandbox.venue.universe.find(symbol).traits
    return next(minute for minute in range(MINUTE, 0, -1) if 5 < delay(made, minute) < 20)


async def test_a_row_comes_with_its_delay_and_none_overtakes_it() -> None:
    async with Client.open() as finder:
        minute = late_minute(finder, "BTCUSDT")
    async with Client.open(speed=0.1, start_ms=(minute + 1) * MINUTE_MS + 1_000) as client:
        rows = await client.klines("BTCUSDT", limit=2)
        assert [row[0] // MINUTE_MS for row in rows] == [minute - 2, minute - 1]
        assert not client.sandbox.truth("BTCUSDT", minute * MINUTE_MS, START_MS * 2)

        async def newest() -> Any:
            last = (await client.klines("BTCUSDT", limit=2))[0]
            return last if last[0] // MINUTE_MS == minute else None

        client.pass_time(20)
        row = await newest()
        assert [tuple(row)] == client.sandbox.truth("BTCUSDT", minute * MINUTE_MS, (minute + 1) * MINUTE_MS)


async def test_early_rows_are_not_final() -> None:
    async with Client.open() as finder:
        minute = late_minute(finder, "BTCUSDT")
    async with Client.open(speed=0.1, start_ms=(minute + 1) * MINUTE_MS + 500) as client:
        client.sandbox.control.early_rows()
        row = (await client.klines("BTCUSDT", limit=2))[0]
        assert row[0] // MINUTE_MS == minute
        final = client.sandbox.venue.kline(client.sandbox.venue.universe.find("BTCUSDT"), minute)
        assert final is not None
        assert 0 < row[8] <= final.trade_count
        assert float(row[5]) < float(final.volume)
        assert client.sandbox.control.stats()["fired"]["early_rows"] == 1


async def test_over_the_limit_is_429_and_going_on_is_a_ban() -> None:
    async with Client.open(speed=1, weight_limit=20) as client:
        _, _, headers = await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=1500)
        statuses = [(await client.get("/fapi/v1/klines", symbol="BTCUSDT", interval="1m", limit=1500))[0]]
        status, body, headers = await client.get("/fapi/v1/ping")
        assert (statuses, status) == ([200], 429)
        assert body["code"] == -1003
        assert body["msg"].startswith("Too many requests; current limit is 20 requests per minute.")
        assert 0 < int(headers["Retry-After"]) <= 60

        async def banned() -> Any:
            answer = await client.get("/fapi/v1/time")
            return answer if answer[0] == 418 else None

        _, body, headers = await eventually(banned)
        until = re.fullmatch(
            r"Way too many requests; IP\(127\.0\.0\.1\) banned until (\d{13})\."
            r" Please use the websocket for live updates to avoid bans\.",
            body["msg"],
        )
        assert until is not None
        assert 110_000 < int(until[1]) - client.sandbox.now_ms() <= 120_000
        assert int(headers["Retry-After"]) <= 120
        assert client.sandbox.control.stats()["requests"]["/fapi/v1/time 418"] >= 1


async def test_an_ordered_ban_ends_at_its_time() -> None:
    async with Client.open(speed=60) as client:
        until = client.sandbox.control.ban(180)
        status, body, _ = await client.get("/fapi/v1/time")
        assert status == 418
        assert str(until) in body["msg"]

        async def served() -> bool:
            return (await client.get("/fapi/v1/time"))[0] == 200

        await eventually(served)
        assert client.sandbox.now_ms() >= until
        assert client.sandbox.control.stats()["fired"]["ban"] >= 1


async def test_another_limit_is_told_at_once_and_kept_from_its_time_on() -> None:
    async with Client.open(speed=1) as client:
        assert await _told_limit(client) == 2400
        client.sandbox.control.weight_limit(5, in_seconds=3600)
        assert await _told_limit(client) == 5
        statuses = [(await client.get("/fapi/v1/ping"))[0] for _ in range(10)]
        assert set(statuses) == {200}
        client.sandbox.control.weight_limit(5)
        status, body, _ = await client.get("/fapi/v1/ping")
        assert (status, body["msg"].split(".")[0]) == (
            429, "Too many requests; current limit is 5 requests per minute",
        )  # fmt: skip
        assert client.sandbox.control.stats()["fired"]["weight_limit"] == 2
        with pytest.raises(ValueError, match="no such limit"):
            client.sandbox.control.weight_limit(0)


async def _told_limit(client: Client) -> int:
    _, body, _ = await client.get("/fapi/v1/exchangeInfo")
    return int(body["rateLimits"][0]["limit"])


@pytest.mark.parametrize(
    ("given", "header"),
    [(None, "10"), ("", None), ("Wed, 21 Oct 2026 07:28:00 GMT", "Wed, 21 Oct 2026 07:28:00 GMT")],
)
async def test_429_with_any_retry_after(given: str | None, header: str | None) -> None:
    async with Client.open(speed=1) as client:
        client.sandbox.control.too_many(10, retry_after=given)
        status, _, headers = await client.get("/fapi/v1/ping")
        assert status == 429
        assert headers.get("Retry-After") == header


async def test_429_until_a_date_of_the_exchanges_own_clock() -> None:
    """Date and Retry-After are of one clock, whole seconds on either side of the truth."""
    async with Client.open(speed=1) as client:
        until_ms = client.sandbox.control.too_many(100, retry_after="date")
        status, _, headers = await client.get("/fapi/v1/ping")
        assert status == 429
        told, asked = (parsedate_to_datetime(headers[name]).timestamp() for name in ("Retry-After", "Date"))
        assert 0 <= told - until_ms / 1000 < 1
        assert 0 <= client.sandbox.now_ms() / 1000 - asked < 30


async def test_the_stated_time_can_be_wrong() -> None:
    async with Client.open(speed=1) as client:
        client.sandbox.control.clock_skew(-5.0)
        before = client.sandbox.now_ms()
        _, body, _ = await client.get("/fapi/v1/time")
        assert before <= body["serverTime"] + 5_000 <= client.sandbox.now_ms()
        client.sandbox.control.clear()
        before = client.sandbox.now_ms()
        _, body, _ = await client.get("/fapi/v1/time")
        assert before <= body["serverTime"] <= client.sandbox.now_ms()


async def read(client: Client, path: str = "/fapi/v1/time") -> tuple[int, str, bytes]:
    url = client.sandbox.rest_url + path
    async with client.session.get(url, allow_redirects=False) as answer:
        return answer.status, answer.content_type, await answer.read()


async def test_answers_can_be_replaced() -> None:
    async with Client.open() as client:
        control = client.sandbox.control
        control.rest("error", status=503, count=1)
        assert (await read(client))[0] == 503
        control.rest("error", status=400, body='{"code":-1121,"msg":"Invalid symbol."}', count=1)
        assert await read(client) == (400, "application/json", b'{"code":-1121,"msg":"Invalid symbol."}')
        control.rest("html", status=200, count=1)
        status, kind, body = await read(client)
        assert (status, kind) == (200, "text/html")
        assert body.startswith(b"<html>")
        control.rest("empty", status=200, count=1)
        assert await read(client) == (200, "application/json", b"")
        control.rest("error", status=302, headers={"Location": "http://127.0.0.2:1/"}, count=1)
        assert (await read(client))[0] == 302
        assert (await read(client))[0] == 200
        assert control.stats()["fired"]["rest"] == 5


async def test_answers_can_be_cut_slow_or_missing() -> None:
    async with Client.open() as client:
        control = client.sandbox.control
        control.rest("truncated", count=1)
        with pytest.raises(aiohttp.ClientPayloadError):
            await read(client)
        control.rest("reset", count=2)  # aiohttp's client asks once more by itself
        with pytest.raises(aiohttp.ClientConnectionError):
            await read(client)
        control.rest("delay", seconds=0.3, count=1)
        begun = asyncio.get_running_loop().time()
        assert (await read(client))[0] == 200
        assert asyncio.get_running_loop().time() - begun >= 0.3
        control.rest("drip", seconds=0.005, count=1)
        assert (await read(client))[2].startswith(b'{"serverTime":')
        hanging = control.rest("hang", path="time")
        task = asyncio.create_task(read(client))
        await eventually(lambda: hanging.fired == 1)
        assert (await read(client, "/fapi/v1/ping"))[0] == 200, "only what it was set for"
        assert not task.done()
        control.clear()
        assert (await task)[0] == 200, "reset when the fault ends, and asked again"
        assert control.stats()["requests"]["/fapi/v1/time 0"] == 4


async def test_faults_can_be_for_one_symbol() -> None:
    async with Client.open() as client:
        client.sandbox.control.rest("error", status=500, path="klines", symbol="ETHUSDT")
        assert (await read(client, "/fapi/v1/klines?symbol=ETHUSDT&interval=1m"))[0] == 500
        assert (await read(client, "/fapi/v1/klines?symbol=BTCUSDT&interval=1m"))[0] == 200
        assert (await read(client, "/fapi/v1/exchangeInfo"))[0] == 200


async def test_an_unknown_path_is_404_in_the_venues_form() -> None:
    async with Client.open() as client:
        status, body, _ = await client.get("/fapi/v1/nope")
        assert status == 404
        assert body["code"] == -5000
