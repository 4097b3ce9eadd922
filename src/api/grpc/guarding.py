"""What every call passes first: token, scope, rate, a deadline of ours; and from errors to statuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from inspect import isawaitable
from time import monotonic, perf_counter
from typing import Any, Final
from urllib.parse import unquote

import grpc
import grpc.aio

from ...errors import MarketdError
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..limits import Limits, Rates, network_of
from ..problems import ProblemError, of_marketd, problem, short_of_memory, unexpected
from ..security import STRANGER, Guard, Principal, Scope, bearer, demand
from .service import caller, still_admitted

SERVICE: Final = "marketd.v1.TaskService"
HEALTH: Final = "grpc.health.v1.Health"

_SCOPES = {
    **{
        f"/{SERVICE}/{name}": Scope.TASK
        for name in ("CollectBinance", "CollectUniswap", "ProcessPrices", "Analyse", "RunTask", "CancelTask")
    },
    **{f"/{SERVICE}/{name}": Scope.READ for name in ("GetTask", "WatchTask")},
}
"""What is not among them needs READ, but for the one question of health, which strangers may ask, too."""
_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_STREAMS = 32
"""Calls that go on at a time; with them full, the others still have places."""
_STREAM_S = 3600.0

_log = get_logger("grpc")


class Guarding(grpc.aio.ServerInterceptor):
    """The interceptor. ``guard`` is the one of HTTP: wrong tokens of an address count together."""

    def __init__(self, guard: Guard, limits: Limits, metrics: Metrics) -> None:
        self._guard, self._limits, self._metrics = guard, limits, metrics
        self._addresses = Rates(lambda: limits.requests_per_minute)
        self._names = Rates(lambda: limits.requests_per_minute)
        self._streams = 0

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], details: grpc.HandlerCallDetails
    ) -> Any:
        """The handler of the method with everything here around it; None where there is no such method."""
        handler = await continuation(details)
        if handler is None:
            return None
        make: Any
        if handler.request_streaming or handler.response_streaming:
            if handler.request_streaming and handler.response_streaming:
                make, inner = grpc.stream_stream_rpc_method_handler, handler.stream_stream
            else:
                make, inner = grpc.unary_stream_rpc_method_handler, handler.unary_stream
            wrapped = self._streamed(details.method, inner)
        else:
            make, inner = grpc.unary_unary_rpc_method_handler, handler.unary_unary
            wrapped = self._called(details.method, inner)
        return make(
            wrapped,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _called(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Any) -> Any:
            async with self._passed(method, context, self._limits.handler_s):
                return await inner(request, context)

        return call

    def _streamed(self, method: str, inner: Any) -> Any:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            async with self._passed(method, context, _STREAM_S):
                if self._streams >= _STREAMS:
                    raise problem(429, detail=f"{_STREAMS} streams are the most at a time")
                self._streams += 1
                try:
                    found = inner(request, context)
                    if isawaitable(found):  # it writes to the context itself
                        await found
                    else:
                        async for answer in found:
                            yield answer
                finally:
                    self._streams -= 1

        return call

    @asynccontextmanager
    async def _passed(self, method: str, context: Any, longest_s: float) -> AsyncIterator[None]:
        """Who calls may do so, and has so long; what is raised becomes a status."""
        started, code = perf_counter(), grpc.StatusCode.OK
        try:
            caller.set(self._admit(method, context))
            async with asyncio.timeout(longest_s):
                yield
        except (asyncio.CancelledError, GeneratorExit):
            code = grpc.StatusCode.CANCELLED
            raise
        except grpc.aio.AbortError:
            code = context.code() or grpc.StatusCode.UNKNOWN
            raise
        except Exception as error:
            code, text = _told(error, method)
            await context.abort(code, text)
        finally:
            self._metrics.api_requests.labels(route=method, code=code.name).inc()
            self._metrics.api_duration.observe(perf_counter() - started)

    def _admit(self, method: str, context: Any) -> Principal:
        if method == f"/{HEALTH}/Check":
            return STRANGER
        if self._limits.memory_short:
            raise short_of_memory()
        now, address = monotonic(), address_of(context.peer())
        self._charge(self._addresses, address, now)
        given = [value for name, value in context.invocation_metadata() or () if name == "authorization"]
        token, scope = bearer(given[0] if given else None), _SCOPES.get(method, Scope.READ)
        who = self._guard.principal(token, address, now)
        demand(who, scope)

        def again() -> None:
            if self._guard.tokens.demanded:
                demand(self._guard.tokens.find(token or "") or STRANGER, scope)

        still_admitted.set(again)
        if self._guard.tokens.demanded:
            self._charge(self._names, who.name, now)
        return who

    def _charge(self, rates: Rates, key: str, now: float) -> None:
        if wait := rates.wait(key, now):
            raise problem(429, detail="API_REQUESTS_PER_MINUTE are used up", retry_after=wait)


def address_of(peer: str) -> str:
    """Who shares limits, out of ``ipv4:127.0.0.1:5000`` or ``ipv6:%5B::1%5D:5000``."""
    host = unquote(peer.partition(":")[2]).rpartition(":")[0]
    return network_of(host.strip("[]"))


def _told(error: Exception, method: str) -> tuple[grpc.StatusCode, str]:
    """The status of an error and its text; what is our own fault says no more than an id."""
    if isinstance(error, TimeoutError):
        return grpc.StatusCode.DEADLINE_EXCEEDED, "it took too long"
    found = error if isinstance(error, ProblemError) else None
    if isinstance(error, MarketdError):
        found = of_marketd(error)
        if found is not None and found.status_code == 503:
            _log.warning("request_put_off", msg=str(error), place=method)
    if found is None:
        body: Any = unexpected(error, method).body
        return grpc.StatusCode.INTERNAL, bytes(body).decode()
    fields = "; ".join(
        f"{field.field}: {field.message}" if field.field else field.message for field in found.errors
    )
    return _STATUS.get(found.status_code, grpc.StatusCode.UNKNOWN), fields or str(found.detail) or found.title
