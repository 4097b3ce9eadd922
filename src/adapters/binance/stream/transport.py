"""The transport under cryptofeed: one WebSocket whose open klines are counted and dropped as bytes.

239 of 240 kline frames are of minutes that are still open. They are told by one byte search and never parsed,
which is what makes the stream affordable on one core (docs/adr/0002-stream-transport.md).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

from cryptofeed.connection import AsyncConnection
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSProtocolError, WSTransport

from ....errors import BadData, Unavailable
from .. import venue
from ..parse import messages as parse
from .dial import Dialer
from .frame_counts import FrameCounts
from .reasons import close_reason, network_reason, protocol_reason

_TEXT = WSMsgType.TEXT
_CLOSED_FLAG = b'"x":'
_TRADE = b'"e":"aggTrade"'
_FALSE, _TRUE = ord("f"), ord("t")


class BinanceConnection(AsyncConnection):
    """One connection: ``connect`` (inherited), ``read`` closed candles and contract events, ``write``.

    ``counts`` says what came in by kind. ``on_reply`` gets each answer to a request. When the connection has
    ended ``read`` gives what is left and returns, and ``reason`` says why, as a word of a fixed list.
    """

    conn_count: ClassVar[int] = 0

    def __init__(
        self,
        name: str,
        dialer: Dialer,
        *,
        now: Callable[[], float],
        queue_frames: int,
        write_wall: float,
        close_wall: float = 1.0,
        on_reply: Callable[[dict[str, Any]], None] = lambda reply: None,
    ) -> None:
        # Not super().__init__: it registers every connection with atexit, which keeps it for ever.
        self.id = name
        self.received = self.sent = 0
        self.last_message: float | None = None
        self.authentication = self.subscription = None
        self.conn: WSTransport | None = None
        self.counts = FrameCounts()
        self.reason = ""
        self.shutdown_announced = False
        self._dialer = dialer
        self._write_wall = write_wall
        self._close_wall = close_wall
        self._listener = _Listener(self, now, queue_frames, on_reply)

    def __del__(self) -> None:
        """Nothing: who opened the connection closes it, and a collector may run without a loop."""

    @property
    def is_open(self) -> bool:
        return self.conn is not None and not self._listener.ended.is_set()

    @property
    def is_read(self) -> bool:
        """Whether ``read`` has given all that came."""
        return not self._listener.queue

    async def _open(self) -> None:
        """Dial. Raises ``Unavailable``."""
        self.conn = await self._dialer.dial(lambda: self._listener)
        if not self._listener.is_connected:
            # picows returns a transport as if all were well when the other side hangs up before it answers
            self.end("network")
            raise Unavailable(f"{self.id}: the connection ended before the handshake", reason="network")

    async def read(self) -> AsyncIterator[bytes]:
        """Frames of closed candles and contract events, oldest first; ``last_message`` is each one's receipt."""
        listener = self._listener
        while True:
            while listener.queue:
                self.last_message, payload = listener.queue.popleft()
                self.received += 1
                yield payload
            if listener.ended.is_set():
                return
            listener.wake.clear()
            await listener.wake.wait()

    async def write(self, message: str) -> None:
        """Send one text message and wait until the kernel has it. Raises ``Unavailable``."""
        if self.conn is None or not self.is_open:
            raise Unavailable(f"{self.id}: not open", reason=self.reason or "fin")
        self.conn.send(_TEXT, message.encode())
        self.sent += 1
        try:
            async with asyncio.timeout(self._write_wall):
                await self._listener.writable.wait()
        except TimeoutError as error:
            self.end("write_timeout")
            raise Unavailable(f"{self.id}: the server reads nothing", reason="write_timeout") from error

    def end(self, reason: str) -> None:
        """Cut the connection without waiting for the other side; the first reason given stays."""
        self.reason = self.reason or reason
        if self.conn is not None:
            self.conn.disconnect(False)

    async def close(self, code: int = 1000) -> None:
        """Say goodbye with ``code``, wait a moment for the answer, and let go."""
        conn = self.conn
        if conn is None:
            return
        if self.is_open:
            self.reason = self.reason or "closed"
            conn.send_close(WSCloseCode(code))
        try:
            async with asyncio.timeout(self._close_wall):
                await self.wait_ended()
        except TimeoutError:
            pass
        finally:
            conn.disconnect(False)

    async def wait_ended(self) -> str:
        """Wait until the connection is over; returns ``reason``."""
        await self._listener.ended.wait()
        if self.conn is not None:
            try:
                await self.conn.wait_disconnected()
            except WSProtocolError as error:
                self.reason = protocol_reason(error)
        return self.reason


