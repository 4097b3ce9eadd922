"""Keeps slow and numerous clients from holding sockets: what aiohttp's server has no deadline for."""

from __future__ import annotations

import asyncio

from aiohttp import web

# Prometheus, a person and a health check are three; the rest is somebody's mistake.
MAX_CONNECTIONS = 64
# How long a connection may stay open between two requests it completes, however slowly it sends them.
MAX_IDLE_S = 20.0
_LOOK_EVERY_S = 1.0


class _Refusal(asyncio.Protocol):
    """Takes the place of a handler when there are enough connections."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


class ConnectionGuard:
    """Caps the connections of one aiohttp server and closes those that complete no request in time.

    ``protocol`` is the factory for ``create_server``; ``run`` does the closing until cancelled; ``completed`` is
    called with each request that was answered.
    """

    def __init__(
        self, server: web.Server, *, max_connections: int = MAX_CONNECTIONS, max_idle: float = MAX_IDLE_S
    ) -> None:
        self._server = server
        self._max_connections, self._max_idle = max_connections, max_idle
        self._seen: dict[asyncio.BaseProtocol, float] = {}

    def protocol(self) -> asyncio.BaseProtocol:
        if len(self._server.connections) >= self._max_connections:
            return _Refusal()
        handler: asyncio.BaseProtocol = self._server()
        self._seen[handler] = asyncio.get_running_loop().time()
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
