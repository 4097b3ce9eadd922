"""The live feed over real web sockets: what is said, who is let in, who is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from src.api.feed import live
from src.api.limits import Limits
from src.api.security import Tokens
from src.model import MINUTE_MS
from tests.support.api import Api, StandInReader, served
from tests.support.eventually import eventually
from tests.support.fakes import make_candle
from tests.support.raw_client import RawClient, status_of

SOON_S = 60.0
LIMITS = Limits(listeners=4, backlog_bytes=65_536, linger_s=0.3, sweep_s=0.02)
TOKEN = "r" * 64
HANDSHAKE = (
    b"GET /api/v1/live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def masked(text: bytes) -> bytes:
    """A whole text frame as a client sends it, with a mask of zeros."""
    size = len(text)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return b"\x81" + length + b"\0\0\0\0" + text


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served(limits=LIMITS) as api:
        yield api


@pytest.fixture
async def closed_api(tmp_path: Path) -> AsyncIterator[Api]:
    (tmp_path / "tokens").write_text(f"reader read {TOKEN}\n")
    tokens = Tokens(str(tmp_path / "tokens"))
    tokens.load()
    async with served(limits=LIMITS, tokens=tokens) as api:
        yield api


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


Socket = aiohttp.ClientWebSocketResponse


async def hears(socket: Socket, **wanted: Any) -> None:
    """Subscribe, and see that it was taken."""
    await socket.send_json({"subscribe": wanted})
    answer = await socket.receive_json(timeout=SOON_S)
    assert answer == {
        "type": "subscribed",
        "subscribe": {"candles": [], "tasks": [], "alerts": False} | wanted,
    }


def tell(api: Api, *symbols: str) -> None:
    """As the writer does after its COMMIT."""
    open_ms = api.parts.clock.now_ms() // MINUTE_MS * MINUTE_MS - MINUTE_MS
    api.parts.hub.candles([make_candle(symbol, open_ms) for symbol in symbols])


async def test_a_client_hears_what_it_asked_for_last(api: Api, session: aiohttp.ClientSession) -> None:
    async with session.ws_connect(f"{api.url}/api/v1/live") as socket:
        hello = await socket.receive_json(timeout=SOON_S)
        assert (hello["type"], hello["columns"][:3]) == ("hello", ["symbol", "open_time", "open"])
        await hears(socket, candles="*")
        tell(api, "BTCUSDT", "ETHUSDT")
        live = await socket.receive_json(timeout=SOON_S)
        assert [row[0] for row in live["candles"]] == ["BTCUSDT", "ETHUSDT"]
        assert len(live["candles"][0]) == len(hello["columns"])
        await hears(socket, candles=["ETHUSDT"], alerts=True)
        tell(api, "BTCUSDT", "ETHUSDT")
        assert [row[0] for row in (await socket.receive_json(timeout=SOON_S))["candles"]] == ["ETHUSDT"]
        api.parts.hub.alert({"alert": 1, "price": 2.5})
        assert (await socket.receive_json(timeout=SOON_S))["alerts"] == [{"alert": 1, "price": 2.5}]
        await hears(socket)
        tell(api, "ETHUSDT")
        await hears(socket, candles=["XUSDT"])  # nothing came in between
    await eventually(lambda: api.server.doors.listeners == 0, timeout=SOON_S)
    assert not api.parts.hub._listeners


async def test_a_message_that_is_wrong_is_named_and_changes_nothing(
    api: Api, session: aiohttp.ClientSession
) -> None:
    async with session.ws_connect(f"{api.url}/api/v1/live") as socket:
        await socket.receive_json(timeout=SOON_S)
        await hears(socket, candles=["ETHUSDT"])
        for text in ("{", '{"subscribe": {"candles": 7}}', '{"other": "\\u001b[31m"}', "null"):
            await socket.send_str(text)
            answer = await socket.receive_json(timeout=SOON_S)
            assert answer["type"] == "error"
            assert answer["detail"]
        await socket.send_bytes(b"\x00")
        assert (await socket.receive_json(timeout=SOON_S))["type"] == "error"
        tell(api, "ETHUSDT")
        assert "candles" in await socket.receive_json(timeout=SOON_S)


async def test_logs_of_tasks_that_cannot_be_read_are_said_so(session: aiohttp.ClientSession) -> None:
    def away(**_: Any) -> list[tuple[Any, ...]]:
        from src.errors import Unavailable

        raise Unavailable("database: host db.internal is away")

    async with (
        served(limits=LIMITS, reader=StandInReader({"feed.task_ends": away})) as api,
        session.ws_connect(f"{api.url}/api/v1/live") as socket,
    ):
        await socket.receive_json(timeout=SOON_S)
        await socket.send_json({"subscribe": {"tasks": ["a"]}})
        answer = await socket.receive_json(timeout=SOON_S)
        assert answer["type"] == "error"
        assert "internal" not in answer["detail"]


async def test_a_token_in_the_header_or_in_the_first_message(
    closed_api: Api, session: aiohttp.ClientSession
) -> None:
    url = f"{closed_api.url}/api/v1/live"
    async with session.ws_connect(url, headers={"Authorization": f"Bearer {TOKEN}"}) as socket:
        await socket.receive_json(timeout=SOON_S)
        await hears(socket, candles="*")
    async with session.ws_connect(url) as socket:
        await socket.receive_json(timeout=SOON_S)
        await socket.send_json({"token": TOKEN})
        await hears(socket, candles="*")
        tell(closed_api, "BTCUSDT")
        assert "candles" in await socket.receive_json(timeout=SOON_S)
    for message in ({"subscribe": {"candles": "*"}}, {"token": "x" * 64, "subscribe": {"candles": "*"}}):
        async with session.ws_connect(url) as socket:
            await socket.receive_json(timeout=SOON_S)
            await socket.send_json(message)
            assert (await socket.receive_json(timeout=SOON_S))["type"] == "error"
            assert (await socket.receive(timeout=SOON_S)).data == 1008
            assert not closed_api.parts.hub._listeners
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        async with session.ws_connect(url, headers={"Authorization": "Bearer wrong"}):
            pass
    assert raised.value.status == 401


async def test_who_never_says_his_token_is_sent_away(
    closed_api: Api, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_TOKEN_WITHIN_S", 0.1)
    async with session.ws_connect(f"{closed_api.url}/api/v1/live") as socket:
        await socket.receive_json(timeout=SOON_S)
        assert (await socket.receive_json(timeout=SOON_S))["type"] == "error"
        assert (await socket.receive(timeout=SOON_S)).data == 1008


async def test_more_listeners_than_there_may_be_are_refused(api: Api, session: aiohttp.ClientSession) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(LIMITS.listeners):
            socket = await stack.enter_async_context(session.ws_connect(f"{api.url}/api/v1/live"))
            await socket.receive_json(timeout=SOON_S)
        with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
            async with session.ws_connect(f"{api.url}/api/v1/live"):
                pass
        assert raised.value.status == 503
        async with session.get(f"{api.url}/health") as answer:
            assert answer.status == 200
    await eventually(lambda: api.server.doors.listeners == 0, timeout=SOON_S)
    async with session.ws_connect(f"{api.url}/api/v1/live") as socket:
        await socket.receive_json(timeout=SOON_S)


async def test_a_slow_listener_is_cut_off_and_the_others_hear_everything(
    api: Api, session: aiohttp.ClientSession
) -> None:
    symbols = [f"S{number:03}USDT" for number in range(500)]
    async with RawClient.to(api.port) as slow, session.ws_connect(f"{api.url}/api/v1/live") as quick:
        await slow.send(HANDSHAKE + masked(b'{"subscribe":{"candles":"*"}}'))
        await quick.receive_json(timeout=SOON_S)
        await hears(quick, candles="*")
        await eventually(lambda: len(api.parts.hub._listeners) == 2, timeout=SOON_S)
        slow.pause()
        rounds = 0
        while api.refused("backlog") == 0:
            tell(api, *symbols)
            assert len((await quick.receive_json(timeout=SOON_S))["candles"]) == 500
            rounds += 1
            assert rounds < 2_000
        tell(api, *symbols)
        assert len((await quick.receive_json(timeout=SOON_S))["candles"]) == 500
        assert len(api.parts.hub._listeners) == 1
        await eventually(lambda: api.server.doors.listeners == 1, timeout=SOON_S)


@pytest.mark.parametrize(
    ("flood", "refused"),
    [
        (masked(b"{}") * 400, 1),
        (b"\x89\x80abcd" * 400, 1),
        (masked(b"x" * 20_000), 0),
        (b"\xff" * 30, 0),
    ],
    ids=["messages", "pings", "a long message", "no frames"],
)
async def test_whoever_floods_the_feed_is_cut_off(flood: bytes, refused: int) -> None:
    # Nothing looks at the clock here, so that a second is as long as the flood, however slow the machine.
    async with served(limits=replace(LIMITS, sweep_s=3_600)) as api:
        async with RawClient.to(api.port) as client:
            await client.send(HANDSHAKE)
            assert status_of(await client.head()) == 101
            await client.answer_while_sending(repeat(flood, 10_000))
        await eventually(lambda: api.server.doors.listeners == 0, timeout=SOON_S)
        assert api.refused("flood") == refused


async def test_whoever_is_gone_without_a_word_is_forgotten(api: Api) -> None:
    async with RawClient.to(api.port) as client:
        await client.send(HANDSHAKE + masked(b'{"subscribe":{"candles":"*"}}'))
        await eventually(lambda: len(api.parts.hub._listeners) == 1, timeout=SOON_S)
        client._writer.transport.abort()
        await eventually(lambda: not api.parts.hub._listeners, timeout=SOON_S)
    assert api.server.doors.listeners == 0


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/health"])
async def test_there_are_no_other_web_sockets(api: Api, session: aiohttp.ClientSession, path: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        async with session.ws_connect(api.url + path):
            pass
    assert 400 <= raised.value.status < 500


async def test_all_is_ended_when_the_server_ends(session: aiohttp.ClientSession) -> None:
    async with AsyncExitStack() as stack:
        async with served(limits=LIMITS) as api:
            sockets = [
                await stack.enter_async_context(session.ws_connect(f"{api.url}/api/v1/live"))
                for _ in range(3)
            ]
            for socket in sockets:
                await socket.receive_json(timeout=SOON_S)
        async with asyncio.timeout(SOON_S):
            for socket in sockets:
                assert (await socket.receive()).type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)
