"""Name look-ups that may hang without holding up anything but themselves; for the stream and for REST."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult

from ...config.network import is_loopback
from ...errors import Unavailable

Address = tuple[Any, Any, int, str, Any]
"""Family, type, protocol, canonical name and socket address, as ``socket.getaddrinfo`` gives them."""

_AGAIN_S = 4.0
"""Wall seconds until a name is asked for again beside a look-up that has not answered."""
_MOST = 8
"""Look-ups of one name under way at most: the C library may wait for half a minute, which is eight of them."""

_STAND_INS = ipaddress.ip_network("198.18.0.0/15")
"""What transparent proxies answer in an address's place, and dial the real one. No network has them (RFC 2544)."""

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

    ``public`` is a name that leads out into the world: of its addresses those of private networks are left out.
    """

    def __init__(self, *, public: str = "", again_s: float = _AGAIN_S) -> None:
        self._public = public
        self._again_s = again_s
        self._questions: dict[_Key, _Question] = {}
        self._running: Counter[_Key] = Counter()

    async def resolve(self, host: str, port: int) -> list[Address]:
        """The addresses of a name, in the system's order. Waits until cancelled.

        Raises ``OSError``, or ``Unavailable`` (``private_address``) if a public name has private addresses alone.
        """
        key = (host, port)
        question = self._questions.get(key)
        if question is None:
            question = self._questions[key] = _Question(asyncio.get_running_loop().create_future())
            question.answer.add_done_callback(lambda done: self._forget(key, done))
        while not question.answer.done():
            left = self._ask(key, question)
            await asyncio.wait({question.answer}, timeout=left)
        found = question.answer.result()
        return _public_ones(host, found) if host == self._public else found

    def _ask(self, key: _Key, question: _Question) -> float:
        """Start a look-up if it is time for one; seconds until it is time to look again."""
        now = asyncio.get_running_loop().time()
        left = question.asked_at + self._again_s - now
        if left > 0:
            return left
        question.asked_at = now
        if self._running[key] < _MOST:
            loop = asyncio.get_running_loop()
            thread = threading.Thread(target=self._look_up, args=(loop, key), name="marketd-dns", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # at the limit of processes; who asks tries again
                question.answer.set_exception(OSError(errno.EAGAIN, "no thread to look the name up in"))
            else:
                self._running[key] += 1
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

    def __init__(self, *, public: str = "") -> None:
        self._resolver = Resolver(public=public)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name of that family, or of every one. Raises what ``Resolver`` raises."""
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


def public_name(url: str) -> str:
    """The host of ``url`` if that is a name which must lead out into the world.

    Empty for loopback, and for an address, private or not: who writes one means that one.
    """
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "" if is_loopback(host) else host
    return ""


def _public_ones(host: str, found: list[Address]) -> list[Address]:
    """Whoever answers for a name could else send us to a service inside this network."""
    public = [one for one in found if _is_public(str(one[4][0]))]
    if not public:
        raise Unavailable(
            f"{host} has the address {found[0][4][0]}, of a private network; if that is meant, set the address"
            " itself in the place of the name",
            reason="private_address",
        )
    return public


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if isinstance(address, ipaddress.IPv4Address) and address in _STAND_INS:
        return True
    return address.is_global and not address.is_multicast


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
