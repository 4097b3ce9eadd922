"""Stream connections: subscriptions, the venue's limits, and frames written in one piece per tick.

Server frames are unmasked, so the same bytes serve every client: a frame is encoded once and the bytes of a
tick are written to the transport of each subscriber in one call.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from aiohttp import WSCloseCode, web

from ..faults import Kind
from ..venue import Venue
from . import protocol
from .frames import PING, TEXT, combined, ws_continued, ws_frame

MESSAGES_PER_SECOND = 10
"""Client messages per exchange second; the real host documents 10 and was measured to cut at 15."""
WRITE_LIMIT = 16 * 1024 * 1024
"""Bytes waiting for one slow reader before it is dropped; the venue keeps nothing for slow readers."""
DAY_MS = 86_400_000

Spawn = Callable[[Coroutine[Any, Any, None], str], None]
Socket = web.WebSocketResponse


class Connection:
    """One open WebSocket of a client. ``delivers`` is False on the legacy paths: acks only, never data."""

    def __init__(
        self,
        number: int,
        websocket: Socket,
        transport: asyncio.Transport,
        hub: Hub,
        *,
        path: str,
        is_combined: bool,
        delivers: bool,
    ) -> None:
        self.number = number
        self.path = path
        self.combined = is_combined
        self.delivers = delivers
        self.streams: dict[str, None] = {}
        self.reason = ""
        self.out: list[bytes] = []
        self.jammed = False
        """Something without an end is being sent; nothing else may follow it."""
        self.fragmenting = False
        self.opened_ms = self.pong_ms = self.pinged_ms = hub.venue.clock.now_ms()
        self._websocket = websocket
        self.transport = transport
        self._hub = hub
        self._heard: deque[int] = deque(maxlen=MESSAGES_PER_SECOND)

    @property
    def usable(self) -> bool:
        return not self.reason and not self.transport.is_closing()

    def hear(self, text: str | bytes) -> None:
        """Answer one client message, or close the connection for breaking a limit."""
        clock, stats = self._hub.venue.clock, self._hub.venue.stats
        now = clock.now_ms()
        if len(self._heard) == MESSAGES_PER_SECOND and now - self._heard[0] < 1000:
            self.close(WSCloseCode.POLICY_VIOLATION, "Too many requests")
            return
        self._heard.append(now)
        try:
            request = protocol.parse(text)
        except protocol.Malformed as malformed:
            stats.messages["malformed"] += 1
            self.say(malformed.answer)
            return
        stats.messages[request.method] += 1
        self._obey(request)

    def _obey(self, request: protocol.Request) -> None:
        answer: Any = None
        match request.method:
            case "SUBSCRIBE" | "UNSUBSCRIBE":
                stats = self._hub.venue.stats
                stats.subscription(
                    self._hub.venue.clock.now_ms(), self.number, request.method, request.params
                )
                if request.method == "SUBSCRIBE":
                    if not self.subscribe(request.params, request.number):
                        return
                else:
                    self._hub.unsubscribe(self, request.params)
            case "LIST_SUBSCRIPTIONS":
                answer = list(self.streams)
            case "SET_PROPERTY":
                self.combined = request.params[1]
            case _:
                answer = self.combined
        self.say(protocol.result(answer, request.number))

    def subscribe(self, names: list[str], number: int | None) -> bool:
        """Add streams; over the limit the venue says so and closes, which loses all of them."""
        self._hub.subscribe(self, names)
        if len(self.streams) <= self._hub.venue.options.stream_limit:
            return True
        self.say(protocol.error(4, "Too many subscriptions", number))
        self.close(WSCloseCode.POLICY_VIOLATION, "Invalid request")
        return False

    def say(self, payload: bytes) -> None:
        """Send one text message now."""
        self.out.append(ws_frame(payload))
        self.flush()

    def ping(self, now_ms: int) -> None:
        """The server's ping: its payload is the time in milliseconds."""
        self.pinged_ms = now_ms
        if self.usable and not self.jammed:
            self.transport.write(ws_frame(str(now_ms).encode(), PING))

    async def pong(self, payload: bytes) -> None:
        if self.usable:
            await self._websocket.pong(payload)

    def flush(self) -> None:
        """Write what waits; a reader too slow to take it is dropped, as the venue does."""
        frames, self.out = self.out, []
        if not self.usable or self.jammed:
            return
        if self.fragmenting:
            frames = [ws_continued(frame) if frame[0] == 0x80 | TEXT else frame for frame in frames]
        self.transport.write(b"".join(frames))
        if self.transport.get_write_buffer_size() > WRITE_LIMIT:
            self.reset("slow reader")

    def close(self, code: int, text: str = "") -> None:
        """Close with a code, properly; 1006 is the end of the connection without a close frame."""
        if not self.usable:
            return
        self.reason = f"closed {int(code)}"
        if code == WSCloseCode.ABNORMAL_CLOSURE:
            self.transport.close()
            return
        closing = self._websocket.close(code=code, message=text.encode(), drain=False)
        self._hub.spawn(_finish(closing), f"sandbox-close-{self.number}")

    def reset(self, reason: str = "reset") -> None:
        """Cut the connection with a RST."""
        self.reason = self.reason or reason
        reset(self.transport)

    def stop_reading(self, stop: bool) -> None:
        """Read nothing from this client any more, pongs and closes included, or read again."""
        if not self.transport.is_closing():
            (self.transport.pause_reading if stop else self.transport.resume_reading)()


