"""An HTTP CONNECT proxy with faults, which leads every tunnel to a fixed place whatever name was asked for.

So the daemon can be given an address that is not loopback (``https://0.0.0.0:PORT``), must go through the
proxy for it, and lands at the sandbox. Whoever connects to that address directly meets the ``Trap``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from types import TracebackType
from typing import Self

from .processes import port_of, reserved_port

_HEAD_LIMIT = 16_384


class ConnectMode(StrEnum):
    """What the proxy does with the next CONNECT."""

    OPEN = "open"
    AUTHENTICATE = "authenticate"
    """407 Proxy Authentication Required."""
    HANG = "hang"
    """The request is read and never answered."""
    DIE = "die"
    """The tunnel opens and is reset as soon as the first bytes came back through it."""


class ConnectProxy:
    """``routes`` maps the asked port to the (host, port) where the tunnel really goes.

    Counters in ``fired``: tunnels, refused, authenticate, hang, die, unknown.
    """

    def __init__(self, routes: Mapping[int, tuple[str, int]]) -> None:
        self.routes = dict(routes)
        self.mode = ConnectMode.OPEN
        self._held = reserved_port()
        self.port = port_of(self._held)
        self.asked: Counter[str] = Counter()
        """CONNECT requests by target (host:port)."""
        self.fired: Counter[str] = Counter()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()
        self._held.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def listen(self) -> None:
        """Accept connections (again)."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def refuse(self) -> None:
        """Close the listening socket and every tunnel: the proxy is gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self.fired["refused"] += 1
        self.cut_tunnels()

    def cut_tunnels(self) -> int:
        """Abort all open connections; returns how many there were."""
        writers = list(self._writers)
        for writer in writers:
            writer.transport.abort()
        return len(writers)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="connectproxy-client")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._answer(reader, writer)
        finally:
            self._writers.discard(writer)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.decode("latin-1").partition(" ")
        asked = rest.partition(" ")[0]
        self.asked[asked] += 1
        target = self.routes.get(int(asked.rpartition(":")[2] or 0)) if method == "CONNECT" else None
        if target is None:
            self.fired["unknown"] += 1
            await _reply(writer, "405 Method Not Allowed")
        elif self.mode is ConnectMode.AUTHENTICATE:
            self.fired["authenticate"] += 1
            await _reply(writer, "407 Proxy Authentication Required\r\nProxy-Authenticate: Basic")
        elif self.mode is ConnectMode.HANG:
            self.fired["hang"] += 1
            await reader.read(-1)
        else:
            await self._tunnel(reader, writer, target)

    async def _tunnel(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int]
    ) -> None:
        venue_reader, venue = await asyncio.open_connection(*target)
        self._writers.add(venue)
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            self.fired["tunnels"] += 1
            pumps = (
                asyncio.create_task(_copy(reader, venue), name="connectproxy-up"),
                asyncio.create_task(self._copy_down(venue_reader, writer), name="connectproxy-down"),
            )
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        finally:
            self._writers.discard(venue)
            venue.transport.abort()

    async def _copy_down(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            if self.mode is ConnectMode.DIE:
                self.fired["die"] += 1
                return
            sink.write(data)
            await sink.drain()


class Trap:
    """A listener that counts whoever connects directly; nobody may."""

    def __init__(self) -> None:
        self.port = 0
        self.caught = 0
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._caught, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    def _caught(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.caught += 1
        writer.transport.abort()


async def _reply(writer: asyncio.StreamWriter, status: str) -> None:
    writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode("latin-1"))
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65_536):
        sink.write(data)
        await sink.drain()
