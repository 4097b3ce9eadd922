"""WebSocket paths: handshakes with their faults, and the reading side of each connection."""

from __future__ import annotations

from aiohttp import WSCloseCode, WSMsgType, web

from ..faults import Kind
from ..rest.endpoints import HTML
from .connections import Connection, Hub, Socket, reset

CLOSE_WAIT_S = 1.0
"""Wall seconds that a client has for its half of a closing handshake."""


class Sockets:
    """The routed paths deliver klines; legacy, public and private ones connect, ack and stay silent."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._venue = hub.venue

    def routes(self) -> list[web.RouteDef]:
        routes = []
        for base in ("/market", "", "/public", "/private"):
            routes += [
                web.get(f"{base}/stream", self._accept),
                web.get(f"{base}/ws", self._accept),
                web.get(f"{base}/ws/{{streams:.+}}", self._accept),
            ]
        return routes

    async def _accept(self, request: web.Request) -> web.StreamResponse:
        if (failed := self._failed_handshake(request)) is not None:
            return failed
        websocket = web.WebSocketResponse(
            autoping=False, compress=False, timeout=CLOSE_WAIT_S, max_msg_size=1024 * 1024
        )
        await websocket.prepare(request)
        transport = request.transport
        if transport is None:  # gone while it was being greeted
            return websocket
        is_combined = request.path.endswith("/stream")
        connection = self._hub.open(
            websocket,
            transport,
            request.path_qs[:200],
            is_combined=is_combined,
            delivers=request.path.startswith("/market/"),
        )
        self._venue.stats.attempt(self._venue.clock.now_ms(), request.path, "open")
        try:
            self._begin(request, connection)
            await self._listen(websocket, connection)
        finally:
            self._hub.drop(connection, f"client {websocket.close_code}")
        return websocket

    def _failed_handshake(self, request: web.Request) -> web.Response | None:
        fault = self._venue.faults.hit(Kind.HANDSHAKE, path=request.path)
        if fault is None:
            return None
        self._venue.stats.attempt(self._venue.clock.now_ms(), request.path, f"refused {fault.status}")
        if fault.status == 0:
            reset(request.transport)
            return web.Response()
        if fault.mode == "html":
            text, kind = HTML.format(status=fault.status), "text/html"
        else:
            text, kind = fault.body, "text/plain"
        return web.Response(text=text, status=fault.status, content_type=kind, headers=fault.headers)

    def _begin(self, request: web.Request, connection: Connection) -> None:
        """Streams named in the URL, and a fault that stops reading from new connections."""
        if self._venue.faults.any(Kind.STOP_READING) and self._venue.faults.hit(
            Kind.STOP_READING, connection=connection.number
        ):
            connection.stop_reading(True)
        names = request.match_info.get("streams") or request.query.get("streams", "")
        if names:
            connection.subscribe([name for name in names.split("/") if name], None)

    async def _listen(self, websocket: Socket, connection: Connection) -> None:
        while True:
            message = await websocket.receive()
            match message.type:
                case WSMsgType.TEXT:
                    connection.hear(message.data)
                case WSMsgType.BINARY:
                    connection.close(WSCloseCode.POLICY_VIOLATION, "Invalid request")
                case WSMsgType.PING:
                    await connection.pong(message.data)
                case WSMsgType.PONG:
                    connection.pong_ms = self._venue.clock.now_ms()
                case _:
                    return