async def _finish(closing: Coroutine[Any, Any, bool]) -> None:
    await closing


def reset(transport: asyncio.Transport | None) -> None:
    """End a TCP connection with a RST: lingering of zero seconds, then close."""
    if transport is None:
        return
    if (sock := transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class Hub:
    """All open connections, and who subscribed to what."""

    def __init__(self, venue: Venue, spawn: Spawn) -> None:
        self.venue = venue
        self.spawn = spawn
        self.connections: dict[int, Connection] = {}
        self.subscribers: dict[str, dict[Connection, None]] = {}
        self._waiting: dict[Connection, None] = {}

    def open(
        self, websocket: Socket, transport: asyncio.Transport, path: str, *, is_combined: bool, delivers: bool
    ) -> Connection:
        """Take up a connection whose handshake is done; connections are numbered from 0."""
        stats = self.venue.stats
        connection = Connection(
            stats.opened, websocket, transport, self, path=path, is_combined=is_combined, delivers=delivers
        )
        self.connections[connection.number] = connection
        stats.opened += 1
        stats.open_now = len(self.connections)
        return connection

    def drop(self, connection: Connection, reason: str) -> None:
        """Forget a connection that has ended."""
        self.unsubscribe(connection, list(connection.streams))
        self.connections.pop(connection.number, None)
        self._waiting.pop(connection, None)
        self.venue.stats.open_now = len(self.connections)
        self.venue.stats.disconnects[connection.reason or reason] += 1

    def subscribe(self, connection: Connection, names: list[str]) -> None:
        for name in names:
            connection.streams[name] = None
            if connection.delivers:
                self.subscribers.setdefault(name, {})[connection] = None
                self._unmute(name, connection)

    def _unmute(self, stream: str, connection: Connection) -> None:
        """A mute in mode ``resubscribe`` ends when its stream is subscribed again."""
        instrument = self.venue.universe.by_stream.get(stream)
        for fault in self.venue.faults.active(Kind.MUTE) if instrument else ():
            is_meant = fault.mode == "resubscribe" and fault.connection in {None, connection.number}
            if is_meant and instrument and fault.symbol in {None, instrument.symbol}:
                self.venue.faults.remove(fault)

    def unsubscribe(self, connection: Connection, names: list[str]) -> None:
        for name in names:
            connection.streams.pop(name, None)
            if (subscribers := self.subscribers.get(name)) is not None:
                subscribers.pop(connection, None)
                if not subscribers:
                    del self.subscribers[name]

    def push(self, stream: str, raw: bytes, kind: str, *, symbol: str | None = None, copies: int = 1) -> int:
        """Queue one message for every subscriber of a stream; returns to how many it goes."""
        faulty = self.venue.faults.any(Kind.SILENCE, Kind.MUTE)
        plain = enveloped = b""
        sent = 0
        for connection in self.subscribers.get(stream, ()):
            if faulty and self._kept_back(connection, symbol):
                continue
            if connection.combined:
                enveloped = enveloped or ws_frame(combined(stream, raw))
                frame = enveloped
            else:
                plain = plain or ws_frame(raw)
                frame = plain
            connection.out.extend([frame] * copies)
            self._waiting[connection] = None
            sent += copies
        self.venue.stats.frames[kind] += sent
        return sent

    def _kept_back(self, connection: Connection, symbol: str | None) -> bool:
        faults = self.venue.faults
        if fault := faults.hit(Kind.SILENCE, connection=connection.number, symbol=symbol):
            self.venue.stats.suppressed[fault.kind] += 1
            return True
        if symbol and (fault := faults.hit(Kind.MUTE, connection=connection.number, symbol=symbol)):
            self.venue.stats.suppressed[fault.kind] += 1
            return True
        return False

    def flush(self) -> None:
        """Write what was queued, one call per connection."""
        waiting, self._waiting = self._waiting, {}
        for connection in waiting:
            connection.flush()
