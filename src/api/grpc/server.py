"""gRPC in the daemon's own loop, with health, maybe reflection, and bounds on sizes, streams, pings and ages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from ...config.listening import Listener
from ...errors import ConfigError
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from ..limits import Limits
from ..protos import task_pb2_grpc
from ..security import Guard
from .guarding import HEALTH, SERVICE, Guarding
from .service import TaskService

_CALLS = 64
_ANSWER_BYTES = 4 * 1_048_576
_GRACE_S = 1.0
_RETRY_S = 0.5

_log = get_logger("grpc")


class GrpcServer:
    """Construct, ``prepare`` (sees that the port is free), ``run``, ``close``. ``service`` is made when it first runs.

    ``reflects``: whoever may read may also read what services there are.

    The library binds its port itself: ours is let go just before.
    """

    def __init__(
        self,
        service: Callable[[], TaskService],
        listener: Listener,
        guard: Guard,
        limits: Limits,
        metrics: Metrics,
        *,
        reflects: bool = False,
    ) -> None:
        self._service = service
        self._reflects = reflects
        self._listener = listener
        self._guard, self._limits, self._metrics = guard, limits, metrics
        self._told = health.aio.HealthServicer()
        self.port = 0
        self.serving = False

    def prepare(self) -> None:
        """Take the port; nothing is answered before ``run``. Raises ``ConfigError`` naming the setting."""
        self._listener.take()

    async def run(self) -> None:
        """Serve until cancelled. A port that another program has is waited for."""
        server, told = None, False
        while server is None:
            try:
                server = self._bound()
            except (ConfigError, RuntimeError) as error:
                if not told:
                    _log.warning("port_held", msg=str(error), retry_in=_RETRY_S)
                told = True
                await asyncio.sleep(_RETRY_S)
        try:
            await server.start()
            await self._told.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
            self.serving = True
            _log.info("grpc_listening", msg=f"{self._listener.host}:{self.port}", port=self.port)
            with outside("calls"):
                await server.wait_for_termination()
        finally:
            self.serving = False
            await server.stop(_GRACE_S)

    async def close(self) -> None:
        """Let go of the port."""
        self._listener.close()

    def _bound(self) -> grpc.aio.Server:
        """The server on its port. Raises ``ConfigError``, or ``RuntimeError`` where somebody was faster."""
        self._listener.take()
        host, port = self._listener.host, self._listener.port
        server = self._made()
        self._listener.close()
        self.port = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        return server

    def _made(self) -> grpc.aio.Server:
        server = grpc.aio.server(
            interceptors=[Guarding(self._guard, self._limits, self._metrics)],
            maximum_concurrent_rpcs=_CALLS,
            options=[
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", self._limits.body_bytes),
                ("grpc.max_send_message_length", _ANSWER_BYTES),
                ("grpc.max_metadata_size", self._limits.header_bytes),
                ("grpc.absolute_max_metadata_size", self._limits.header_bytes),
                ("grpc.max_concurrent_streams", _CALLS),
                ("grpc.max_allowed_incoming_connections", self._limits.connections),
                ("grpc.server_handshake_timeout_ms", int(self._limits.receipt_s * 1000)),
                ("grpc.keepalive_time_ms", 60_000),
                ("grpc.keepalive_timeout_ms", 20_000),
                ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
                ("grpc.http2.max_ping_strikes", 2),
                ("grpc.max_connection_idle_ms", 300_000),
                ("grpc.max_connection_age_ms", 7_200_000),
                ("grpc.max_connection_age_grace_ms", 10_000),
            ],
        )
        task_pb2_grpc.add_TaskServiceServicer_to_server(self._service(), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._told, server)
        if self._reflects:
            reflection.enable_server_reflection((SERVICE, HEALTH, reflection.SERVICE_NAME), server)
        return server
