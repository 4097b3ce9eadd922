"""The role ``metrics``: five series of futures metrics every 5 min, funding rates, and the list of Alpha tokens."""

from __future__ import annotations

from pathlib import Path

from ..adapters.binance.alpha import AlphaList
from ..adapters.binance.archive.client import BinanceArchive
from ..adapters.binance.archive.paths import BinanceLayout
from ..adapters.binance.archive.small_files import SmallFileReader
from ..adapters.binance.rest.metrics import MetricsRest
from ..adapters.timescale.alpha_store import AlphaStore
from ..adapters.timescale.history.archive_notes import ArchiveNoteStore
from ..adapters.timescale.instruments import InstrumentStore
from ..adapters.timescale.ledger.ledger import CoverageStore
from ..adapters.timescale.ledger.notes import CoverageNoteStore
from ..adapters.timescale.metrics.funding import FundingStore
from ..adapters.timescale.metrics.store import MetricStore
from ..adapters.timescale.sessions.role_lock import SessionLock
from ..adapters.timescale.sessions.shared import SharedSession
from ..collectors.listings.alpha import AlphaKeeper
from ..collectors.metrics.funding import FundingCollector, FundingFiles
from ..collectors.metrics.history import HistoryParts, MetricHistory
from ..collectors.metrics.sweep import MetricsSweep
from ..collectors.running.daemon import Closer, Keeper, Part
from ..collectors.running.role import LockKeeper
from ..model import Dataset, Listing
from . import options
from .asked_from import asked_from
from .core import Core
from .roles import METRICS, Role


class MetricsRole(Role):
    """One session for all of it: its transactions are short, and none is in a hurry."""

    name = METRICS

    def __init__(self, core: Core, *, standby: bool, leads: bool) -> None:
        self._core = core
        settings, metrics, clock = core.settings, core.metrics, core.clock
        database = core.database(METRICS)
        self.lock = SessionLock(database, metrics)
        self.keeper: Keeper = LockKeeper(
            METRICS, self.lock, waits=standby, health=core.health if leads else None
        )
        self.session = SharedSession(database, purpose="series", metrics=metrics)
        self.rest = MetricsRest(
            options.rest_options(settings), core.budgets.futures_data, core.budgets.funding, clock, metrics
        )
        self.archive = BinanceArchive(options.archive_options(settings), core.budgets.archive, clock, metrics)
        ready = core.universe.ready
        told = core.tell_changed
        sink, funding = MetricStore(self.session, told), FundingStore(self.session, told)
        layout, files, folder = BinanceLayout(), SmallFileReader(), Path(settings.archive_folder)
        self.names, self.listings = ArchiveNoteStore(self.session), InstrumentStore(self.session)
        self.sweep = MetricsSweep(self.rest, sink, core.universe, clock, metrics, ready=ready)
        self.history = MetricHistory(
            HistoryParts(
                self.archive,
                layout,
                files,
                self.rest,
                sink,
                sink,
                CoverageStore(self.session),
                CoverageNoteStore(self.session),
                self.names,
                self.listings,
            ),
            clock,
            metrics,
            folder=folder,
            since=self.since,
            # Before the ledger follows no day is due, and before somebody is stored nothing can be compared.
            after=(core.ledger_ready, self.sweep.valued),
        )
        self.funding = FundingCollector(
            self.rest,
            funding,
            core.universe,
            clock,
            metrics,
            since=self.funding_since,
            files=FundingFiles(self.archive, layout, files, folder, self.contracts),
            ready=ready,
        )
        self.alpha = AlphaKeeper(
            AlphaList(settings.binance_alpha_url, clock, metrics, proxy=options.plain(settings.http_proxy)),
            AlphaStore(self.session),
            clock,
            metrics,
            ready=ready,
        )

    def since(self, now_ms: int) -> int:
        """The first instant of metrics that is filled; that of funding is another, the archive has more of it."""
        return asked_from(self._core.settings, Dataset.METRICS, now_ms)

    def funding_since(self, now_ms: int) -> int:
        return asked_from(self._core.settings, Dataset.FUNDING, now_ms)

    async def contracts(self) -> list[tuple[Listing, str]]:
        """The listings that SYMBOLS admits, those that have ended too, each with the archive's folder."""
        folders = await self.names.folders()
        return [
            (item, folders.get((item.symbol, item.onboard_ms), item.symbol))
            for item in await self.listings.listings()
            if self._core.selection.admits_name(item.symbol)
        ]

    async def open(self) -> None:
        await self.rest.open()
        await self.archive.open()

    def collectors(self) -> list[Part]:
        supervised, turn = self._core.supervised, self.keeper.settled
        return [
            supervised("metrics", self.sweep.run, progress=lambda: self.sweep.rows, turn=turn),
            supervised("metrics_history", self.history.run, progress=lambda: self.history.rows, turn=turn),
            supervised("funding", self.funding.run, turn=turn),
            supervised("alpha", self.alpha.run, turn=turn),
        ]

    def closers(self) -> list[Closer]:
        return [
            Closer("metrics_rest", self.rest.close),
            Closer("metrics_archive", self.archive.close),
            Closer("metrics_session", self.session.close),
            Closer("metrics_lock", self.lock.close),
        ]

    async def finish_run(self) -> None:
        await self.lock.finish_run()
