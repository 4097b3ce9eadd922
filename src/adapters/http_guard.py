"""Keeps slow and numerous clients from holding sockets: what aiohttp's server has no deadline for."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from ..telemetry.log import get_logger

# In the place of the name and version of what serves.
SERVER_NAME = "marketd"

# Prometheus, a person and a health check are three; the rest is somebody's mistake.
MAX_CONNECTIONS = 64
# How long a connection may stay open between two requests it completes, however slowly it sends them.
MAX_IDLE_S = 20.0
_LOOK_EVERY_S = 1.0

log = get_logger("metrics")


class _PlainHandler(web.RequestHandler):
    """aiohttp's handler, but its own errors name neither the server nor what was wrong inside."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer was sent; the connection ends here")
        log.warning("http_request_failed", status=status, exc_info=exc if status >= 500 else None)
        response = web.Response(status=status, text=f"{status}\n", headers={"Server": SERVER_NAME})
        response.force_close()
        return response


class _Refusal(asyncio.Protocol):
    """Takes the place of a handler when there are enough connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class ConnectionGuard:
    """Caps the connections of one aiohttp server and closes those that complete no request in time.

    ``protocol`` is the factory for ``create_server``; ``run`` does the closing until cancelled; ``completed`` is
    called with each request that was answered. ``options`` are aiohttp's for one connection.
    """

    def __init__(
        self,
        server: web.Server,
        *,
        max_connections: int = MAX_CONNECTIONS,
        max_idle: float = MAX_IDLE_S,
        **options: Any,
    ) -> None:
        self._server = server
        self._options = options
        self._max_connections, self._max_idle = max_connections, max_idle
        self._seen: dict[asyncio.BaseProtocol, float] = {}

    def protocol(self) -> asyncio.BaseProtocol:
        if len(self._server.connections) >= self._max_connections:
            return _Refusal()
        loop = asyncio.get_running_loop()
        handler = _PlainHandler(self._server, loop=loop, **self._options)
        self._seen[handler] = loop.time()
        return handler

    def completed(self, request: web.BaseRequest) -> None:
        if request.protocol in self._seen:
            self._seen[request.protocol] = asyncio.get_running_loop().time()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(_LOOK_EVERY_S, self._max_idle))
            oldest = loop.time() - self._max_idle
            live = set(self._server.connections)
            self._seen = {
                handler: since for handler, since in self._seen.items() if handler in live or since >= oldest
            }
            for handler in live:
                if self._seen.get(handler, oldest) < oldest:
                    handler.force_close()
