"""The role ``jobs``: tasks that people and schedules ask for, here and on as many other machines as one likes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg_pool import AsyncConnectionPool

from .. import __version__
from ..adapters.kernels import KernelOptions, KernelPool
from ..adapters.queue import JobQueue, QueueOptions
from ..adapters.timescale.options import DatabaseOptions
from ..adapters.timescale.sessions.pool import make_pool
from ..adapters.timescale.sessions.role_lock import SessionLock
from ..adapters.timescale.task_store import TaskStore
from ..analysis import collect_binance, collect_uniswap
from ..analysis.arbitrage import jobs as arbitrage_jobs
from ..analysis.bars import jobs as bar_jobs
from ..analysis.jobs import Kind
from ..analysis.levels import jobs as level_jobs
from ..analysis.prices import jobs as price_jobs
from ..analysis.runner import Runner
from ..analysis.schedules import Scheduler, checked
from ..analysis.upkeep import Upkeep
from ..collectors.running.daemon import Closer, Keeper, Part
from ..collectors.running.role import LockKeeper
from ..config import Settings
from ..telemetry.metrics import Metrics
from .core import Core
from .levels import LevelBars
from .roles import JOBS, Change, Role
from .trades import TradeTasks
from .uniswap import SwapTasks

_SPARE_SESSIONS = 2
"""For heartbeats, schedules and whoever asks, while every task writes into its log."""
_ASKING_SESSIONS = 2
"""Of the API besides, whose alerts are looked at and delivered on them."""


def kinds(
    core: Core,
    swaps: SwapTasks | None = None,
    trades: TradeTasks | None = None,
    levels: LevelBars | None = None,
) -> Mapping[str, Kind[Any]]:
    """Every kind of task there is, by name. A new one is added here and nowhere else."""
    exchange = core.settings.binance_ws_db_exchange
    levels = levels or LevelBars(core)
    found: list[Kind[Any]] = [
        bar_jobs.kept_bars(exchange),
        bar_jobs.built_bars(exchange),
        level_jobs.kind(exchange, futures=levels.futures, spot=levels.spot),
        price_jobs.kind(takes_overrides=core.settings.grpc_db_overrides),
        arbitrage_jobs.KIND,
        collect_uniswap.kind(swaps or SwapTasks(core)),
        collect_binance.kind(trades or TradeTasks(core)),
    ]
    return {kind.name: kind for kind in found}


@dataclass(frozen=True, slots=True)
class Desk:
    """The queue and what people see of it, on one pool: for the role, and for a command that asks or looks."""

    pool: AsyncConnectionPool
    queue: JobQueue
    tasks: TaskStore

    @classmethod
    def of(
        cls, settings: Settings, database: DatabaseOptions, metrics: Metrics, *, only_asks: bool = False
    ) -> Desk:
        """``only_asks``: no tasks are worked at here."""
        works = _ASKING_SESSIONS if only_asks else settings.task_concurrency
        pool = make_pool(database, purpose=JOBS, size=works + _SPARE_SESSIONS)
        return cls(pool, JobQueue(pool, metrics, QueueOptions(settings.task_concurrency)), TaskStore(pool))

    async def open(self) -> None:
        """Make the pool, which connects when it is first used."""
        await self.pool.open()
        await self.queue.open()

    async def close(self) -> None:
        await self.pool.close()


class JobsRole(Role):
    """A worker of the queue with its kernel processes, and whoever asks for what is due."""

    name = JOBS

    def __init__(self, core: Core, *, leads: bool) -> None:
        self._core = core
        settings, metrics, clock = core.settings, core.metrics, core.clock
        database = core.database(JOBS)
        self.lock = SessionLock(database, metrics, exclusive=False)
        self.keeper: Keeper = LockKeeper(JOBS, self.lock, waits=False, health=core.health if leads else None)
        self.desk = Desk.of(settings, database, metrics)
        self.kernels = KernelPool(
            KernelOptions(settings.kernel_processes, memory_mb=settings.kernel_memory_mb), database
        )
        self.swaps = SwapTasks(core)
        self.trades = TradeTasks(core)
        self.levels = LevelBars(core)
        known = kinds(core, self.swaps, self.trades, self.levels)
        self.runner = Runner(known, self.desk.tasks, self.kernels, clock, metrics, version=__version__)
        self.scheduler = Scheduler(
            checked(settings.schedules, known),
            known,
            self.desk.queue,
            clock,
            metrics,
            after=core.clock_sync.ready,
        )
        self._known = known
        self.upkeep = Upkeep(self.desk.queue, self.desk.tasks, clock, days=settings.task_days)

    def reload(self, settings: Settings) -> Change:
        """Keep to other schedules."""
        schedules = checked(settings.schedules, self._known)
        return lambda: self.scheduler.change(schedules)

    async def open(self) -> None:
        await self.desk.open()

    def collectors(self) -> list[Part]:
        loops = [
            ("tasks", self._work),
            ("schedules", self.scheduler.run),
            ("upkeep", self.upkeep.run),
        ]
        return [self._core.supervised(name, work, turn=self.keeper.settled) for name, work in loops]

    def closers(self) -> list[Closer]:
        return [
            Closer("kernels", self.kernels.close),
            Closer("swap_tasks", self.swaps.close),
            Closer("trade_tasks", self.trades.close),
            Closer("level_bars", self.levels.close),
            Closer("jobs", self.desk.close),
            Closer("jobs_lock", self.lock.close),
        ]

    async def finish_run(self) -> None:
        await self.lock.finish_run()

    async def _work(self) -> None:
        await self.desk.queue.work(self.runner.do)
