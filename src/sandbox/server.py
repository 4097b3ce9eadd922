"""The sandbox as a whole: one loopback port with REST, streams and control, in this process or its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
from aiohttp import web

from .archive.objects import Archive
from .certificate import server_context
from .chain.rpc import ChainRpc
from .control.api import Control
from .control.http import ControlHttp
from .market.candles import Kline
from .market.metrics import Funding, Metric
from .market.trades import AggTrade, Trades
from .options import SandboxOptions
from .rest.endpoints import Rest
from .rest.futures import FuturesRest
from .rest.limits import Budget, Budgets
from .rest.trade_serving import TradesRest
from .stream.broadcast import Broadcaster
from .stream.connections import Hub
from .stream.sockets import Sockets
from .venue import Venue

SHUTDOWN_S = 0.5
"""Wall seconds that requests under way have when the sandbox stops."""


class Sandbox:
    """``async with Sandbox(options) as sandbox:`` serves until the block ends.

    Entering raises ``ValueError`` for files that cannot be used and ``OSError`` for a port that is taken. An
    error inside the sandbox is raised when the block ends: a test never passes beside a broken exchange.
    """

    venue: Venue
    control: Control
    ca_file: Path | None
    """The certificate to trust, with ``tls``."""

    def __init__(self, options: SandboxOptions) -> None:
        self.options = options
        self.ca_file = None
        self.port = 0
        self._stop = asyncio.Event()
        self._main: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Sandbox:
        self.venue = await asyncio.to_thread(Venue, self.options)
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._main = asyncio.create_task(self._run(ready), name="sandbox")
        await asyncio.wait({ready, self._main}, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._main
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._main is not None:
            await self._main

    @property
    def rest_url(self) -> str:
        """For BINANCE_REST_URL."""
        return f"{'https' if self.options.tls else 'http'}://{self.options.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """For BINANCE_WS_URL: the routed base, to which ``/stream`` or ``/ws`` is added."""
        return f"{self.legacy_ws_url}/market"

    @property
    def legacy_ws_url(self) -> str:
        """The base whose ``/stream`` and ``/ws`` ack and never deliver."""
        return f"{'wss' if self.options.tls else 'ws'}://{self.options.host}:{self.port}"

    @property
    def control_url(self) -> str:
        return f"{self.rest_url}/control"

    @property
    def archive_url(self) -> str:
        """For BINANCE_ARCHIVE_URL: objects lie below it (``/data/futures/um/...``)."""
        return f"{self.rest_url}/archive"

    @property
    def archive_list_url(self) -> str:
        """For BINANCE_ARCHIVE_LIST_URL: the bucket's listing."""
        return f"{self.rest_url}/archive-list"

    @property
    def alpha_url(self) -> str:
        """For BINANCE_ALPHA_URL."""
        return self.rest_url

    @property
    def rpc_url(self) -> str:
        """For ETH_RPC_URL."""
        return f"{self.rest_url}/rpc"

    def now(self) -> float:
        """Exchange time, seconds since 1970-01-01 UTC."""
        return self.now_ms() / 1000

    def now_ms(self) -> int:
        return self.venue.clock.now_ms()

    @property
    def replay_shift_ms(self) -> int:
        """What is added to every time of the replayed files; 0 without any."""
        return self.venue.replay.shift_ms

    def truth(self, symbol: str, from_ms: int, to_ms: int) -> list[Kline]:
        """See ``Venue.truth``."""
        return self.venue.truth(symbol, from_ms, to_ms)

    def metrics_truth(self, symbol: str, from_ms: int, to_ms: int) -> list[Metric]:
        """See ``Venue.metrics_truth``."""
        return self.venue.metrics_truth(symbol, from_ms, to_ms)

    def funding_truth(self, symbol: str, from_ms: int, to_ms: int) -> list[Funding]:
        """See ``Venue.funding_truth``."""
        return self.venue.funding_truth(symbol, from_ms, to_ms)

    def trades_truth(self, symbol: str, from_ms: int, to_ms: int, *, spot: bool = False) -> list[AggTrade]:
        """The trades of [from_ms, to_ms) that have been by now. Raises ``ValueError`` for an unknown symbol."""
        instrument = self.venue.universe.find(symbol)
        return list(Trades(self.venue, spot=spot).between(instrument, from_ms, to_ms))

    def swaps_truth(self, pool: str, from_ms: int, to_ms: int) -> list[tuple[Any, ...]]:
        """See ``Venue.swaps_truth``."""
        return self.venue.swaps_truth(pool, from_ms, to_ms)

    async def _run(self, ready: asyncio.Future[None]) -> None:
        with contextlib.ExitStack() as stack:
            context = None
            if self.options.tls:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="marketd-sandbox-"))
                context, self.ca_file = await asyncio.to_thread(
                    server_context, Path(folder), self.options.host
                )
            runner = await self._listen(context)
            async with asyncio.TaskGroup() as self._tasks:
                broadcast = self._tasks.create_task(self._broadcaster.run(), name="sandbox-broadcast")
                ready.set_result(None)
                try:
                    await self._stop.wait()
                finally:
                    broadcast.cancel()
                    self.control.clear()
                    for connection in list(self._hub.connections.values()):
                        connection.close(1001, "Server shutdown")
                    await runner.cleanup()

    def _application(self) -> web.Application:
        def spawn(work: Coroutine[Any, Any, None], name: str) -> None:
            self._tasks.create_task(work, name=name)

        venue = self.venue
        budget = Budget(venue.clock, venue.stats, venue.faults, self.options.weight_limit)
        self._hub = Hub(venue, spawn)
        self._broadcaster = Broadcaster(self._hub)
        self.control = Control(self._hub, self._broadcaster, budget)
        rest = Rest(venue, Budgets(venue.clock, budget))
        application = web.Application(middlewares=[rest.middleware])
        application.add_routes(rest.routes())
        application.add_routes(FuturesRest(venue).routes())
        application.add_routes(TradesRest(venue).routes())
        application.add_routes(Archive(venue).routes())
        application.add_routes(ChainRpc(venue).routes())
        application.add_routes(Sockets(self._hub).routes())
        application.add_routes(ControlHttp(venue, self.control).routes())
        return application

    async def _listen(self, context: ssl.SSLContext | None) -> web.AppRunner:
        runner = web.AppRunner(
            self._application(), access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.options.host, self.options.port, ssl_context=context)
            await site.start()
        except OSError:
            await runner.cleanup()
            raise
        self.port = int(runner.addresses[0][1])
        return runner


async def run_sandbox(options: SandboxOptions) -> None:
    """Serve until SIGTERM or SIGINT; one JSON line on standard output says when and where."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Sandbox(options) as sandbox:
        line = {
            "rest_url": sandbox.rest_url,
            "ws_url": sandbox.ws_url,
            "archive_url": sandbox.archive_url,
            "archive_list_url": sandbox.archive_list_url,
            "alpha_url": sandbox.alpha_url,
            "rpc_url": sandbox.rpc_url,
            "control_url": sandbox.control_url,
            "ca_file": None if sandbox.ca_file is None else str(sandbox.ca_file),
            "port": sandbox.port,
            "now_ms": sandbox.now_ms(),
            "replay_shift_ms": sandbox.replay_shift_ms,
        }
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(orjson.dumps(line).decode() + "\n")
            sys.stdout.flush()
        await stop.wait()
