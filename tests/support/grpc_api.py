"""gRPC on a real socket in the test's own loop, over a shelf in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2_grpc

from src.analysis import collect_binance, collect_uniswap
from src.analysis.arbitrage import jobs as arbitrage_jobs
from src.analysis.prices import jobs as price_jobs
from src.api.grpc.server import GrpcServer
from src.api.grpc.service import ServiceOptions, TaskService
from src.api.limits import Limits
from src.api.protos import task_pb2_grpc
from src.api.security import Tokens
from src.config.listening import Listener
from src.ports.work import TaskDesk

from .api import made_parts
from .desk import PAINT, Shelf, desk_of
from .eventually import eventually

OFTEN = ServiceOptions(look_s=0.02)
KINDS: Sequence[Any] = (
    PAINT,
    collect_binance.kind(None),  # type: ignore[arg-type] # nothing is worked at here
    collect_uniswap.kind(None),  # type: ignore[arg-type]
    arbitrage_jobs.KIND,
)


class Client:
    """Stubs on one connection."""

    def __init__(self, channel: grpc.aio.Channel, port: int) -> None:
        self.port = port
        self.tasks = task_pb2_grpc.TaskServiceStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)
        self.reflection = reflection_pb2_grpc.ServerReflectionStub(channel)


@asynccontextmanager
async def grpc_served(
    shelf: Shelf | TaskDesk,
    options: ServiceOptions = OFTEN,
    *,
    tokens: Tokens | None = None,
    limits: Limits | None = None,
    reflects: bool = True,
) -> AsyncIterator[Client]:
    """``shelf`` becomes a desk with ``KINDS``, as settings with these ``options`` make them."""
    kinds = [*KINDS, price_jobs.kind(takes_overrides=options.takes_overrides)]
    desk = desk_of(shelf, *kinds) if isinstance(shelf, Shelf) else shelf
    parts = made_parts(desk=desk, tokens=tokens)
    listener = Listener("127.0.0.1", 0, setting="GRPC")
    server = GrpcServer(
        lambda: TaskService(parts, options),
        listener,
        parts.guard,
        limits or Limits(),
        parts.metrics,
        reflects=reflects,
    )
    server.prepare()
    running = asyncio.create_task(server.run(), name="grpc")
    try:
        await eventually(lambda: server.serving)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield Client(channel, server.port)
    finally:
        running.cancel()
        await asyncio.wait({running})


async def refused(call: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""
