"""The composition root: the one place that knows every class, and joins them as the settings say."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

from pydantic import SecretStr

from . import __version__
from .adapters.binance.rest import BinanceRest, RestOptions
from .adapters.binance.stream import BinanceStream
from .adapters.binance.stream_options import StreamOptions
from .adapters.metrics import MetricsServer
from .adapters.rate_limiter import RateLimiter
from .adapters.status import RunInfo
from .adapters.timescale.holes import HoleSearch
from .adapters.timescale.options import DatabaseOptions
from .adapters.timescale.store import CandleStore
from .clock import VenueClock
from .collectors.attendance import Attendance
from .collectors.buffer import CandleBuffer
from .collectors.clock_sync import ClockSync
from .collectors.daemon import Closer, Daemon, Part, Summary
from .collectors.gaps import HoleRepair
from .collectors.gate import CandleGate
from .collectors.loop_lag import LoopLag
from .collectors.roll_call import RollCall
from .collectors.selection import Selection
from .collectors.supervisor import Supervisor
from .collectors.symbol_gauge import SymbolGauge
from .collectors.universe import Universe
from .collectors.writer import Writer
from .collectors.ws import LiveCollector
from .config import Settings
from .errors import AlreadyRunning
from .ports import CandleSink
from .telemetry.health import Health
from .telemetry.log import get_logger
from .telemetry.metrics import Metrics

_log = get_logger("main")

ROLE = "ws"
"""What this version's daemon does; one lock and one row in ``daemon_runs`` each."""
RUN_FILE = "MARKETD_RUN_FILE"
"""Environment: a file to write "pid port" into as soon as the daemon is up; for whoever started it.

The port is 0 while a standby is without it, because the marketd it waits for has it.
"""


