"""What marketd shows over HTTP: ``/metrics``, ``/healthz``, ``/readyz`` and ``/status``.

The port is taken by ``prepare`` before anything else of the daemon is opened, so that a second program on it
is told at once. Slow and numerous clients are cut off: looking at marketd must not stop it.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable

import orjson
from aiohttp import web
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder

from ..config.listening import Listener, PortTaken
from ..config.network import is_loopback
from ..errors import AlreadyRunning, ConfigError
from ..ports import Clock
from ..telemetry.health import Health
from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics
from .http_guard import SERVER_NAME, ConnectionGuard
from .occupant import marketd_at
from .rate_limiter import Budget
from .status import RunInfo, StatusReport

_MAX_LINE_BYTES = 4_096
_KEEP_ALIVE_S = 15.0
_SHUTDOWN_S = 1.0
_RETRY_S = 0.5

_HEADERS = {"Server": SERVER_NAME, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

log = get_logger("metrics")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MetricsServer:
    """One process's metrics and health: construct, ``prepare`` (takes the port), ``run``, ``close``.

    With a ``token``, ``/metrics`` and ``/status`` answer only to ``Authorization: Bearer``; ``/healthz`` and
    ``/readyz`` always answer, without reasons to strangers. On loopback only loopback names are taken as
    Host, so no web page can reach it through a name of its own.
    """

    def __init__(
        self,
        metrics: Metrics,
        health: Health,
        clock: Clock,
        info: RunInfo,
        *,
        budget: Callable[[], Budget] | None = None,
        host: str = "127.0.0.1",
        port: int = 9108,
        token: str | None = None,
    ) -> None:
        self._metrics, self._health, self._clock = metrics, health, clock
        self._status = StatusReport(metrics.registry, health, clock, info, budget)
        self._host, self._token = host, token
        self._listener = Listener(host, port, setting="METRICS")
        self.taken = asyncio.Event()
        """Set once the port is ours."""
        self._guard: ConnectionGuard | None = None
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=metrics.registry)
        metrics.build_info.labels(info.version).set(1)
        for role in info.runs:
            metrics.role.labels(role).set(1)

    @property
    def port(self) -> int:
        """The port that was taken; the one asked for before that."""
        return self._listener.port

    def take_token(self, token: str | None) -> None:
        """Another token from now on.

        None is taken on loopback only: an address that others reach stays guarded until the next start gives it up.
        """
        if token is not None or is_loopback(self._host):
            self._token = token

    def prepare(self) -> None:
        """Take the port; no request is answered before ``run``.

        Raises ``AlreadyRunning`` if another marketd has it, else ``ConfigError`` naming it. Blocks for a few
        seconds where somebody has the port and must be asked.
        """
        try:
            self._take()
        except PortTaken:
            self._tell_marketd()
            raise

    async def wait_for_port(self, *, every: float = _RETRY_S) -> None:
        """Take the port as soon as it is free: who has it now is expected to leave."""
        told = False
        while not self.taken.is_set():
            try:
                self._take()
            except ConfigError as error:
                if not told:
                    log.warning("port_held", msg=str(error), retry_in=every)
                told = True
                await asyncio.sleep(every)

    def _take(self) -> None:
        self._listener.take()
        self.taken.set()

    def _tell_marketd(self) -> None:
        if who := marketd_at(self._host, self.port, token=self._token):
            raise AlreadyRunning(
                f"another marketd ({who}) has port {self.port} on {self._host}; stop it, or set another"
                " METRICS_PORT if it works on something else"
            )

    async def run(self) -> None:
        """Serve until cancelled; takes the port if ``prepare`` did not."""
        self.prepare()
        runner = web.AppRunner(self._application(), shutdown_timeout=_SHUTDOWN_S)
        await runner.setup()
        if runner.server is None:
            raise RuntimeError("setup has made it")
        guard = self._guard = ConnectionGuard(
            runner.server,
            keepalive_timeout=_KEEP_ALIVE_S,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        server = await asyncio.get_running_loop().create_server(guard.protocol, sock=self._listener.take())
        log.info("metrics_listening", msg=f"http://{self._host}:{self.port}/metrics", port=self.port)
        try:
            await guard.run()
        finally:
            server.close()
            await runner.cleanup()
            await self.close()

    async def close(self) -> None:
        """Let go of the port."""
        self._listener.close()

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self._gate], client_max_size=_MAX_LINE_BYTES)
        application.router.add_get("/metrics", self._metrics_page)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/status", self._status_page)
        application.on_response_prepare.append(_plain_headers)
        return application

    @web.middleware
    async def _gate(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if not self._may_be_called(request.headers.get("Host", "")):
                raise web.HTTPForbidden(text="not known under this name\n")
            return await handler(request)
        finally:
            if self._guard is not None:
                self._guard.completed(request)

    def _may_be_called(self, host: str) -> bool:
        """On loopback, by loopback names only; elsewhere a token guards, and names are many."""
        if not is_loopback(self._host):
            return True
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        return name == self._host or is_loopback(name)

    def _is_trusted(self, request: web.Request) -> bool:
        if self._token is None:
            return True
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        return hmac.compare_digest(given, f"Bearer {self._token}".encode())

    def _demand_trust(self, request: web.Request) -> None:
        if not self._is_trusted(request):
            raise web.HTTPUnauthorized(
                text="give the token as Authorization: Bearer\n", headers={"WWW-Authenticate": "Bearer"}
            )

    async def _metrics_page(self, request: web.Request) -> web.Response:
        self._demand_trust(request)
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._metrics.registry), headers={"Content-Type": content_type})

    async def _healthz(self, request: web.Request) -> web.Response:
        """The loop is alive: it has just answered."""
        return _json({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        reasons = self._health.not_ready_reasons(self._clock.now())
        shown = {"reasons": reasons} if self._is_trusted(request) else {}
        return _json({"ready": not reasons, **shown}, status=503 if reasons else 200)

    async def _status_page(self, request: web.Request) -> web.Response:
        self._demand_trust(request)
        return _json(self._status())


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


async def _plain_headers(request: web.Request, response: web.StreamResponse) -> None:
    """No word about what serves this, and no copy of it kept anywhere."""
    response.headers.update(_HEADERS)
