"""A plain client of the sandbox: aiohttp on both sides of the protocol, nothing of marketd's own adapters."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
from multidict import CIMultiDictProxy

from src.sandbox import Sandbox, SandboxOptions

START_MS = 1_780_000_020_000
"""A whole minute of 2026."""


class Client:
    """One sandbox in this process and a session to talk to it."""

    def __init__(self, sandbox: Sandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session

    @classmethod
    @asynccontextmanager
    async def open(cls, **options: Any) -> AsyncIterator[Self]:
        """Small and fast by default: six symbols that never sleep, a minute every half second."""
        given = {"symbols": 6, "speed": 120.0, "sleeper_share": 0.0, "start_ms": START_MS} | options
        async with Sandbox(SandboxOptions(**given)) as sandbox, aiohttp.ClientSession() as session:
            yield cls(sandbox, session)

    def pass_time(self, seconds: float) -> None:
        """Exchange seconds that pass at once, so that what comes before and after does not depend on this machine."""
        clock = self.sandbox.venue.clock
        clock.anchor -= seconds / clock.speed

    async def get(self, path: str, **query: Any) -> tuple[int, Any, CIMultiDictProxy[str]]:
        """Status, decoded body and headers."""
        async with self.session.get(self.sandbox.rest_url + path, params=query) as answer:
            return answer.status, await answer.json(content_type=None), answer.headers

    async def klines(self, symbol: str, **query: Any) -> Any:
        status, rows, _ = await self.get("/fapi/v1/klines", symbol=symbol, interval="1m", **query)
        assert status == 200, rows
        return rows

    async def control(self, command: str, **arguments: Any) -> tuple[int, Any]:
        url = f"{self.sandbox.control_url}/{command}"
        async with self.session.post(url, json=arguments) as answer:
            return answer.status, await answer.json()

    @asynccontextmanager
    async def stream(
        self, *names: str, path: str = "/stream", base: str | None = None
    ) -> AsyncIterator[Stream]:
        """A connection, subscribed to ``names`` by a message."""
        url = (base or self.sandbox.ws_url) + path
        async with self.session.ws_connect(url, max_msg_size=0) as socket:
            stream = Stream(socket)
            if names:
                assert await stream.ask("SUBSCRIBE", list(names)) is None
            yield stream


class Stream:
    """One connection; messages that were passed over while waiting stay in ``seen``."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.seen: list[Any] = []
        self._number = 0

    async def ask(self, method: str, params: Any = None) -> Any:
        """Send a request and return what its answer has as ``result``."""
        self._number += 1
        number = self._number
        await self.socket.send_str(
            json.dumps({"method": method, "params": params or [], "id": number}, ensure_ascii=False)
        )
        answer = await self.until(lambda message: message.get("id") == number)
        return answer.get("result", answer)

    async def next(self) -> Any:
        """The next text message, decoded."""
        message = await self.socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        decoded = json.loads(message.data)
        self.seen.append(decoded)
        return decoded

    async def until(self, condition: Callable[[Any], bool]) -> Any:
        while not condition(message := await self.next()):
            pass
        return message

    async def settled(self) -> None:
        """Read what was sent before now; what the venue was told before this, it has done by then."""
        await self.ask("LIST_SUBSCRIPTIONS")

    async def closed(self, number: int) -> list[dict[str, Any]]:
        """The next ``number`` candles that say they are closed, as the frame's ``k`` with its ``E``."""
        found: list[dict[str, Any]] = []
        while len(found) < number:
            message = await self.next()
            event = message.get("data", message)
            if event and event.get("e") == "kline" and event["k"]["x"]:
                found.append(event["k"] | {"E": event["E"]})
        return found

    async def end(self) -> aiohttp.WSMessage:
        """Read on until the connection ends; its last message."""
        while True:
            message = await self.socket.receive(timeout=60)
            if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                return message


def row_of(k: dict[str, Any]) -> list[Any]:
    """A frame's candle in the order of REST's columns."""
    names = ("t", "o", "h", "l", "c", "v", "T", "q", "n", "V", "Q", "B")
    return [k[name] for name in names]
