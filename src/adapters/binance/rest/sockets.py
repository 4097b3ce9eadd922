"""Sockets of requests that fail or are cancelled while they are dialled, so that none is closed twice.

aiohttp dials in two steps: it connects a socket and hands it to the loop. uvloop closes the descriptor when the
second step is cancelled, but the socket object does not learn of it and closes the same *number* once more as
it is collected. By then the number may be somebody else's: an HTTP client's, the database's. One 429 cancels all
requests that are under way, so that this is no rare moment.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import uvloop


class _Dialled(socket.socket):
    """A socket that remembers whether its owner has closed it; the descriptor may outlive that for a moment."""

    given_up = False

    def close(self) -> None:
        self.given_up = True
        super().close()


_made: ContextVar[list[_Dialled] | None] = ContextVar("marketd_dialled", default=None)


def make_socket(address: tuple[Any, ...]) -> socket.socket:
    """For aiohttp's ``socket_factory``; ``address`` is an entry of ``socket.getaddrinfo``."""
    family, kind, protocol = address[:3]
    sock = _Dialled(family, kind, protocol)
    made = _made.get()
    if made is not None:
        made.append(sock)
    return sock


@contextmanager
def dialling() -> Iterator[None]:
    """Round one request. When it fails, what uvloop was handed is uvloop's to close, and of nobody else."""
    made: list[_Dialled] = []
    token = _made.set(made)
    try:
        yield
    except BaseException:
        if isinstance(asyncio.get_running_loop(), uvloop.Loop):
            for sock in made:
                if not sock.given_up:
                    sock.detach()
        raise
    finally:
        _made.reset(token)
