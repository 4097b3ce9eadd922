"""The role ``api``: HTTP and the live feed in the daemon's loop, on sessions of their own."""

from __future__ import annotations

from functools import partial

from starlette.types import ASGIApp

from .. import __version__
from ..adapters.timescale.alert_store import AlertStore
from ..adapters.timescale.batch_store import BatchStore
from ..adapters.timescale.sessions.reader import ReadPool
from ..adapters.timescale.sessions.role_lock import SessionLock
from ..adapters.webhooks.targets import WebhookTargets
from ..analysis.schedules import checked
from ..api.app import Access, make_app
from ..api.cache import AnswerCache
from ..api.feed.alert_watch import AlertWatch
from ..api.feed.hub import Hub
from ..api.feed.watch import CandleWatch, TaskWatch
from ..api.grpc.server import GrpcServer
from ..api.grpc.service import Market, ServiceOptions, TaskService
from ..api.limits import Limits
from ..api.origins import Origins
from ..api.parts import Parts
from ..api.security import Guard, Tokens
from ..api.server import HttpServer
from ..collectors.alerts.delivering import AlertDelivery
from ..collectors.alerts.looking import AlertLooker
from ..collectors.running.daemon import Closer, Keeper, Part
from ..collectors.running.memory_watch import Load
from ..collectors.running.role import LockKeeper
from ..config import Settings, network
from ..config.listening import Listener, PortTaken
from ..config.network import is_loopback
from ..telemetry.log import get_logger
from . import options
from .asked_from import asked_from
from .backfill_desk import BackfillDesk
from .core import Core
from .desk import WorkDesk
from .jobs import Desk, kinds
from .roles import API, Change, Role

_log = get_logger("api")


