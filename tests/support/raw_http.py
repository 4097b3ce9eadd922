"""An HTTP server that says exactly the bytes it is told to, right or wrong: what no real server library will do."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

Say = Callable[["Request", asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: path, query fields (first value each) and headers by lower-case name."""

    target: str
    headers: dict[str, str]

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


def answer(body: object, status: int = 200, **headers: str) -> Say:
    """A complete answer; anything but text and bytes goes as JSON. Header names with ``_`` for ``-``."""
    data = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()

    async def say(request: Request, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(data)}", "Content-Type: application/json"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + data)
        await writer.drain()

    return say


def zipped(size: int) -> Say:
    """A small gzip body that expands to ``size`` bytes of valid JSON text."""
    return answer(gzip.compress(b"[" + b" " * (size - 2) + b"]"), Content_Encoding="gzip")


def raw(data: bytes, *, then: str = "close") -> Say:
    """These bytes, then ``close``, ``reset`` or ``stall`` (until the other side gives up)."""

    async def say(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        if then == "stall":
            await asyncio.Event().wait()
        if then == "reset":
            writer.transport.abort()
        writer.close()

    return say


def dripping(body: bytes, *, every: float) -> Say:
    """The right headers and then one byte at a time."""

    async def say(request: Request, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for byte in body:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(every)

    return say


@dataclass
class RawHttp:
    """``script`` is said in order, then ``always``; ``requests`` is the record."""

    always: Say
    script: deque[Say] = field(default_factory=deque)
    requests: list[Request] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                pairs = (line.partition(":") for line in lines[1:] if line)
                request = Request(
                    lines[0].split()[1], {name.lower(): value.strip() for name, _, value in pairs}
                )
                self.requests.append(request)
                say = self.script.popleft() if self.script else self.always
                await say(request, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the other side has gone, which several tests are about
        finally:
            writer.close()


@asynccontextmanager
async def raw_http(*script: Say, always: Say | None = None) -> AsyncIterator[RawHttp]:
    """Serve on a free loopback port until the block ends."""
    it = RawHttp(always or answer([]), deque(script))
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(it.serve(reader, writer), name="raw-http")
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    it.port = server.sockets[0].getsockname()[1]
    try:
        yield it
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()
