"""A bare WebSocket server for what the sandbox, a well-behaved one, cannot do: the test writes the bytes."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import orjson

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 0x1, 0x2, 0x8, 0x9, 0xA, 0x0
CANARY = b'{"stream":"btcusdt@markPrice@1s","data":{"e":"markPriceUpdate","s":"BTCUSDT"}}'
_FINAL = 0x80
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def encode(payload: bytes, opcode: int = TEXT, *, final: bool = True) -> bytes:
    """One unmasked server frame."""
    first = opcode | (_FINAL if final else 0)
    if len(payload) < 126:
        return bytes((first, len(payload))) + payload
    if len(payload) < 65_536:
        return bytes((first, 126)) + len(payload).to_bytes(2, "big") + payload
    return bytes((first, 127)) + len(payload).to_bytes(8, "big") + payload


@dataclass(eq=False)
class Peer:
    """One client: what it sent, by opcode, and the way to answer."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    received: list[tuple[int, bytes]] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def send(self, payload: bytes, opcode: int = TEXT, *, final: bool = True) -> None:
        self.writer.write(encode(payload, opcode, final=final))

    def messages(self, opcode: int) -> list[bytes]:
        """The payloads of this kind so far."""
        return [payload for kind, payload in self.received if kind == opcode]


class WebSocketServer:
    """``reads`` False: it never reads after the handshake, with the smallest buffer the kernel gives.

    ``acks``: requests are answered. ``canary``: pushed ten times a second from the first request on.
    """

    def __init__(self, *, reads: bool = True, acks: bool = True, canary: bool = True) -> None:
        self.peers: list[Peer] = []
        self._reads, self._acks, self._canary = reads, acks, canary
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        if self._server is None:
            raise RuntimeError("the server is not running")
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/market"

    async def __aenter__(self) -> Self:
        listening = socket.socket()
        if not self._reads:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        listening.bind(("127.0.0.1", 0))
        self._server = await asyncio.start_server(self._accepted, sock=listening)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="websocket-server-client")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        pushing: asyncio.Task[None] | None = None
        try:
            await _upgrade(reader, writer)
            self.peers.append(peer)
            if not self._reads:
                _transport(writer).pause_reading()
                await asyncio.get_running_loop().create_future()
            if self._canary:
                pushing = asyncio.create_task(_push(writer), name="websocket-server-canary")
            while True:
                self._take(peer, *await _frame(reader))
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client went away, which the test sees by ``gone``
        finally:
            peer.gone.set()
            if pushing is not None:
                pushing.cancel()
            _transport(writer).abort()

    def _take(self, peer: Peer, opcode: int, payload: bytes) -> None:
        peer.received.append((opcode, payload))
        if opcode == TEXT and self._acks:
            peer.send(orjson.dumps({"result": None, "id": orjson.loads(payload)["id"]}))
        if opcode == CLOSE:
            peer.send(payload, CLOSE)
            peer.writer.close()


def _transport(writer: asyncio.StreamWriter) -> asyncio.Transport:
    transport = writer.transport
    if not isinstance(transport, asyncio.Transport):
        raise TypeError("this server runs on asyncio's own loop")
    return transport


async def _upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    key = next(value for name, value in lines.items() if name.lower() == "sec-websocket-key")
    digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
    )


async def _push(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while not writer.is_closing():
            writer.write(encode(CANARY))
            await asyncio.sleep(0.1)


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Opcode and payload of one masked client frame."""
    first, second = await reader.readexactly(2)
    size = second & 0x7F
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(size)
    return first & 0xF, bytes(byte ^ mask[index % 4] for index, byte in enumerate(masked))