class Application:
    """One daemon. Constructing joins the parts, ``prepare`` takes the port, ``run`` does all other I/O."""

    def __init__(self, settings: Settings, metrics: Metrics, *, run_id: str, standby: bool) -> None:
        self.settings = settings
        self.metrics = metrics
        self.health = Health()
        self.clock = VenueClock(speed=settings.speed)
        self.limiter = RateLimiter(self.clock, metrics, limit=settings.rate_limit_per_minute)
        self.rest = BinanceRest(rest_options(settings), self.limiter, self.clock, metrics)
        database = database_options(settings, run_id)
        self.store = CandleStore(database, metrics)
        self.holes = HoleSearch(database, metrics)
        self._standby = standby
        self._join()
        self.server = self._server(run_id)

    def prepare(self) -> None:
        """Take the port, before the venue or the database is touched.

        Raises ``ConfigError``, or ``AlreadyRunning`` if another marketd has it; a standby goes on without.
        """
        self.settings.check()
        try:
            self.server.prepare()
        except AlreadyRunning as error:
            if not self._standby:
                raise
            _log.warning("port_held", msg=str(error))

    async def run(self, stop: asyncio.Event) -> Summary:
        """Run until ``stop`` is set. Raises ``ConfigError`` or ``AlreadyRunning`` before anything is collected."""
        await self.rest.open()
        with ExitStack() as listeners:
            if self._symbol_gauge is not None:
                listeners.enter_context(self.universe.telling(self._symbol_gauge.keep))
            return await self._daemon(stop).run(stop)

    def _join(self) -> None:
        """The graph of collectors; handlers are joined late, because stream, gate and repair know each other."""
        clock, metrics, settings = self.clock, self.metrics, self.settings
        self.buffer = CandleBuffer(clock, metrics, capacity=settings.buffer_rows)
        self.attendance = Attendance(clock)
        self.clock_sync = ClockSync(self.rest, clock, metrics, on_jump=lambda: self.repair.trigger("clock"))
        self.universe = Universe(self.rest, clock, metrics, selection(settings), after=self.clock_sync.ready)
        self.gate = CandleGate(
            self.universe, self.attendance, self.buffer, clock, metrics, on_early=self.clock_sync.poke
        )
        self.repair = HoleRepair(
            self.holes,
            self.rest,
            self.gate,
            self.buffer,
            self.universe,
            clock,
            metrics,
            interval=settings.binance_ws_gap_interval,
        )
        self.stream = BinanceStream(
            stream_options(settings),
            clock,
            metrics,
            on_candle=self.gate.live,
            on_contract=self.universe.on_change,
        )
        self.roll_call = RollCall(
            self.rest, self.stream, self.gate, self.attendance, self.universe, self.repair, clock, metrics
        )
        self.writer = Writer(
            self.buffer,
            self._sink(),
            clock,
            metrics,
            self.health,
            window=settings.flush_interval,
            standby=self._standby,
            on_recovered=lambda: self.repair.trigger("database"),
        )
        self.loop_lag = LoopLag(clock, metrics, self.health, on_suspended=self._on_suspended)

    def _sink(self) -> CandleSink:
        self._symbol_gauge = None
        if not self.settings.symbol_metric:
            return self.store
        self._symbol_gauge = SymbolGauge(self.store, self.metrics.enable_symbol_gauge())
        return self._symbol_gauge

    def _server(self, run_id: str) -> MetricsServer:
        return MetricsServer(
            self.metrics,
            self.health,
            self.clock,
            RunInfo(run_id, __version__, time.time(), (ROLE,)),
            budget=self.limiter.view,
            host=self.settings.metrics_host,
            port=self.settings.metrics_port,
            token=plain(self.settings.metrics_token),
        )

    def _daemon(self, stop: asyncio.Event) -> Daemon:
        live = LiveCollector(self.stream, self.universe)
        return Daemon(
            self.buffer,
            self.writer,
            self.health,
            collectors=[
                self._supervised("clock_sync", self.clock_sync.run),
                self._supervised("universe", self.universe.run),
                self._supervised("ws", live.run, progress=lambda: self.attendance.live_rows),
                self._supervised("roll_call", self.roll_call.run),
                self._supervised("repair", self.repair.run),
            ],
            services=[
                Part("http", self._serve),
                Part("loop_lag", self.loop_lag.run),
                Part("announce", self._announce),
            ],
            closers=[
                Closer("run", lambda: self._finish_run(stop)),
                Closer("database", self.store.close),
                Closer("holes", self.holes.close),
                Closer("rest", self.rest.close),
                Closer("http", self.server.close),
            ],
        )

    def _supervised(
        self, name: str, work: Callable[[], Awaitable[None]], *, progress: Callable[[], int] = int
    ) -> Part:
        return Part(name, Supervisor(name, work, self.metrics, progress=progress).run)

    def _on_suspended(self) -> None:
        self.clock_sync.poke()
        self.repair.trigger("suspended")

    async def _serve(self) -> None:
        if not self.server.taken.is_set():
            # A standby beside the marketd it waits for: the port is asked for again once the lock is ours.
            await self.writer.settled.wait()
            await self.server.wait_for_port()
        await self.server.run()

    async def _announce(self) -> None:
        """Tell whoever started us, when it asked to be told; waiting for a lock counts as being up."""
        path = os.environ.get(RUN_FILE)
        if not path:
            return
        if not self._standby:
            await self.writer.settled.wait()
        if not self.server.taken.is_set():
            await asyncio.to_thread(_write_whole, Path(path), f"{os.getpid()} 0\n")
            await self.server.taken.wait()
        await asyncio.to_thread(_write_whole, Path(path), f"{os.getpid()} {self.server.port}\n")

    async def _finish_run(self, stop: asyncio.Event) -> None:
        # A run that an error ended was not asked to stop, and must not look like a clean one at the next start.
        if stop.is_set() and self.store.is_open:
            await self.store.finish_run()


def _write_whole(path: Path, text: str) -> None:
    """Write in one step: a reader sees the old file or the new one."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def plain(secret: SecretStr | None) -> str | None:
    """The value behind the mask."""
    return None if secret is None else secret.get_secret_value()


def rest_options(settings: Settings) -> RestOptions:
    """How to ask the venue."""
    return RestOptions(base_url=settings.binance_rest_url, proxy=plain(settings.http_proxy))


def stream_options(settings: Settings) -> StreamOptions:
    """How to listen to the venue."""
    return StreamOptions(
        url=settings.binance_ws_url,
        proxy=plain(settings.http_proxy),
        streams_per_connection=settings.streams_per_connection,
        source=settings.binance_ws_source,
    )


def database_options(settings: Settings, run_id: str) -> DatabaseOptions:
    """How to reach the database as the daemon. ``DATABASE_URL`` must be set."""
    return DatabaseOptions(
        url=plain(settings.database_url) or "",
        schema=settings.kline_db_schema,
        exchange=settings.binance_ws_db_exchange,
        role=ROLE,
        run_id=run_id,
        version=__version__,
    )


def selection(settings: Settings) -> Selection:
    """Which instruments are collected."""
    return Selection(
        contract_types=frozenset(settings.contract_types),
        include=settings.symbols,
        exclude=settings.exclude_symbols,
    )
