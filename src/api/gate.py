"""What every request passes before a route sees it: name, origin, token, rate, body, a place and a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from time import monotonic, perf_counter
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics
from .limits import Limits, Rates, network_of
from .origins import Origins
from .problems import TOLD, ProblemError, answer, place_of, problem, short_of_memory, unexpected
from .security import PRINCIPAL, Guard, Principal, bearer, unauthorized
from .strict import check_json

_log = get_logger("api")

CUT = "marketd.cut"
"""Key in a request's scope: called, it ends the connection at once."""

_ALWAYS = {
    "server": "marketd",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
}
_UNLESS_SAID = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
_READS = frozenset({"GET", "HEAD", "OPTIONS"})


class Gate:
    """ASGI middleware, the outermost one. ``public`` are the paths that strangers may see; one that ends in / stands
    for all below it. Everything else needs a token, where tokens are set.

    A web socket may come without: it gives its token in its first message.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        guard: Guard,
        origins: Origins,
        limits: Limits,
        metrics: Metrics,
        public: Collection[str] = (),
    ) -> None:
        self._app = app
        self._guard, self._origins, self._limits = guard, origins, limits
        self._metrics = metrics
        self._public = frozenset(public)
        self._public_folders = tuple(path for path in public if path.endswith("/") and path != "/")
        self._addresses = Rates(lambda: limits.requests_per_minute)
        self._names = Rates(lambda: limits.requests_per_minute)
        self._places = asyncio.Semaphore(limits.in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        answering = _Answering(scope, send)
        try:
            await self._pass(scope, receive, answering)
        except ProblemError as error:
            self._metrics.api_refused.labels(reason=str(error.status_code)).inc()
            await answering.give(answer(error), receive)
        except TimeoutError:
            await self._too_slow(scope, receive, answering)
        except _Gone:
            pass
        except Exception as error:
            await self._failed(error, scope, receive, answering)
        if scope["type"] == "http":
            self._count(scope, answering.status, perf_counter() - started)

    async def _pass(self, scope: Scope, receive: Receive, send: _Answering) -> None:
        headers = Headers(scope=scope)
        host = self._origins.check_host(headers.getlist("host"))
        _check_target(scope)
        origin = headers.get("origin")
        if self._origins.check_origin(origin, host) and origin is not None:
            send.headers["access-control-allow-origin"] = origin
            send.headers["access-control-expose-headers"] = "Retry-After"
            send.headers["vary"] = "origin"
            if scope["type"] == "http" and scope["method"] == "OPTIONS":
                await send.give(Response(status_code=204, headers=self._origins.preflight(headers)), receive)
                return
        is_public = self._is_public(scope["path"])
        scope[PRINCIPAL] = self._who(scope, headers, is_public)
        if self._limits.memory_short and not is_public:
            raise short_of_memory()
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        body = await self._body(scope, headers, receive)
        async with self._place(is_public):
            async with asyncio.timeout(self._limits.handler_s):
                await self._app(scope, _Replay(body, receive), send)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        place = place_of(scope)
        self._metrics.api_requests.labels(route=place, code=str(status)).inc()
        self._metrics.api_duration.observe(seconds)
        who = scope.get(PRINCIPAL)
        _log.debug(
            "request",
            method=scope["method"][:10],
            route=place,
            code=status,
            ms=round(seconds * 1000, 1),
            caller=who.name if isinstance(who, Principal) else "",
        )

    def _is_public(self, path: str) -> bool:
        return path in self._public or path.startswith(self._public_folders)

    def _who(self, scope: Scope, headers: Headers, is_public: bool) -> Principal:
        now = monotonic()
        address = network_of(scope["client"][0] if scope.get("client") else "")
        if not is_public:
            self._charge(self._addresses, address, now)
        who = self._guard.principal(bearer(headers.get("authorization")), address, now)
        if who.scope is None:
            if not is_public and scope["type"] == "http":
                raise unauthorized("give a token as Authorization: Bearer")
        elif self._guard.tokens.demanded and not is_public:
            self._charge(self._names, who.name, now)
        return who

    def _charge(self, rates: Rates, key: str, now: float) -> None:
        if wait := rates.wait(key, now):
            raise problem(429, detail="API_REQUESTS_PER_MINUTE are used up", retry_after=wait)

    async def _body(self, scope: Scope, headers: Headers, receive: Receive) -> bytes:
        """The whole body, which is JSON where there is one: no route is begun before it is there."""
        if "transfer-encoding" not in headers and headers.get("content-length", "0") == "0":
            return b""
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise problem(415, detail="send the body as it is, without Content-Encoding")
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if scope["method"] not in _READS and kind != "application/json":
            raise problem(415, detail="send JSON, with Content-Type: application/json")
        body = bytearray()
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self._limits.body_bytes:
                raise problem(413, detail=f"{self._limits.body_bytes} bytes are the most")
        if body and scope["method"] not in _READS:
            check_json(bytes(body))
        return bytes(body)

    @asynccontextmanager
    async def _place(self, is_public: bool) -> AsyncIterator[None]:
        """One of the places for requests that are worked at; what is public is quick, and needs none."""
        if is_public:
            yield
            return
        try:
            async with asyncio.timeout(self._limits.turn_s):
                await self._places.acquire()
        except TimeoutError:
            raise problem(503, detail="too many requests at once", retry_after=1) from None
        try:
            yield
        finally:
            self._places.release()

    async def _too_slow(self, scope: Scope, receive: Receive, send: _Answering) -> None:
        self._metrics.api_refused.labels(reason="deadline").inc()
        if not send.status:
            detail = f"not done within {self._limits.handler_s:g} s; ask for less"
            await send.give(answer(problem(503, detail=detail, retry_after=5)), receive)
        else:
            _cut(scope)

    async def _failed(self, error: Exception, scope: Scope, receive: Receive, send: _Answering) -> None:
        if scope.get(TOLD):  # FastAPI raises again what was answered
            return
        response = unexpected(error, place_of(scope))
        if send.status:
            _cut(scope)
        else:
            await send.give(response, receive)


class _Gone(Exception):
    """The client went away before its request was whole."""


class _Answering:
    """``send``, with the headers that every answer has. ``status`` is that of the answer once it was begun."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send
        self.status = 0
        self.headers: dict[str, str] = {}

    async def __call__(self, message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            self.status = message["status"]
            message["headers"] = self._with_ours(message.get("headers", ()))
        elif message["type"] == "websocket.accept":
            self.status = 101
        await self._send(message)

    async def give(self, response: Response, receive: Receive) -> None:
        await response(self._scope, receive, self)

    def _with_ours(self, given: Any) -> list[tuple[bytes, bytes]]:
        found = [(name.lower(), value) for name, value in given]
        names = {name for name, _ in found}
        ours = {**_ALWAYS, **self.headers, **_UNLESS_SAID}
        return found + [
            (name.encode(), value.encode("latin-1"))
            for name, value in ours.items()
            if name.encode() not in names or name == "vary"
        ]


class _Replay:
    """``receive`` of a request whose body was read: it comes in one piece, and after it what really comes."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _check_target(scope: Scope) -> None:
    """A path or query with NUL is nobody's; names below it would be cut there by whatever is written in C."""
    if "\0" in scope["path"] or b"%00" in scope.get("query_string", b""):
        raise problem(400, detail="the URL has the character NUL")


def _cut(scope: Scope) -> None:
    cut = scope.get("extensions", {}).get(CUT)
    if cut is not None:
        cut()
