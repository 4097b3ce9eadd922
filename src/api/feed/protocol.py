"""uvicorn's web socket protocol, with frames that are made once for many listeners and never waited for."""

from __future__ import annotations

from struct import pack
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ..doors import Doors
from ..gate import CUT

LISTENER = "marketd.listener"
"""Key in a web socket's scope: the protocol itself, as ``hub.Listener``."""

_TEXT, _FINAL = 0x1, 0x80
_SHORT, _LONG = 126, 65_536


def text_frame(text: bytes) -> bytes:
    """A whole frame as a server sends it, unmasked: the same bytes for everybody (RFC 6455, 5.2)."""
    first, size = _FINAL | _TEXT, len(text)
    if size < _SHORT:
        return pack("!BB", first, size) + text
    if size < _LONG:
        return pack("!BBH", first, 126, size) + text
    return pack("!BBQ", first, 127, size) + text


class FeedProtocol(WebSocketsSansIOProtocol):
    """One listener. What it does not take in time stays in its socket's buffer, up to ``backlog_bytes``."""

    def __init__(self, doors: Doors, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._doors, self._limits = doors, doors.limits
        self._received_bytes = 0
        self._opened_at = self._counted_since = self._now()
        self._ending_since: float | None = None

    def _now(self) -> float:
        return float(self.loop.time())

    def push(self, frame: bytes) -> bool:
        """Send a whole frame, without waiting. False where nobody listens any more, or does not keep up: such a one is
        cut off."""
        if self.close_sent or self.disconnected or not self.handshake_complete or self.transport.is_closing():
            return False
        if self.transport.get_write_buffer_size() > self._limits.backlog_bytes:
            self._doors.refused("backlog")
            self.cut()
            return False
        self.transport.write(frame)
        return True

    def cut(self) -> None:
        """End it at once."""
        self.transport.abort()

    def overdue(self, now: float) -> None:
        if now - self._counted_since >= 1:
            self._received_bytes, self._counted_since = 0, now
        if self.transport.is_closing() or self.close_sent:
            self._ending_since = self._ending_since or now
            if now - self._ending_since >= self._limits.linger_s:
                self.cut()
        elif not self.handshake_complete and now - self._opened_at >= self._limits.receipt_s:
            self.cut()

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._doors.listen(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._doors.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._received_bytes > self._limits.listener_bytes_a_second + self._limits.header_bytes:
            self._doors.refused("flood")
            self.cut()
            return
        super().data_received(data)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            # The task that was just made looks at it when its turn comes.
            self.scope["extensions"] |= {CUT: self.cut, LISTENER: self}  # type: ignore[dict-item] # ours
