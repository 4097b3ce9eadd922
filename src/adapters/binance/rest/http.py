"""One guarded way to the venue's REST side: what aiohttp allows by default and we do not.

No redirect is followed, no body is read past its cap, no proxy of the environment is used, nothing goes past
the proxy that is set, and every failure below HTTP comes out as ``Unavailable`` with a bounded reason.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from ....config.network import endpoint, is_loopback_url
from ....errors import ConfigError, Unavailable
from ..names import RestResolver, public_name
from .sockets import dialling, make_socket

# exchangeInfo is 2.6 MB at its widest spelling; a list of 50 MB is somebody's mistake or attack.
MAX_BODY_BYTES = 16 * 1024 * 1024
_CONNECT_S = 5.0
_KEEP_ALIVE_S = 55.0
# Short, so that a venue moved to another address is found soon; long enough for a minute of roll calls.
_DNS_CACHE_S = 60
# uvloop says some failures of a connection with a bare RuntimeError.
_FAILURES = (aiohttp.ClientError, TimeoutError, OSError, RuntimeError)


OnAnswer = Callable[[str, str, Mapping[str, str], float], None]


@dataclass(slots=True)
class Answer:
    """A whole answer, in the shape ccxt reads: ``status``, ``reason``, ``headers``, ``text()``."""

    status: int
    reason: str
    headers: CIMultiDictProxy[str]
    body: bytes = field(repr=False)

    @property
    def content(self) -> bytes:
        return self.body

    async def text(self, errors: str = "replace") -> str:
        return self.body.decode("utf-8", errors)


class Streamed:
    """An answer whose body is read piece by piece by the caller, who caps it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises ``Unavailable`` when it ends early."""
        try:
            async for part in self._response.content.iter_any():
                yield part
        except _FAILURES as error:
            raise failure_of(error) from _shown_cause(error)

    async def text(self, limit: int) -> str:
        """The beginning of the body, ``limit`` bytes of it or a little more, for an error message."""
        found = b""
        async for part in self.parts():
            found += part
            if len(found) >= limit:
                break
        return found.decode("utf-8", "replace")


class GuardedSession:
    """A stand-in for ``aiohttp.ClientSession`` with what ccxt uses for public data: ``get`` and ``headers``.

    ``timeout`` is for the whole request, in wall seconds. ``on_answer`` is told of every request that
    ended: its path, the status as text or the reason of its failure, headers, and wall seconds taken.
    """

    def __init__(
        self,
        base_url: str,
        *,
        proxy: str | None,
        timeout: float,
        on_answer: OnAnswer,
        max_body: int = MAX_BODY_BYTES,
        trusted: str | None = None,
        max_connections: int = 64,
        may_be_private: bool = False,
    ) -> None:
        """Needs the running loop. ``trusted`` is a file of certificate authorities besides the system's.

        The name in ``base_url`` must have an address out in the world, unless it ``may_be_private``.
        """
        self._proxy = None if is_loopback_url(base_url) else proxy
        goes_out = self._proxy is None and not may_be_private
        connector = aiohttp.TCPConnector(
            ssl=_context(trusted) if base_url.startswith("https:") else True,
            limit=max_connections,
            ttl_dns_cache=_DNS_CACHE_S,
            keepalive_timeout=_KEEP_ALIVE_S,
            socket_factory=make_socket,
            resolver=RestResolver(public=public_name(base_url) if goes_out else ""),
        )
        self.headers: Mapping[str, str] = {}
        self._session = aiohttp.ClientSession(
            connector=connector,
            trust_env=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_once,),
        )
        self._origin = URL(base_url).origin()
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=_CONNECT_S, sock_connect=_CONNECT_S)
        self._max_body = max_body
        self._on_answer = on_answer

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def get(self, url: URL, *, headers: Mapping[str, str], **_: Any) -> AsyncIterator[Answer]:
        """Whatever else ccxt passes (its own proxy, timeout and body) is left out on purpose."""
        if url.origin() != self._origin:
            raise Unavailable(f"not the exchange that is set: {url.origin()}", reason="redirect")
        yield await self._get(url, headers)

    @asynccontextmanager
    async def stream(self, url: URL, *, headers: Mapping[str, str]) -> AsyncIterator[Streamed]:
        """A long answer: ``timeout`` is then the longest silence, not the whole time."""
        if url.origin() != self._origin:
            raise Unavailable(f"not the host that is set: {url.origin()}", reason="redirect")
        limits = aiohttp.ClientTimeout(
            connect=_CONNECT_S, sock_connect=_CONNECT_S, sock_read=self._timeout.total
        )
        began = time.monotonic()
        with self._failures(url.path, began), dialling():
            response = await self._session.get(
                url, headers=headers, proxy=self._proxy, allow_redirects=False, timeout=limits
            )
        self._on_answer(url.path, str(response.status), response.headers, time.monotonic() - began)
        try:
            yield Streamed(response)
        finally:
            response.close()

    async def post(self, url: URL, body: bytes, *, headers: Mapping[str, str]) -> Answer:
        """The whole answer to ``body``."""
        if url.origin() != self._origin:
            raise Unavailable(f"not the host that is set: {url.origin()}", reason="redirect")
        return await self._whole("POST", url, headers, body)

    async def _get(self, url: URL, headers: Mapping[str, str]) -> Answer:
        return await self._whole("GET", url, headers, None)

    async def _whole(self, method: str, url: URL, headers: Mapping[str, str], sent: bytes | None) -> Answer:
        began = time.monotonic()
        with self._failures(url.path, began):
            with dialling():
                response = await self._session.request(
                    method,
                    url,
                    data=sent,
                    headers=headers,
                    proxy=self._proxy,
                    allow_redirects=False,
                    timeout=self._timeout,
                )
            async with response:
                body = await self._read(response)
                answer = Answer(response.status, response.reason or "", response.headers, body)
        self._on_answer(url.path, str(answer.status), answer.headers, time.monotonic() - began)
        return answer

    @contextmanager
    def _failures(self, path: str, began: float) -> Iterator[None]:
        """A request that fails within is told, and comes out as ``Unavailable``."""
        try:
            yield
        except _FAILURES as error:
            failure = failure_of(error)
            self._on_answer(path, failure.reason, {}, time.monotonic() - began)
            raise failure from _shown_cause(error)
        except Unavailable as failure:
            self._on_answer(path, failure.reason, {}, time.monotonic() - began)
            raise

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        """The body, decompressed piece by piece and never past the cap, whatever its length header says."""
        parts, size = [], 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self._max_body:
                raise Unavailable(f"the answer is over {self._max_body} bytes", reason="too_large")
            parts.append(part)
        return b"".join(parts)


def checked_url(setting: str, url: str) -> str:
    """A base URL that a session may be made to, without its trailing slash.

    Raises ``ConfigError``, which names ``setting``, for one that is not TLS and not loopback.
    """
    try:
        return endpoint(url, secure="https", plain="http")
    except ValueError as error:
        raise ConfigError(f"{setting}: {error}") from None


def _context(trusted: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if trusted is not None:
        context.load_verify_locations(trusted)
    return context


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a GET again by itself when the connection ends: weight that nobody has counted."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise failure_of(error) from _shown_cause(error)


def _shown_cause(error: Exception) -> Exception | None:
    """What a traceback may show as the cause: nothing of a proxy, whose errors print its URL."""
    return None if _reason(error) == "proxy" else error


def failure_of(error: Exception) -> Unavailable:
    """A failure below HTTP, sorted. The proxy's address is not shown: it may hold a password."""
    return Unavailable(f"{type(error).__name__}: {_text(error)}", reason=_reason(error))


def _text(error: Exception) -> str:
    return "proxy failed" if isinstance(error, aiohttp.ClientHttpProxyError) else str(error)


def _reason(error: Exception) -> str:
    for kinds, reason in _REASONS:
        if isinstance(error, kinds):
            return reason
    return "network"


# The first match counts: the special before the general.
_REASONS: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError), "proxy"),
    ((TimeoutError, asyncio.TimeoutError), "timeout"),
    ((aiohttp.ClientSSLError, ssl.SSLError), "tls"),
    ((aiohttp.ClientConnectorDNSError, socket.gaierror), "dns"),
    ((aiohttp.ClientConnectorError, ConnectionRefusedError), "connect"),
    ((aiohttp.ServerDisconnectedError, ConnectionResetError), "reset"),
    ((aiohttp.ClientPayloadError,), "truncated"),
    ((aiohttp.ClientConnectionError, OSError, RuntimeError), "connection"),
    ((aiohttp.ClientResponseError,), "bad_http"),
)
