"""A name server that answers, denies, fails or says nothing, and counts what it was asked."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

_PORT = 53
_FLAGS = 0x8180
"""An answer, recursion desired and available (RFC 1035, section 4.1.1); the lowest four bits are the code."""
_HEADER = struct.Struct("!6H")
_A = 1


class Mode(Enum):
    """What every question gets; the value is the answer's code, or less than 0 for none."""

    ANSWER = 0
    SERVFAIL = 2
    NXDOMAIN = 3
    HANG = -1


class NameServer(asyncio.DatagramProtocol):
    """Knows every name by the one address 127.0.0.1. ``asked`` counts questions by mode."""

    def __init__(self) -> None:
        self.mode = Mode.ANSWER
        self.asked: Counter[Mode] = Counter()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.asked[self.mode] += 1
        if self.mode is not Mode.HANG and self._transport is not None:
            self._transport.sendto(answer(data, self.mode), address)


@asynccontextmanager
async def name_server(address: str) -> AsyncIterator[NameServer]:
    """It serves on port 53 of ``address``, as the C library wants it."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        NameServer, local_addr=(address, _PORT)
    )
    try:
        yield server
    finally:
        transport.close()


def answer(query: bytes, mode: Mode) -> bytes:
    """The answer to one question: an address if it asked for one of IPv4, none of any other kind."""
    number, *_ = _HEADER.unpack_from(query)
    end = query.index(b"\0", _HEADER.size) + 5
    question = query[_HEADER.size : end]
    kind = int.from_bytes(question[-4:-2], "big")
    known = mode is Mode.ANSWER and kind == _A
    header = _HEADER.pack(number, _FLAGS | mode.value, 1, int(known), 0, 0)
    # The name is a pointer to the question's; class IN, no time to live, four bytes.
    record = b"\xc0\x0c" + struct.pack("!HHIH", _A, 1, 0, 4) + socket.inet_aton("127.0.0.1")
    return header + question + (record if known else b"")
