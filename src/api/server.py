"""HTTP in the daemon's own loop: uvicorn on a port that was taken before, without its hold on signals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from ..config.listening import Listener
from ..errors import ConfigError
from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics
from .doors import Doors
from .feed.protocol import FeedProtocol
from .limits import Limits
from .protocol import GuardedProtocol

_MESSAGE_BYTES = 16_384
"""Of what a listener says at once."""
_PING_S = 20.0
_GRACE_S = 1
_RETRY_S = 0.5

_log = get_logger("api")


class _Server(uvicorn.Server):
    """uvicorn's, which would take SIGTERM and SIGINT for itself."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _NotCancelled(logging.Filter):
    """A request that is ended because the server ends is no error, and its traceback tells nobody anything."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        return not isinstance(error, asyncio.CancelledError)


_QUIET = _NotCancelled()


class HttpServer:
    """Construct, ``prepare`` (takes the port), ``run``, ``close``. ``app`` is made when it first runs."""

    def __init__(
        self, app: Callable[[], ASGIApp], listener: Listener, limits: Limits, metrics: Metrics
    ) -> None:
        self._app = app
        self._listener = listener
        self._limits = limits
        self._server: _Server | None = None
        self.doors = Doors(limits, metrics)

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def serving(self) -> bool:
        """True once requests are answered."""
        return self._server is not None and self._server.started

    def prepare(self) -> None:
        """Take the port; nothing is answered before ``run``. Raises ``ConfigError`` naming the setting."""
        self._listener.take()

    async def run(self) -> None:
        """Serve until cancelled. Takes the port where ``prepare`` did not, and waits for it."""
        await self._wait_for_port()
        logging.getLogger("uvicorn.error").addFilter(_QUIET)
        server = self._server = _Server(self._config())
        host = f"[{self._listener.host}]" if ":" in self._listener.host else self._listener.host
        _log.info("api_listening", msg=f"http://{host}:{self.port}/", port=self.port)
        try:
            async with asyncio.TaskGroup() as group:
                sweeping = group.create_task(self._sweep(), name="api_sweep")
                await server.serve([self._listener.take()])
                sweeping.cancel()
        finally:
            if server.started:
                await server.shutdown()
            self.doors.cut()
            await self.close()

    async def close(self) -> None:
        """Let go of the port."""
        self._listener.close()

    async def _wait_for_port(self) -> None:
        told = False
        while True:
            try:
                self._listener.take()
                return
            except ConfigError as error:
                if not told:
                    _log.warning("port_held", msg=str(error), retry_in=_RETRY_S)
                told = True
                await asyncio.sleep(_RETRY_S)

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._limits.sweep_s)
            self.doors.sweep(loop.time())

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            self._app(),
            http=partial(GuardedProtocol, self.doors),  # type: ignore[arg-type] # it is called like a class
            ws=partial(FeedProtocol, self.doors),  # type: ignore[arg-type]
            ws_max_size=_MESSAGE_BYTES,
            ws_ping_interval=_PING_S,
            ws_ping_timeout=_PING_S,
            ws_per_message_deflate=False,  # a frame is made once for all; packed, it would be for each
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(self._limits.idle_s + self._limits.whole_s) + 1,  # ours is told above
            timeout_graceful_shutdown=_GRACE_S,
        )
