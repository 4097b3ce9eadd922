"""The composition root: the one place that knows every class, and joins them as the settings say."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from .. import __version__
from ..adapters.metrics import MetricsServer
from ..adapters.service_manager import SystemdManager
from ..adapters.status import RunInfo
from ..collectors.listings.instruments import METRICS_FROM_MS
from ..collectors.live.buffer import CandleBuffer
from ..collectors.running.daemon import Closer, Daemon, Part, Summary
from ..collectors.running.memory_watch import Load
from ..collectors.running.role import LockKeeper
from ..collectors.running.turn import Turn
from ..collectors.running.watchdog import Watchdog, status_line
from ..config import Settings
from ..errors import AlreadyRunning
from ..model import Dataset
from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics
from ..telemetry.pulse import follow_tasks
from .backfill import BackfillRole
from .core import Core
from .jobs import JobsRole
from .listings import ListingsOnly
from .live import LiveRole
from .metrics import MetricsRole
from .options import plain
from .reloading import Reloading
from .roles import API, BACKFILL, JOBS, METRICS, SHARED, TRADES, UNISWAP, WS, Leading, Role
from .trades import TradesRole
from .uniswap import UniswapRole

_log = get_logger("main")

RUN_FILE = "MARKETD_RUN_FILE"
"""Environment: a file to write "pid port" into as soon as the daemon is up; for whoever started it.

