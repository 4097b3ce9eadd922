"""The service manager's side of sd_notify: a real datagram socket, and what came to it, when."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from .eventually import eventually


@dataclass(slots=True)
class NotifySocket:
    """``name`` is what stands in NOTIFY_SOCKET. Messages are (monotonic second, lines)."""

    name: str
    messages: list[tuple[float, list[str]]] = field(default_factory=list)

    @classmethod
    @asynccontextmanager
    async def open(cls, name: str) -> AsyncIterator[NotifySocket]:
        """Listen on a path, or on ``@name`` in the abstract namespace."""
        own = cls(name)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.setblocking(False)
            listener.bind("\0" + name[1:] if name.startswith("@") else name)
            loop = asyncio.get_running_loop()
            loop.add_reader(listener.fileno(), own._read, listener)
            try:
                yield own
            finally:
                loop.remove_reader(listener.fileno())

    def _read(self, listener: socket.socket) -> None:
        while True:
            try:
                message = listener.recv(65_536)
            except BlockingIOError:
                return
            self.messages.append((time.monotonic(), message.decode().split("\n")))

    def times(self, line: str) -> list[float]:
        """When ``line`` came."""
        return [moment for moment, lines in self.messages if line in lines]

    def statuses(self) -> list[str]:
        return [
            line.partition("=")[2]
            for _, lines in self.messages
            for line in lines
            if line.startswith("STATUS=")
        ]

    async def wait_for(self, line: str, *, times: int = 1, timeout: float = 120.0) -> None:
        """Wait until ``line`` has come so often."""
        await eventually(
            lambda: len(self.times(line)) >= times, timeout=timeout, message=f"{times} times {line}"
        )

    def longest_silence(self, line: str, first: float, last: float) -> float:
        """The longest time without ``line`` between two moments."""
        marks = [first, *(moment for moment in self.times(line) if first < moment < last), last]
        return max(after - before for before, after in pairwise(marks))
