"""A TCP proxy that does what networks do: it delays, throttles, cuts, resets, swallows and refuses.

It stands between the daemon and the venue or the database. Each fault is a plain attribute or method, and
counts what it really did in ``fired``, so that a test can prove that its fault happened.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from .processes import port_of, reserved_port

_CHUNK = 65_536
_OPENING = 1024
_LINGER_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, 0 s: closing sends RST instead of FIN."""

Target = tuple[str, int] | str
"""Where the bytes go: (host, port), or the path of a Unix socket."""


@dataclass(slots=True)
class Path:
    """The faults of one direction; they take effect on the next chunk, on new and on old connections."""

    latency: float = 0.0
    """Seconds added before each chunk goes on."""
    rate: float | None = None
    """Bytes per second, None for no limit."""
    slice: int | None = None
    """Forward in pieces of at most this many bytes."""
    blackhole: bool = False
    """Bytes are taken and vanish; the connection stays open (half-open TCP as the sender sees it)."""
    ghosts: bool = False
    """With ``blackhole``: the sender's end vanishes too, so the receiver never learns that it is alone."""
    limit: int | None = None
    """Let that many more bytes through, then cut the connection in the middle of whatever it was saying."""
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared: nothing is read, so the sender's buffers fill and its writes block."""

    def __post_init__(self) -> None:
        self.reading.set()

    def stall(self) -> None:
        self.reading.clear()

    def heal(self) -> None:
        self.latency, self.rate, self.slice, self.limit = 0.0, None, None, None
        self.blackhole = self.ghosts = False
        self.reading.set()


