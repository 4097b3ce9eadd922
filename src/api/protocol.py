"""uvicorn's HTTP protocol with what it lacks: deadlines for receiving, bounds for everything that is received.

Its own takes a request for as long as the other side cares to send it, of any size, from any number of connections.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .doors import Doors
from .gate import CUT
from .problems import MEDIA_TYPE, encode, phrase


class _Refused(Exception):
    """Raised within the parser's callbacks: the request is not read any further."""


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Times are the loop's.

    A request has ``receipt_s`` from its first byte to its last, a connection ``idle_s`` between two of them; nothing
    that is sent without being a request makes that longer. What is refused is answered (408, 413, 414, 431) and then
    closed without reading on.
    """

    def __init__(self, doors: Doors, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._doors, self._limits = doors, doors.limits
        self._idle_since = self._now()
        self._receiving_since: float | None = None
        self._answering_since: float | None = None
        self._ending_since: float | None = None
        self._in_head = True
        self._head_bytes = 0
        self._body_bytes = 0
        self._refusal = (400, "malformed")

    def _now(self) -> float:
        return float(self.loop.time())

    # --- what the transport tells ---

    def connection_made(self, transport: Any) -> None:
        if not self._doors.call(self):
            self.transport = transport
            self._ending_since = self._now()
            transport.abort()
            return
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._doors.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ending_since is not None:
            return
        if self._in_head:
            # Counted before it is parsed: the parser keeps a line until it ends, however long it is.
            self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._in_head and self._head_bytes > self._limits.header_bytes + self._limits.url_bytes:
                self._refusal = (431, "header")
                self._refuse()
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse()

    # --- what the parser tells ---

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {CUT: self.cut}  # type: ignore[dict-item] # one of ours
        self._unset_keepalive_if_required()
        self._receiving_since = self._now()
        self._body_bytes = 0
        self._refusal = (400, "malformed")

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.url_bytes:
            self._stop(414, "url")

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if len(self.headers) > self._limits.headers:
            self._stop(431, "header")

    def on_headers_complete(self) -> None:
        self._in_head = False
        if sum(len(name) + len(value) + 4 for name, value in self.headers) > self._limits.header_bytes:
            self._stop(431, "header")
        for name, value in self.headers:
            # The parser has seen to it that it is a number, and one alone.
            if name == b"content-length" and int(value) > self._limits.body_bytes:
                self._stop(413, "body")
        super().on_headers_complete()
        self._answering_since = self._now()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        if self._body_bytes > self._limits.body_bytes:
            self._stop(413, "body")
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._receiving_since = None
        self._in_head, self._head_bytes = True, 0

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._idle_since = self._now()
        if self.pipeline:
            self._answering_since = self._idle_since

    # --- how it ends ---

    def overdue(self, now: float) -> None:
        limits, is_closing = self._limits, self.transport.is_closing()
        if self._answering_since is not None:
            if self._is_taken():
                self._answering_since = None
            else:
                self._idle_since = now
        if self._ending_since is not None or (is_closing and self._answering_since is None):
            self._ending_since = self._ending_since or now
            if now - self._ending_since >= limits.linger_s:
                self.cut()
        elif self._receiving_since is not None and not self.pipeline and not is_closing:
            if now - self._receiving_since >= limits.receipt_s:
                self._refusal = (408, "slow")
                self._refuse()
        elif self._answering_since is not None:
            # The gate has ended it before, unless the other side takes too long to take what it is sent.
            if now - self._answering_since >= limits.whole_s:
                self._doors.refused("deadline")
                self._ending_since = now
                self.cut()
        elif now - self._idle_since >= limits.idle_s:
            self.transport.close()

    def _is_taken(self) -> bool:
        """Whether the answer is whole and the other side's system has all of it."""
        cycle: RequestResponseCycle | None = self.cycle
        is_whole = cycle is not None and cycle.response_complete
        return is_whole and self.transport.get_write_buffer_size() == 0

    def cut(self) -> None:
        """End it at once."""
        self.transport.abort()

    def _stop(self, status: int, reason: str) -> None:
        self._refusal = (status, reason)
        raise _Refused

    def _refuse(self) -> None:
        """Answer what is not taken, where that is still possible, and read no more of it."""
        status, reason = self._refusal
        self._doors.refused(reason)
        self._ending_since = self._now()
        self.flow.pause_reading()
        cycle: RequestResponseCycle | None = self.cycle
        is_answered = cycle is not None and cycle.response_started and not self._in_head
        if cycle is not None and not cycle.response_complete:
            # Whoever works at it is told that the other side is gone; its answer goes nowhere.
            cycle.disconnected = True
            cycle.message_event.set()
        if is_answered:
            self.transport.close()
            return
        self.transport.write(_answer(status))
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _upgrade(self, rest: bytes) -> None:
        """Hand the connection over, with what came behind the handshake: uvicorn would lose it."""
        if not self._should_upgrade():
            return  # another protocol was offered; the request is answered as it is
        if not self._doors.may_listen:
            self._refusal = (503, "listeners")
            self._refuse()
            return
        self._doors.leave(self)
        self.handle_websocket_upgrade()
        successor = self.transport.get_protocol()
        if rest and isinstance(successor, asyncio.Protocol):
            successor.data_received(rest)


def _answer(status: int) -> bytes:
    body = encode({"type": "about:blank", "title": phrase(status), "status": status})
    lines = [
        f"HTTP/1.1 {status} {phrase(status)}",
        f"Content-Type: {MEDIA_TYPE}",
        f"Content-Length: {len(body)}",
        "Server: marketd",
        "Cache-Control: no-store",
        "Connection: close",
        *(["Retry-After: 5"] if status == 503 else []),
    ]
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body
