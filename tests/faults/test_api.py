"""H2, H5, H6, and listeners that do not listen: what is done to the API, the candles never notice. docs/faults.md."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from tests.support.eventually import eventually
from tests.support.raw_client import RawClient
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_SLOW = 40
"""Of the 64 connections that there may be."""
_DRIP_S = 0.3
_LISTENERS, _DEAF = 60, 5
_DEAF_S = 10.0
"""Then it begins anew: whoever takes nothing does not see either that it was cut off."""
_SUBSCRIBE = b'\x81\x9d\0\0\0\0{"subscribe":{"candles":"*"}}'
_HANDSHAKE = (
    b"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_POST = b"POST /analyze HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@asynccontextmanager
async def serving(folder: Path, database: str) -> AsyncIterator[tuple[World, int]]:
    """A world whose daemon serves the API too; the port of that."""
    async with open_world(folder, database, arguments=("--ws", "--api")) as world:
        await world.begin()
        url = await world.daemon.api_url()
        yield world, int(url.rpartition(":")[2])


@asynccontextmanager
async def doing(*abuses: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """All of that, again and again, while the body runs."""

    async def again(abuse: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(OSError, EOFError, TimeoutError, aiohttp.ClientError):
                await abuse()
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(again(abuse), name="abuse") for abuse in abuses]
        yield
        for task in tasks:
            task.cancel()


async def test_h2_h5_h6_slow_big_and_many_requests(tmp_path: Path, database: str) -> None:
    async with serving(tmp_path, database) as (world, port):
        resident = world.daemon.child.usage().resident_mb

        async def drip_header() -> None:
            async with RawClient.to(port) as client:
                await client.send(b"GET /health HTTP/1.1\r\nX-Slow: ")
                await client.answer_while_sending((b"x" for _ in range(200)), every=_DRIP_S)

        async def drip_body() -> None:
            async with RawClient.to(port) as client:
                await client.send(_POST + b"Content-Length: 1000\r\n\r\n")
                await client.answer_while_sending((b" " for _ in range(200)), every=_DRIP_S)

        async def declare() -> None:
            async with RawClient.to(port) as client:
                await client.send(_POST + b"Content-Length: 1073741824\r\n\r\n" + b"x" * 65_536)
                await client.answer()

        async def chunk() -> None:
            async with RawClient.to(port) as client:
                await client.send(_POST + b"Transfer-Encoding: chunked\r\n\r\n")
                await client.answer_while_sending(
                    b"4000\r\n" + b"x" * 16_384 + b"\r\n" for _ in range(10_000)
                )

        async def flood() -> None:
            async with AsyncExitStack() as stack:
                for _ in range(100):
                    await stack.enter_async_context(RawClient.to(port))

        abuses = [drip_header, drip_body] * (_SLOW // 2) + [declare, chunk, flood]
        async with doing(*abuses):
            await world.live_rows(6)
            for reason, least in (("slow", _SLOW), ("body", 20), ("connections", 200)):
                await world.daemon.wait_metric("api_refused_total", least, reason=reason)
            await eventually(lambda: _answers(port), timeout=60, message="somebody gets in between")
            assert world.daemon.child.usage().resident_mb < resident + 60
        await world.live_rows(1)
        await world.finish()


async def test_listeners_that_hear_everything_and_listeners_that_take_nothing(
    tmp_path: Path, database: str
) -> None:
    async with serving(tmp_path, database) as (world, port):
        heard = dict.fromkeys(range(_LISTENERS), 0)

        async def listen(number: int) -> None:
            async with (
                aiohttp.ClientSession() as session,
                session.ws_connect(f"http://127.0.0.1:{port}/api/v1/live") as socket,
            ):
                await socket.send_json({"subscribe": {"candles": "*"}})
                async for message in socket:
                    heard[number] += message.data.count("USDT")

        async def take_nothing() -> None:
            async with RawClient.to(port) as client:
                await client.send(_HANDSHAKE)
                await client.head()
                await client.send(_SUBSCRIBE)
                client.pause()
                await asyncio.sleep(_DEAF_S)

        listeners = [lambda number=number: listen(number) for number in range(_LISTENERS)]
        async with doing(*listeners, *[take_nothing] * _DEAF):
            await world.daemon.wait_metric("api_connections", _LISTENERS + _DEAF, kind="feed")
            await world.live_rows(8)
            await eventually(
                lambda: min(heard.values()) >= 5 * len(world.venue.symbols), timeout=60, message="all hear"
            )
        await eventually(lambda: _nobody_listens(world), timeout=60)
        await world.live_rows(1)
        await world.finish()


async def _answers(port: int) -> bool:
    with suppress(OSError, aiohttp.ClientError, TimeoutError):
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://127.0.0.1:{port}/health") as answer,
        ):
            return answer.status == 200
    return False


async def _nobody_listens(world: World) -> bool:
    return (await world.daemon.metrics()).total("api_connections", kind="feed") == 0