@dataclass(eq=False, slots=True)
class _Link:
    """One proxied connection."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    opening: bytes = b""
    """What the client said first, where clients give their names."""
    reply_is_cut: bool = False
    is_ghost: bool = False
    """One end went while bytes vanished, and the other never heard of it."""

    def close(self, *, reset: bool) -> None:
        for writer in (self.client, self.server):
            if reset:
                _set_linger(writer)
                writer.transport.abort()
            else:
                writer.close()

    async def end(self) -> None:
        """Close both sides; one that does not take its last bytes within 2 s is aborted."""
        self.close(reset=False)
        for writer in (self.client, self.server):
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(2.0):
                    await writer.wait_closed()
            writer.transport.abort()


class ChaosProxy:
    """``async with ChaosProxy(target) as proxy: … proxy.port …``; ``up`` is to the server, ``down`` back.

    Counters in ``fired``: connections, refused, fin, rst, latency, throttled, sliced, blackholed_bytes,
    stalled, cut, reply_cut, ghosts.
    """

    def __init__(self, target: Target, *, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self._held = reserved_port()
        self.port = port_of(self._held)
        self.tls = tls
        """The certificate it shows (takes effect with the next ``listen``), None for plain TCP."""
        self.up = Path()
        self.down = Path()
        self.fired: Counter[str] = Counter()
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._reply_marker: bytes | None = None
        self._replying_to = b""
        self._replies_to_cut = 0
        self._holds_reply = False

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._links)

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
            self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port, ssl=self.tls)

    async def refuse(self) -> None:
        """Close the listening socket: new connections get ECONNREFUSED, open ones live on."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self.fired["refused"] += 1

    def close_all(self) -> int:
        """End every open connection with FIN in both directions; returns how many there were."""
        return self._end_all("fin", reset=False)

    def reset_all(self, *, but_ghosts: bool = False) -> int:
        """End every open connection with RST in both directions; returns how many there were.

        With ``but_ghosts`` those stay of which one end is gone already and the other does not know.
        """
        return self._end_all("rst", reset=True, but_ghosts=but_ghosts)

    def cut_reply_after(self, marker: bytes, *, of: bytes = b"", times: int = 1) -> None:
        """Let a client's ``marker`` (say COMMIT) reach the server, then swallow the answer and reset.

        Only a client is meant whose first kilobyte has ``of`` in it: others may say the same.
        """
        self._reply_marker, self._replying_to = marker, of
        self._replies_to_cut = times

    def hold_reply_after(self, marker: bytes) -> None:
        """Let a client's ``marker`` reach the server, and no answer come back from then on, until ``heal``."""
        self._reply_marker, self._replying_to = marker, b""
        self._holds_reply = True

    def heal(self) -> None:
        """Stop every fault; connections that are open stay open."""
        self.up.heal()
        self.down.heal()
        self._replies_to_cut = 0
        self._holds_reply = False

    def _end_all(self, counter: str, *, reset: bool, but_ghosts: bool = False) -> int:
        links = [link for link in self._links if not (but_ghosts and link.is_ghost)]
        for link in links:
            link.close(reset=reset)
        self.fired[counter] += len(links)
        return len(links)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="chaosproxy-link")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        self.fired["connections"] += 1
        try:
            server_reader, server = await _connect(self.target)
        except OSError:
            _set_linger(client)
            client.transport.abort()
            return
        link = _Link(client, server)
        self._links.add(link)
        pumps = (
            asyncio.create_task(self._pump(link, reader, server, self.up), name="chaosproxy-up"),
            asyncio.create_task(self._pump(link, server_reader, client, self.down), name="chaosproxy-down"),
        )
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            link.close(reset=True)
            raise
        finally:
            self._links.discard(link)
            try:
                await _end(pumps)
            finally:  # the proxy may be closed in this very moment
                await link.end()

    async def _pump(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, path: Path
    ) -> None:
        with contextlib.suppress(ConnectionError):
            while await self._may_read(path) and (data := await source.read(_CHUNK)):
                await self._may_read(path)
                if self._swallowed(link, data, path):
                    return
                if path.blackhole:
                    self.fired["blackholed_bytes"] += len(data)
                    continue
                if not await self._forward(link, data, sink, path):
                    return
        if path.blackhole and path.ghosts:
            self.fired["ghosts"] += 1
            link.is_ghost = True
            await asyncio.Event().wait()  # until the other direction ends

    async def _may_read(self, path: Path) -> bool:
        if not path.reading.is_set():
            self.fired["stalled"] += 1
            await path.reading.wait()
        return True

    def _swallowed(self, link: _Link, data: bytes, path: Path) -> bool:
        """Commit ambiguity: True when this chunk is the reply to cut; the link is reset then."""
        if path is self.down:
            if link.reply_is_cut:
                self.fired["reply_cut"] += 1
                link.close(reset=True)
            return link.reply_is_cut
        if len(link.opening) < _OPENING:
            link.opening = (link.opening + data)[:_OPENING]
        if self._replies_to_cut and self._is_marked(link, data):
            self._replies_to_cut -= 1
            link.reply_is_cut = True
        if self._holds_reply and self._is_marked(link, data):
            self._holds_reply = False
            self.down.stall()
        return False

    def _is_marked(self, link: _Link, data: bytes) -> bool:
        marker = self._reply_marker
        return marker is not None and marker in data and self._replying_to in link.opening

    async def _forward(self, link: _Link, data: bytes, sink: asyncio.StreamWriter, path: Path) -> bool:
        """Send one chunk on, as slowly as the faults say; False when the connection was cut on the way."""
        if path.latency:
            self.fired["latency"] += 1
            await asyncio.sleep(path.latency)
        for piece in self._pieces(data, path):
            allowed = piece if path.limit is None else piece[: path.limit]
            sink.write(allowed)
            await sink.drain()
            if path.limit is not None:
                path.limit -= len(allowed)
                if path.limit <= 0:
                    path.limit = None
                    self.fired["cut"] += 1
                    link.close(reset=False)
                    return False
            if path.rate:
                self.fired["throttled"] += 1
                await asyncio.sleep(len(piece) / path.rate)
        return True

    def _pieces(self, data: bytes, path: Path) -> Sequence[bytes]:
        size = path.slice or (max(1, int(path.rate / 10)) if path.rate else 0)
        if not size or size >= len(data):
            return [data]
        self.fired["sliced"] += 1
        return [data[start : start + size] for start in range(0, len(data), size)]


async def _connect(target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    if isinstance(target, str):
        return await asyncio.open_unix_connection(target)
    return await asyncio.open_connection(*target)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _set_linger(writer: asyncio.StreamWriter) -> None:
    raw: socket.socket | None = writer.get_extra_info("socket")
    if raw is not None and raw.fileno() >= 0:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_RESET)
