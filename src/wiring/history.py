"""The past: listings, ledger, archive, importer and whoever fills; for the daemon and for ``marketd backfill``."""

from __future__ import annotations

from pathlib import Path

from ..adapters.binance.archive.client import BinanceArchive
from ..adapters.binance.archive.paths import BinanceLayout
from ..adapters.timescale.candles.repair import RepairStore
from ..adapters.timescale.history.archive_notes import ArchiveNoteStore
from ..adapters.timescale.history.backfill_requests import BackfillRequestStore
from ..adapters.timescale.importing.importer import FILES_EACH, ArchiveImports, ImporterOptions
from ..adapters.timescale.instruments import InstrumentStore
from ..adapters.timescale.ledger.audit import LedgerAudit
from ..adapters.timescale.ledger.ledger import CoverageStore
from ..adapters.timescale.ledger.notes import CoverageNoteStore
from ..adapters.timescale.sessions.shared import SharedSession
from ..collectors.backfill.absent import AbsentWork
from ..collectors.backfill.announce import Announcement
from ..collectors.backfill.campaign import Campaign
from ..collectors.backfill.engine import Engine
from ..collectors.backfill.files import FileWork
from ..collectors.backfill.folder import DownloadFolder
from ..collectors.backfill.patrol import Patrol
from ..collectors.backfill.requests import RequestWork
from ..collectors.backfill.scope import fill_since
from ..collectors.backfill.serve import RequestServer
from ..collectors.backfill.survey import Survey
from ..collectors.backfill.verify import Verifier
from ..collectors.listings.archive import ArchiveListings
from ..collectors.listings.instruments import InstrumentKeeper
from ..collectors.retention import fill_from
from ..collectors.running.daemon import Closer
from ..collectors.running.memory_watch import Load
from ..model import Dataset
from .core import Core
from .options import archive_options
from .roles import BACKFILL

_COUNTED = (Dataset.CANDLES, Dataset.METRICS, Dataset.FUNDING)
"""What has lines in the ledger, whose counts may be wrong."""


class History:
    """All of it, joined and not opened. ``recent_ms``: how far back from now the minutes are somebody else's.

    The loops are ``keeper``, ``patrol``, ``server`` and ``verifier``; each has ``run()``.
    """

    def __init__(self, core: Core, *, recent_ms: int, workers: int | None = None) -> None:
        settings, metrics, clock = core.settings, core.metrics, core.clock
        self._core = core
        self.workers = workers or settings.backfill_workers
        database = core.database(BACKFILL)
        self.ledger_session = SharedSession(database, purpose="ledger", metrics=metrics)
        self.repair_session = SharedSession(database, purpose="history", metrics=metrics)
        self.listings = InstrumentStore(self.ledger_session)
        self.ledger = CoverageStore(self.ledger_session)
        self.requests = BackfillRequestStore(self.ledger_session)
        self.archive = BinanceArchive(
            archive_options(settings),
            core.budgets.archive,
            clock,
            metrics,
        )
        self.importer = ArchiveImports(
            database, ImporterOptions(workers=self.workers), metrics, core.tell_changed
        )
        self.keeper = InstrumentKeeper(
            core.universe,
            core.selection,
            self.listings,
            self.ledger,
            clock,
            metrics,
            datasets=core.followed,
            ready=core.ledger_ready,
            archive=ArchiveListings(self.archive, self.listings, core.selection),
            on_change=lambda: self.patrol.trigger(),
        )
        self._join_filling(recent_ms)

    def _join_filling(self, recent_ms: int) -> None:
        core = self._core
        settings, metrics, clock = core.settings, core.metrics, core.clock
        layout, interval = BinanceLayout(), settings.binance_ws_gap_interval
        notes = CoverageNoteStore(self.ledger_session)
        files = ArchiveNoteStore(self.ledger_session)
        folder = DownloadFolder(Path(settings.archive_folder))
        self.file_work = FileWork(
            # Two files to a process: one is read while the server takes the other.
            self.archive,
            self.importer,
            files,
            folder,
            clock,
            metrics,
            workers=self.workers * FILES_EACH,
            memory_short=lambda: core.memory.sheds(Load.HISTORY),
        )
        engine = Engine(
            self.file_work,
            RequestWork(
                core.rest, RepairStore(self.repair_session, core.tell_changed), notes, clock, metrics
            ),
            metrics,
        )
        survey = Survey(self.ledger, self.listings, files, layout, clock)
        self.campaign = Campaign(survey, engine, metrics)
        self.patrol = Patrol(
            self.campaign,
            notes,
            LedgerAudit(self.ledger, self.ledger_session, metrics, _COUNTED),
            AbsentWork(notes, files, engine, floor=self.floor),
            core.selection,
            clock,
            metrics,
            since=self.since,
            recent_ms=recent_ms,
            interval=interval,
            ready=self.keeper.ready,
            announcement=Announcement(
                self.campaign, weight_per_minute=settings.rate_limit_per_minute, workers=self.workers
            ),
        )
        self.server = RequestServer(
            self.requests,
            self.campaign,
            core.selection,
            clock,
            floor=self.floor,
            ready=self.keeper.ready,
        )
        self.verifier = Verifier(
            self.campaign,
            self.file_work,
            self.archive,
            files,
            files,
            self.listings,
            layout,
            core.selection,
            clock,
            metrics,
            floor=self.floor,
            interval=interval,
            ready=self.keeper.ready,
        )

    def floor(self, now_ms: int) -> int:
        """The first instant that retention keeps."""
        settings = self._core.settings
        return fill_from(now_ms, settings.retention_days, settings.chunk_days)

    def since(self, now_ms: int) -> int:
        """The first instant that the daemon fills by itself: BACKFILL_FROM, and nothing that retention drops."""
        return max(fill_since(self._core.settings.backfill_from, now_ms), self.floor(now_ms))

    async def learn(self) -> None:
        """Record the venue's contracts and the archive's folders, once, where no keeper runs.

        Raises ``Retryable`` of the venue or the database, or ``Misconfigured``.
        """
        core = self._core
        core.universe.adopt(await core.rest.instruments(), core.clock.now_ms())
        await self.keeper.look()

    def closers(self) -> list[Closer]:
        """What is to be closed in the end, in this order."""
        return [
            Closer("importer", self.importer.close),
            Closer("archive", self.archive.close),
            Closer("ledger", self.ledger_session.close),
            Closer("history", self.repair_session.close),
        ]