class ApiRole(Role):
    """``beside_live``: the live writer is in this process and tells the feed; otherwise the feed asks the database.

    There may be any number of these; the lock only says that the tables are up to date, and notes the run.
    """

    name = API

    def __init__(self, core: Core, *, standby: bool, leads: bool, beside_live: bool) -> None:
        self._core = core
        self._standby = standby
        settings, metrics = core.settings, core.metrics
        database = core.database(API)
        self.lock = SessionLock(database, metrics, exclusive=False)
        self.keeper: Keeper = LockKeeper(API, self.lock, waits=False, health=core.health if leads else None)
        self.reader = ReadPool(core.reading(API), metrics)
        self.work = Desk.of(settings, database, metrics, only_asks=True)
        self._kinds = kinds(core)
        schedules = checked(settings.schedules, self._kinds)
        self.desk = WorkDesk(self._kinds, self.work.queue, self.work.tasks, schedules=schedules)
        self.backfills = BackfillDesk(core)
        self.tokens = Tokens(settings.api_tokens_file)
        self.hub = Hub(core.clock, metrics)
        self.watch = TaskWatch(self.hub, self.reader)
        self.alerts = AlertStore(self.work.pool, exchange=settings.binance_ws_db_exchange)
        self.alert_watch = AlertWatch(self.hub, self.reader)
        self.targets = WebhookTargets(_targets(settings), options.plain(settings.alert_secret) or "")
        self.looker = AlertLooker(self.alerts, core.clock, metrics)
        self.delivery = AlertDelivery(self.alerts, self.targets, core.clock, metrics)
        self.candle_watch = (
            None
            if beside_live
            else CandleWatch(self.hub, self.reader, core.clock, exchange=settings.binance_ws_db_exchange)
        )
        if beside_live:
            core.committed.append(self.hub.candles)
        self.cache = AnswerCache(metrics=metrics)
        core.committed.append(self.cache.committed)
        core.changed.append(self.cache.changed)
        self._limits = Limits(
            listeners=settings.feed_clients, requests_per_minute=settings.api_requests_per_minute
        )
        core.memory.tell(Load.API, self._limits.become_short_of_memory)
        listener = Listener(settings.api_host, settings.api_port, setting="API")
        self._app: ASGIApp | None = None
        self.guard = Guard(self.tokens)
        self._parts: Parts | None = None
        self.server = HttpServer(self._made, listener, self._limits, metrics)
        grpc_listener = Listener(settings.api_host, settings.grpc_port, setting="GRPC")
        self.grpc = GrpcServer(
            self._service, grpc_listener, self.guard, self._limits, metrics, reflects=_reflects(settings)
        )

    def prepare(self) -> None:
        """Read the tokens and take the port. Raises ``ConfigError``; a standby waits for the port of the other one."""
        self.tokens.load()
        host = self._core.settings.api_host
        if not is_loopback(host):
            _log.warning(
                "api_exposed", msg=f"API_HOST={host}: other machines can use it; there is no TLS here"
            )
        for server in (self.server, self.grpc):
            try:
                server.prepare()
            except PortTaken as error:
                if not self._standby:
                    raise
                _log.warning("port_held", msg=str(error))

    def reload(self, settings: Settings) -> Change:
        """Read the tokens again, take other limits, and show other schedules."""
        take_tokens = self.tokens.read()
        schedules = checked(settings.schedules, self._kinds)

        def change() -> None:
            self._limits.requests_per_minute = settings.api_requests_per_minute
            self._limits.listeners = settings.feed_clients
            self.desk.change(schedules)
            if self.tokens.demanded:
                _log.info("tokens_read", msg="API_TOKENS_FILE was read again", tokens=take_tokens())
                # They were let in once; who has no token any more must not go on listening.
                self.server.doors.cut_listeners()

        return change

    async def open(self) -> None:
        self._made()
        await self.reader.open()
        await self.work.open()

    def collectors(self) -> list[Part]:
        loops = [
            ("api", self.server.run),
            ("grpc", self.grpc.run),
            ("feed", self.hub.run),
            ("task_watch", self.watch.run),
            ("alert_watch", self.alert_watch.run),
            ("alerts", self.looker.run),
            ("alert_delivery", self.delivery.run),
        ]
        if self.candle_watch is not None:
            loops.append(("candle_watch", self.candle_watch.run))
        return [self._core.supervised(name, run, turn=self.keeper.settled) for name, run in loops]

    def closers(self) -> list[Closer]:
        return [
            Closer("api", self.server.close),
            Closer("grpc", self.grpc.close),
            Closer("api_reader", self.reader.close),
            Closer("alert_targets", self.targets.close),
            Closer("api_backfills", self.backfills.close),
            Closer("api_work", self.work.close),
            Closer("api_lock", self.lock.close),
        ]

    async def finish_run(self) -> None:
        await self.lock.finish_run()

    def _made(self) -> ASGIApp:
        """The application, made once: some ten thousand objects that stay."""
        if self._app is None:
            self._app = self._make()
        return self._app

    def _make(self) -> ASGIApp:
        settings = self._core.settings
        origins = Origins(settings.api_allowed_hosts, settings.api_cors_origins)
        return make_app(self._joined(), Access(origins, self._limits))

    def _service(self) -> TaskService:
        settings = self._core.settings
        given = ServiceOptions(kept=_kept(settings), takes_overrides=settings.grpc_db_overrides)
        return TaskService(self._joined(), given)

    def _joined(self) -> Parts:
        """What HTTP and gRPC work with, the same for both."""
        if self._parts is None:
            core, settings = self._core, self._core.settings
            self._parts = Parts(
                reader=self.reader,
                desk=self.desk,
                batches=BatchStore(self.work.pool),
                backfills=self.backfills,
                alerts=self.alerts,
                target_names=self.targets.names,
                hub=self.hub,
                watch=self.watch,
                guard=self.guard,
                clock=core.clock,
                metrics=core.metrics,
                health=core.health,
                exchange=settings.binance_ws_db_exchange,
                version=__version__,
                asked_from=partial(asked_from, settings),
                cache=self.cache,
            )
        return self._parts


def _targets(settings: Settings) -> dict[str, str]:
    """The addresses of ``ALERT_TARGETS`` by name."""
    return network.named_endpoints(options.plain(settings.alert_targets) or "")


def _reflects(settings: Settings) -> bool:
    """``GRPC_REFLECTION``; without it where nobody but this machine asks, who needs no token either."""
    if settings.grpc_reflection is not None:
        return settings.grpc_reflection
    return is_loopback(settings.api_host) and settings.api_tokens_file is None


def _kept(settings: Settings) -> tuple[Market, str] | None:
    """The one symbol whose trades are kept, of spot before futures."""
    found: tuple[Market, tuple[str, ...]] = ("spot", settings.spot_trade_symbols)
    if not found[1]:
        found = "futures", settings.trade_symbols
    return (found[0], found[1][0]) if len(found[1]) == 1 else None
