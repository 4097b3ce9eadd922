"""Name look-ups that may hang without holding up anything but themselves; for the stream and for REST."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

Address = tuple[Any, Any, int, str, Any]
"""Family, type, protocol, canonical name and socket address, as ``socket.getaddrinfo`` gives them."""

_AGAIN_S = 4.0
"""Wall seconds until a name is asked for again beside a look-up that has not answered."""
_MOST = 8
"""Look-ups of one name under way at most: the C library may wait for half a minute, which is eight of them."""

_Key = tuple[str, int]


@dataclass(slots=True)
class _Question:
    """Whoever wants the same name waits for the same answer; the first look-up that ends gives it."""

    answer: asyncio.Future[list[Address]]
    asked_at: float = float("-inf")


class Resolver:
    """Name look-ups in daemon threads.

    The C library's look-up may hang for half a minute and cannot be cancelled: a thread pool would fill up
    with such calls, and the loop's own would keep the process from ending. One that hangs is not waited for alone:
    a question that was lost is asked again, so a name server that is back is noticed within seconds.
    """

    def __init__(self, *, again_s: float = _AGAIN_S) -> None:
        self._again_s = again_s
        self._questions: dict[_Key, _Question] = {}
        self._running: Counter[_Key] = Counter()

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of a name, in the system's order. Raises ``OSError``; waits until cancelled."""
        key = (host, port)
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = _Question(asyncio.get_running_loop().create_future())
            question.answer.add_done_callback(lambda done: self._forget(key, done))
        while not question.answer.done():
            left = self._ask(key, question)
            await asyncio.wait({question.answer}, timeout=left)
        return question.answer.result()

    def _ask(self, key: _Key, question: _Question) -> float:
        """Start a look-up if it is time for one; seconds until it is time to look again."""
        now = asyncio.get_running_loop().time()
        left = question.asked_at + self._again_s - now
        if left > 0:
            return left
        question.asked_at = now
        if self._running[key] < _MOST:
            self._running[key] += 1
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._look_up, args=(loop, key), name="marketd-dns", daemon=True).start()
        return self._again_s

    def _look_up(self, loop: asyncio.AbstractEventLoop, key: _Key) -> None:
        found = _addresses(*key)
        try:
            loop.call_soon_threadsafe(self._tell, key, found)
        except RuntimeError:
            return  # the loop has closed meanwhile; nobody waits any more

    def _tell(self, key: _Key, found: list[Address] | OSError) -> None:
        self._running[key] -= 1
        if not self._running[key]:
            del self._running[key]
        question = self._questions.get(key)
        if question is None or question.answer.done():
            return
        if isinstance(found, OSError):
            question.answer.set_exception(found)
        else:
            question.answer.set_result(found)

    def _forget(self, key: _Key, answer: asyncio.Future[list[Address]]) -> None:
        del self._questions[key]
        if not answer.cancelled():
            answer.exception()  # who asked may be gone: an error nobody waits for is no news


class RestResolver(AbstractResolver):
    """The same look-ups in the shape that aiohttp takes."""

    def __init__(self) -> None:
        self._resolver = Resolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name of that family, or of every one. Raises ``OSError``."""
        return [
            ResolveResult(
                hostname=host,
                host=_numeric(address),
                port=port,
                family=found,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for found, _, protocol, _, address in await self._resolver.resolve(host, port)
            if family in (socket.AF_UNSPEC, found)
        ]

    async def close(self) -> None:
        """Nothing is held; a look-up under way ends by itself."""


def _numeric(address: tuple[Any, ...]) -> str:
    """The address as text; one that is valid on a single link names it."""
    scoped = len(address) == 4 and address[3]
    return f"{address[0]}%{address[3]}" if scoped and "%" not in address[0] else str(address[0])


def _addresses(host: str, port: int) -> list[Address] | OSError:
    try:
        return list[Address](socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        return error
    except UnicodeError as error:  # a label that IDNA refuses
        return socket.gaierror(socket.EAI_NONAME, str(error))
