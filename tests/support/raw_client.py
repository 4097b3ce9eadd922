"""A client that sends exactly the bytes it is told to, as slowly as it is told to: what no real client does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress

_CLOSED_WITHIN_S = 60.0
"""Wall seconds in which the other side must have ended a connection: many times the deadlines of these tests."""


class RawClient:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.sent = 0

    @classmethod
    @asynccontextmanager
    async def to(cls, port: int) -> AsyncIterator[RawClient]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def send(self, data: bytes) -> None:
        """Raises ``OSError`` once the other side has ended it."""
        if self._writer.is_closing():  # a write would be an error of the loop's own
            raise ConnectionResetError("the other side has ended it")
        self._writer.write(data)
        await self._writer.drain()
        self.sent += len(data)

    def pause(self) -> None:
        """From now on nothing is taken from the socket."""
        self._reader._transport.pause_reading()  # type: ignore[attr-defined] # streams have no word for it

    def resume(self) -> None:
        """Take what comes again."""
        self._reader._transport.resume_reading()  # type: ignore[attr-defined]

    async def answer(self) -> bytes:
        """All that comes until the other side ends the connection, in order or not."""
        found = b""
        async with asyncio.timeout(_CLOSED_WITHIN_S):
            with suppress(ConnectionError):
                while data := await self._reader.read(65_536):
                    found += data
        return found

    async def head(self) -> bytes:
        """The head of an answer, and no more of it."""
        async with asyncio.timeout(_CLOSED_WITHIN_S):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def one_answer(self) -> bytes:
        """The head and body of one answer that says how long it is."""
        head = await self.head()
        async with asyncio.timeout(_CLOSED_WITHIN_S):
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            return head + await self._reader.readexactly(length)

    async def answer_while_sending(self, pieces: Iterable[bytes], *, every: float = 0.0) -> bytes:
        """What is answered until the end, while pieces are sent: all at once, or one in so many seconds."""

        async def send() -> None:
            with suppress(OSError):
                for piece in pieces:
                    await self.send(piece)
                    await asyncio.sleep(every)

        async with asyncio.TaskGroup() as group:
            sending = group.create_task(send(), name="sending")
            found = await self.answer()
            sending.cancel()
        return found


def status_of(answer: bytes) -> int:
    """The status of an answer, 0 where there is none."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0