The port is 0 while a standby is without it, because the marketd it waits for has it.
"""


class Application:
    """One daemon. Constructing joins the parts, ``prepare`` takes the port, ``run`` does all other I/O.

    ``roles`` are what it does, at least one of ``ROLES``; the first of them leads: its lock decides whether
    this process or another one works. ``read`` gives the settings as they are written by then, for a reload.
    """

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        *,
        roles: Sequence[str],
        run_id: str,
        standby: bool,
        read: Callable[[], Settings],
        configure_logs: Callable[[Settings], None],
    ) -> None:
        self.settings = settings
        self.metrics = metrics
        self._standby = standby
        self.core = Core(settings, metrics, run_id=run_id)
        self.core.health.expects_candles = WS in roles
        if METRICS in roles:
            self.core.followed[Dataset.METRICS] = METRICS_FROM_MS
        self.buffer = CandleBuffer(self.core.clock, metrics, capacity=settings.buffer_rows)
        self.core.memory.tell(Load.BUFFER, self.buffer.hold)
        self.roles = self._roles(roles)
        self.lead = self.roles[0]
        for role in self.roles[1:]:
            if role.name not in SHARED and isinstance(role.keeper, LockKeeper):
                role.keeper.follow(self.lead.keeper.settled)
        self.leading = Leading(self.roles)
        # What is due is only known in the ledger if somebody follows the listings there.
        collects = not {WS, METRICS, BACKFILL}.isdisjoint(roles)
        self.listings = ListingsOnly(self.core) if collects and BACKFILL not in roles else None
        # Whoever only answers questions has none for the venue, on whose budget others live.
        self._asks_venue = any(role.name != API for role in self.roles)
        self.server = self._server(run_id)
        self._manager = SystemdManager(os.environ, metrics)
        self.reloading = Reloading(
            self.core, self.roles, self.server, read=read, configure_logs=configure_logs
        )

    def prepare(self) -> None:
        """Take the ports, before the venue or the database is touched.

        Raises ``ConfigError``, or ``AlreadyRunning`` if another marketd has it; a standby goes on without.
        """
        self.settings.check()
        try:
            self.server.prepare()
        except AlreadyRunning as error:
            if not self._standby:
                raise
            _log.warning("port_held", msg=str(error))
        for role in self.roles:
            role.prepare()

    async def run(self, stop: asyncio.Event) -> Summary:
        """Run until ``stop`` is set. Raises ``ConfigError`` or ``AlreadyRunning`` before anything is collected."""
        follow_tasks(asyncio.get_running_loop())
        await self.core.rest.open()
        with ExitStack() as listeners:
            for role in self.roles:
                await role.open()
                listeners.enter_context(role.listening())
            _keep_what_is_loaded()
            return await self._daemon(stop).run(stop)

    def _roles(self, names: Sequence[str]) -> list[Role]:
        made: list[Role] = []
        if WS in names:
            made.append(LiveRole(self.core, self.buffer, standby=self._standby))
        if METRICS in names:
            made.append(MetricsRole(self.core, standby=self._standby, leads=not made))
        if BACKFILL in names:
            made.append(
                BackfillRole(self.core, standby=self._standby, leads=not made, beside_live=WS in names)
            )
        if TRADES in names:
            made.append(TradesRole(self.core, standby=self._standby, leads=not made))
        if UNISWAP in names:
            made.append(UniswapRole(self.core, standby=self._standby, leads=not made))
        if JOBS in names:
            made.append(JobsRole(self.core, leads=not made))
        if API in names:
            # What serves is only loaded where it is asked for: some 25 MB.
            from .api import ApiRole

            made.append(ApiRole(self.core, standby=self._standby, leads=not made, beside_live=WS in names))
        return made

    def _server(self, run_id: str) -> MetricsServer:
        return MetricsServer(
            self.metrics,
            self.core.health,
            self.core.clock,
            RunInfo(run_id, __version__, time.time(), tuple(role.name for role in self.roles)),
            budget=self.core.budgets.fapi.view,
            host=self.settings.metrics_host,
            port=self.settings.metrics_port,
            token=plain(self.settings.metrics_token),
        )

    def _watchdog(self) -> Watchdog:
        return Watchdog(
            self._manager,
            [self.leading.pulse, *(pulse for pulse, _ in self.core.pulses)],
            self.metrics,
            is_up=self._is_up,
            status=lambda: status_line(
                self.core.health,
                self.core.clock.now(),
                roles=[role.name for role in self.roles],
                leads=self.lead.keeper.settled.is_set(),
            ),
        )

    def _is_up(self) -> bool:
        """The lock is ours (or the database is away and nobody can say), and every collector whose turn it is runs.

        A standby is up while it waits: whoever starts it has nothing more to wait for.
        """
        if not self.lead.keeper.settled.is_set():
            return self._standby
        turns = ((pulse, turn or self.lead.keeper.settled) for pulse, turn in self.core.pulses)
        return all(pulse.runs or not turn.is_set() for pulse, turn in turns)

    def _clock_turn(self) -> Turn | None:
        """A standby works at tasks while another instance leads, and some of them wait for the venue's time."""
        if not self._standby:
            return None
        return next((role.keeper.settled for role in self.roles if role.name == JOBS), None)

    def _daemon(self, stop: asyncio.Event) -> Daemon:
        others = self.roles[1:]
        listings = self.listings
        collectors = [
            *(self.core.collectors(self._clock_turn()) if self._asks_venue else ()),
            *(listings.collectors() if listings else ()),
            *(part for role in self.roles for part in role.collectors()),
        ]
        watchdog = self._watchdog()
        return Daemon(
            self.buffer,
            self.leading,
            self.core.health,
            collectors=collectors,
            services=[
                Part("http", self._serve),
                Part("loop_lag", self.core.loop_lag.run),
                Part("memory", self.core.memory.run),
                Part("budgets", self.core.budgets.run),
                Part("watchdog", lambda: watchdog.run(stop)),
                Part("announce", self._announce),
                Part("reload", self.reloading.run),
                *(Part(f"{role.name}_lock", role.keeper.run) for role in others),
            ],
            closers=[
                Closer("run", lambda: self._finish_run(stop)),
                *(closer for role in self.roles for closer in role.closers()),
                *(listings.closers() if listings else ()),
                *self.core.closers(),
                Closer("http", self.server.close),
            ],
        )

    async def _serve(self) -> None:
        if not self.server.taken.is_set():
            # A standby beside the marketd it waits for: the port is asked for again once the lock is ours.
            await self.lead.keeper.settled.wait()
            await self.server.wait_for_port()
        await self.server.run()

    async def _announce(self) -> None:
        """Tell whoever started us, when it asked to be told; waiting for a lock counts as being up."""
        path = os.environ.get(RUN_FILE)
        if not path:
            return
        if not self._standby:
            await self.lead.keeper.settled.wait()
        if not self.server.taken.is_set():
            await asyncio.to_thread(_write_run_file, Path(path), 0)
            await self.server.taken.wait()
        await asyncio.to_thread(_write_run_file, Path(path), self.server.port)

    async def _finish_run(self, stop: asyncio.Event) -> None:
        # A run that an error ended was not asked to stop, and must not look like a clean one at the next start.
        if stop.is_set():
            for role in self.roles:
                await role.finish_run()


def _keep_what_is_loaded() -> None:
    """Take all that stays for good out of the search for garbage, which holds the loop up for as long as it looks.

    Modules are half of what there is; going through them takes a third of a second, some ten times a minute. Rows
    are no garbage that must be searched for either, so old objects are looked through seldom, and new ones a few at
    a time: going through 10,000 took 10 ms and more, through 200,000 of the next age 50. Seldom is every 5 million new
    ones, not ten times that: so much is the most that cycles of a library can hold until they are found.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(2_000, 10, 250)


def _write_run_file(path: Path, port: int) -> None:
    """In one step: a reader sees the old file or the new one. A full disk is no reason not to collect."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(f"{os.getpid()} {port}\n", encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        _log.error("run_file_unwritten", msg=f"{RUN_FILE}={path}: {error.strerror or error}")
