"""H2, H5, H6: clients that send slowly, endlessly, too much, or are too many; over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import repeat

import pytest
from starlette.responses import Response
from starlette.types import ASGIApp

from src.api.app import Access, make_app
from src.api.limits import Limits
from src.api.parts import Parts
from tests.support.api import Api, routes_in, served
from tests.support.eventually import eventually
from tests.support.raw_client import RawClient, status_of

LIMITS = Limits(
    connections=8, listeners=2, idle_s=300, receipt_s=300, linger_s=0.3, in_flight=2, sweep_s=0.02
)
"""Deadlines that no load reaches, but for the one that a test is about."""
HEAD = b"Host: 127.0.0.1\r\n"
GET = b"GET /health HTTP/1.1\r\n" + HEAD + b"\r\n"
DRIP_S = 0.03
SOON_S = 60.0
_BIG_BYTES = 32 * 1_048_576


def with_slow_routes(parts: Parts, access: Access) -> ASGIApp:
    """The application, with a route that waits and one whose answer is more than sockets hold."""
    gate = make_app(parts, access)
    routes = routes_in(gate)
    routes.state.go = asyncio.Event()

    @routes.get("/wait")
    async def wait() -> None:
        await routes.state.go.wait()

    @routes.get("/big")
    async def big() -> Response:
        return Response(b"x" * _BIG_BYTES)

    @routes.post("/take")
    async def take(asked: dict[str, int]) -> dict[str, int]:
        return asked

    return gate


@asynccontextmanager
async def limited(**limits: float) -> AsyncIterator[Api]:
    async with served(limits=replace(LIMITS, **limits), app=with_slow_routes) as api:  # type: ignore[arg-type]
        yield api


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with limited() as api:
        yield api


def being_answered(api: Api) -> int:
    """How many requests are in the application."""
    return len(api.server._server.server_state.tasks) if api.server._server else 0


async def nobody(api: Api) -> None:
    await eventually(lambda: api.server.doors.callers == 0, timeout=SOON_S)


def post(*headers: bytes) -> bytes:
    lines = (b"POST /take HTTP/1.1", b"Host: 127.0.0.1", b"Content-Type: application/json", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def single(data: bytes) -> Iterator[bytes]:
    """A byte at a time, and then for ever the last one."""
    yield from (data[index : index + 1] for index in range(len(data)))
    yield from repeat(data[-1:])


SLOW = {
    "no request": (b"", repeat(b""), 0),
    "empty lines": (b"", repeat(b"\r\n"), 0),
    "request line": (b"", single(b"GET /health"), 408),
    "header": (b"GET /health HTTP/1.1\r\nX-Slow: ", repeat(b"x"), 408),
    "headers": (b"GET /health HTTP/1.1\r\n", repeat(b"X-Slow: x\r\n"), 408),
    "body": (post(b"Content-Length: 1000"), single(b'{"a": 1'), 408),
    "chunks": (post(b"Transfer-Encoding: chunked"), repeat(b"1\r\n1\r\n"), 408),
    "chunk size": (post(b"Transfer-Encoding: chunked"), repeat(b"0"), 408),
    "handshake": (b"GET /api/v1/live HTTP/1.1\r\nUpgrade: websocket\r\nConnection: ", repeat(b"U"), 408),
}


@pytest.mark.parametrize("name", SLOW)
async def test_whoever_sends_slowly_is_cut_off(name: str) -> None:
    first, pieces, status = SLOW[name]
    async with limited(**({"receipt_s": 0.4} if status else {"idle_s": 0.4})) as api:
        async with RawClient.to(api.port) as client:
            await client.send(first)
            assert status_of(await client.answer_while_sending(pieces, every=DRIP_S)) == status
        assert api.refused("slow") == (1 if status else 0)
        await nobody(api)


async def test_a_connection_may_be_quiet_between_requests_for_a_while() -> None:
    async with limited(sweep_s=3_600) as api, RawClient.to(api.port) as client:
        for _ in range(3):
            await client.send(GET)
            assert status_of(await client.one_answer()) == 200
        quiet_since = asyncio.get_running_loop().time()
        sweep = api.server.doors.sweep
        await asyncio.sleep(0.05)
        sweep(quiet_since + LIMITS.idle_s - 10)
        await client.send(GET)
        assert status_of(await client.one_answer()) == 200
        quiet_since = asyncio.get_running_loop().time()
        await asyncio.sleep(0.05)
        await client.send(b"\r\n" * 3)
        await asyncio.sleep(0.05)
        sweep(quiet_since + LIMITS.idle_s)  # what is no request makes it no longer
        assert await client.answer() == b""


async def test_requests_may_come_one_behind_the_other(api: Api) -> None:
    async with RawClient.to(api.port) as client:
        await client.send(GET * 3)
        for _ in range(3):
            assert status_of(await client.one_answer()) == 200


@pytest.mark.parametrize("last", [b"keep-alive", b"close"])
@pytest.mark.parametrize("takes", [False, True])
async def test_whoever_does_not_take_its_answer_in_time_is_cut_off(last: bytes, takes: bool) -> None:
    loop = asyncio.get_running_loop()
    async with limited(sweep_s=3_600) as api, RawClient.to(api.port) as client:
        client.pause()
        begun = loop.time()
        await client.send(b"GET /big HTTP/1.1\r\n" + HEAD + b"Connection: " + last + b"\r\n\r\n")
        await eventually(lambda: api.answered("/big"), timeout=SOON_S)
        assert (
            api.server._config().timeout_keep_alive > LIMITS.whole_s + LIMITS.idle_s
        )  # uvicorn's own is no shorter
        for before in (LIMITS.whole_s - 20, 10):
            api.server.doors.sweep(begun + LIMITS.whole_s - before)
            await asyncio.sleep(0.02)
        assert api.server.doors.callers == 1
        if takes:
            client.resume()
            assert len(await client.one_answer()) > _BIG_BYTES
        api.server.doors.sweep(loop.time() + LIMITS.whole_s)
        api.server.doors.sweep(loop.time() + LIMITS.whole_s + LIMITS.idle_s)
        await nobody(api)
        assert api.refused("deadline") == (0 if takes else 1)


async def test_whoever_was_answered_early_and_sends_on_slowly_gets_no_second_answer() -> None:
    async with limited(receipt_s=0.4) as api, RawClient.to(api.port) as client:
        await client.send(b"POST /take HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 1000\r\n\r\n{")
        answer = await client.answer_while_sending(repeat(b" "), every=DRIP_S)
        assert status_of(answer) == 421
        assert answer.count(b"HTTP/1.1") == 1
        assert api.refused("slow") == 1


async def test_a_handler_has_a_deadline() -> None:
    async with limited(handler_s=0.4) as api, RawClient.to(api.port) as client:
        await client.send(b"GET /wait HTTP/1.1\r\n" + HEAD + b"\r\n")
        answer = await client.one_answer()
        assert status_of(answer) == 503
        assert b"retry-after: 5" in answer.lower()
        await client.send(GET)
        assert status_of(await client.one_answer()) == 200
        assert api.refused("deadline") == 1


async def test_a_request_that_the_end_of_the_server_ends_is_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with AsyncExitStack() as stack:
        async with served(limits=Limits(), app=with_slow_routes) as api:
            client = await stack.enter_async_context(RawClient.to(api.port))
            await client.send(b"GET /wait HTTP/1.1\r\n" + HEAD + b"\r\n")
            await eventually(lambda: being_answered(api), timeout=SOON_S)
        assert await client.answer() == b""
    assert "Exception in ASGI application" not in caplog.text


async def test_more_requests_than_places_wait_and_then_come_later() -> None:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(limited(turn_s=0.2, handler_s=300))
        clients = [await stack.enter_async_context(RawClient.to(api.port)) for _ in range(4)]
        wait = b"GET /wait HTTP/1.1\r\n" + HEAD + b"\r\n"
        for number, client in enumerate(clients[:2], 1):
            await client.send(wait)
            await eventually(lambda: being_answered(api) == number, timeout=SOON_S)  # noqa: B023 - in this turn
        await clients[2].send(wait)
        refused = await clients[2].one_answer()
        assert (status_of(refused), b"too many requests at once" in refused) == (503, True)
        # Whether it is alive is answered all the same.
        await clients[3].send(GET)
        assert status_of(await clients[3].one_answer()) == 200
        routes_in(api.app).state.go.set()
        for client in clients[:2]:
            assert status_of(await client.one_answer()) == 200
        await clients[2].send(wait)
        assert status_of(await clients[2].one_answer()) == 200


BIG = {
    "declared": (post(b"Content-Length: 1073741824"), repeat(b"x" * 16_384), 413),
    "declared, and asked first": (post(b"Content-Length: 1073741824", b"Expect: 100-continue"), (), 413),
    "a byte too much": (post(b"Content-Length: 65537"), repeat(b"x" * 16_384), 413),
    "chunked": (post(b"Transfer-Encoding: chunked"), repeat(b"4000\r\n" + b"x" * 16_384 + b"\r\n"), 413),
    "one chunk": (post(b"Transfer-Encoding: chunked") + b"40000000\r\n", repeat(b"x" * 16_384), 413),
    "packed": (
        post(b"Content-Length: 3", b"Content-Encoding: gzip", b"Connection: close") + b"\x1f\x8b\x08",
        (),
        415,
    ),
    "url": (b"GET /" + b"x" * 5_000 + b" HTTP/1.1\r\n" + HEAD + b"\r\n", (), 414),
    "endless url": (b"GET /", repeat(b"x" * 4_096), 414),
    "headers": (b"GET /health HTTP/1.1\r\n" + HEAD + b"X-Long: " + b"x" * 17_000 + b"\r\n\r\n", (), 431),
    "many headers": (b"GET /health HTTP/1.1\r\n" + HEAD + b"X-Many: 1\r\n" * 120 + b"\r\n", (), 431),
    "endless header": (b"GET /health HTTP/1.1\r\nX-Long: ", repeat(b"x" * 4_096), 431),
    "endless headers": (b"GET /health HTTP/1.1\r\n", repeat(b"X-Many: 1\r\n"), 431),
    "endless empty lines": (b"", repeat(b"\r\n" * 2_048), 431),
    "trailers": (
        post(b"Transfer-Encoding: chunked") + b"0\r\n",
        repeat(b"X: " + b"x" * 4_096 + b"\r\n"),
        431,
    ),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (), 400),
    "two lengths": (post(b"Content-Length: 2", b"Content-Length: 3") + b"{}", (), 400),
    "length and chunks": (post(b"Content-Length: 2", b"Transfer-Encoding: chunked") + b"{}", (), 400),
    "a length that is none": (post(b"Content-Length: -1") + b"{}", (), 400),
    "no host": (b"GET /health HTTP/1.1\r\nConnection: close\r\n\r\n", (), 400),
}


@pytest.mark.parametrize("name", BIG)
async def test_too_much_is_refused_before_it_is_there(api: Api, name: str) -> None:
    first, pieces, status = BIG[name]
    async with RawClient.to(api.port) as client:
        await client.send(first)
        answer = await client.answer_while_sending(pieces)
        assert status_of(answer) == status
        assert b"application/problem+json" in answer
        assert b"100 Continue" not in answer
        assert client.sent < 8 * 1_048_576  # what the sockets of both sides hold
    await nobody(api)


async def test_a_flood_of_connections_leaves_those_that_are_there(api: Api) -> None:
    async with AsyncExitStack() as stack:
        there = [await stack.enter_async_context(RawClient.to(api.port)) for _ in range(LIMITS.connections)]
        await eventually(lambda: api.server.doors.callers == LIMITS.connections, timeout=SOON_S)
        for _ in range(40):
            async with RawClient.to(api.port) as client:
                assert await client.answer() == b""
        assert api.refused("connections") == 40
        for client in there:
            await client.send(GET)
            assert status_of(await client.one_answer()) == 200
    await nobody(api)
    async with RawClient.to(api.port) as client:
        await client.send(GET)
        assert status_of(await client.one_answer()) == 200
