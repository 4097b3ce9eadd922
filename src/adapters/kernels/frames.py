"""What travels between the daemon and its kernel processes: pickled values, each behind its length.

Both ends are this very program on the same machine, joined by pipes that nobody else can write to; that is what makes
pickle safe here.
"""

from __future__ import annotations

import asyncio
import pickle
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..timescale.options import DatabaseOptions

_LENGTH = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a process is told first: where the database is (a secret), and how much memory it may take (10^6 bytes)."""

    database: DatabaseOptions | None
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Call:
    """Call ``function`` (``module:name``, the module relative to this package) with ``arguments``."""

    function: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Note:
    """Progress as it happens: a line for people, and the share done where it is known, 0 to 1."""

    text: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The call returned ``value``."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """The call raised ``error``; ``trace`` is where, for the log."""

    error: BaseException
    trace: str


def encode(value: object) -> bytes:
    body = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def read(stream: BinaryIO) -> Any:
    """The next value. Raises ``EOFError`` when the other side is gone."""
    body = _exactly(stream, _LENGTH.unpack(_exactly(stream, _LENGTH.size))[0])
    return pickle.loads(body)  # noqa: S301 (see above)


async def receive(stream: asyncio.StreamReader) -> Any:
    """The next value. Raises ``EOFError`` when the other side is gone."""
    try:
        length = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))[0]
        body = await stream.readexactly(length)
    except asyncio.IncompleteReadError:
        raise EOFError from None
    return pickle.loads(body)  # noqa: S301


def _exactly(stream: BinaryIO, size: int) -> bytes:
    body = stream.read(size)
    if len(body) < size:
        raise EOFError
    return body