class _Listener(WSListener):
    """Sorts frames as they arrive; everything here runs inside the loop's read callback."""

    def __init__(
        self,
        owner: BinanceConnection,
        now: Callable[[], float],
        queue_frames: int,
        on_reply: Callable[[dict[str, Any]], None],
    ) -> None:
        self.is_connected = False
        self.queue: deque[tuple[float, bytes]] = deque()
        self.wake = asyncio.Event()
        self.ended = asyncio.Event()
        self.writable = asyncio.Event()
        self.writable.set()
        self._owner = owner
        self._counts = owner.counts
        self._now = now
        self._limit = queue_frames
        self._on_reply = on_reply
        self._parts: list[bytes] = []
        self._parts_bytes = 0

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.is_connected = True
        # Any byte that the kernel has not taken makes us wait: requests are few and small.
        transport.underlying_transport.set_write_buffer_limits(high=0)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == _TEXT and frame.fin and not self._parts:
            self._text(frame.get_payload_as_bytes())
        else:
            self._rare(transport, frame)

    def _text(self, payload: bytes) -> None:
        counts = self._counts
        counts.received_bytes += len(payload)
        at = payload.find(_CLOSED_FLAG) + 4
        flag = payload[at] if 4 <= at < len(payload) else 0
        if flag == _FALSE:
            counts.open += 1
        elif flag == _TRUE:
            counts.offered += 1
            self._offer(payload)
        elif payload.find(_TRADE) >= 0:
            counts.trades += 1
            self._offer(payload)
        else:
            self._other(payload)

    def _offer(self, payload: bytes) -> None:
        if len(self.queue) >= self._limit:
            self.queue.popleft()
            self._counts.dropped += 1
        self.queue.append((self._now(), payload))
        self.wake.set()

    def _other(self, payload: bytes) -> None:
        """All that is not a kline in the venue's own spacing: canary, events, answers, garbage."""
        try:
            document = parse.load(payload)
        except BadData:
            self._counts.malformed += 1
            return
        event = parse.payload_of(document)
        kind = event.get("e") if isinstance(event, dict) else None
        if kind == "markPriceUpdate":
            self._counts.canary += 1
        elif kind == "kline":
            self._kline(event, payload)
        elif kind == "contractInfo":
            self._counts.contract += 1
            self._offer(payload)
        elif kind == "serverShutdown":
            self._counts.control += 1
            self._owner.shutdown_announced = True
        elif isinstance(document, dict) and ("result" in document or "error" in document):
            self._counts.control += 1
            self._on_reply(document)
        else:
            self._counts.other += 1

    def _kline(self, event: Any, payload: bytes) -> None:
        kline = event.get("k")
        if isinstance(kline, dict) and kline.get("x") is False:
            self._counts.open += 1
        else:
            self._counts.offered += 1
            self._offer(payload)

    def _rare(self, transport: WSTransport, frame: WSFrame) -> None:
        payload = frame.get_payload_as_bytes()
        if frame.msg_type == WSMsgType.PING:
            self._counts.control += 1
            transport.send_pong(payload)
        elif frame.msg_type == WSMsgType.PONG:
            self._counts.control += 1
        elif frame.msg_type == WSMsgType.CLOSE:
            self._closed(transport, frame)
        elif frame.msg_type == WSMsgType.BINARY:
            self._counts.malformed += 1
        else:
            self._fragment(transport, frame, payload)

    def _closed(self, transport: WSTransport, frame: WSFrame) -> None:
        announced = "server_shutdown" if self._owner.shutdown_announced else ""
        self._owner.reason = self._owner.reason or announced or close_reason(frame.get_close_code())
        transport.send_close(WSCloseCode.OK)
        transport.disconnect()

    def _fragment(self, transport: WSTransport, frame: WSFrame, payload: bytes) -> None:
        """Join a message that came in pieces, up to the size that one frame may have."""
        if (frame.msg_type == _TEXT) == bool(self._parts):
            self._owner.reason = self._owner.reason or "protocol"
            transport.send_close(WSCloseCode.PROTOCOL_ERROR)
            transport.disconnect()
            return
        self._parts.append(payload)
        self._parts_bytes += len(payload)
        if self._parts_bytes > venue.MAX_FRAME_BYTES:
            self._forget_parts()
            self._owner.reason = self._owner.reason or "oversize"
            transport.send_close(WSCloseCode.MESSAGE_TOO_BIG)
            transport.disconnect()
        elif frame.fin:
            whole = b"".join(self._parts)
            self._forget_parts()
            self._text(whole)

    def _forget_parts(self) -> None:
        self._parts.clear()
        self._parts_bytes = 0

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._owner.reason = self._owner.reason or network_reason(transport)
        self._forget_parts()
        self.ended.set()
        self.wake.set()
        self.writable.set()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()
