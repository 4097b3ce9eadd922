"""The role ``backfill``: listings, ledger and patrol, what people ask to be filled, verification, retention."""

from __future__ import annotations

from ..adapters.timescale.history.expiry import Expiry
from ..adapters.timescale.sessions.role_lock import SessionLock
from ..collectors.backfill.scope import UNSETTLED_MS, fill_since
from ..collectors.repair.gaps import LOOKBACK_MS
from ..collectors.retention import Retention
from ..collectors.running.daemon import Closer, Keeper, Part
from ..collectors.running.role import LockKeeper
from ..model import MINUTE_MS
from .core import Core
from .history import History
from .roles import BACKFILL, Role

_BESIDE_LIVE_MS = LOOKBACK_MS - 60 * MINUTE_MS
"""The live role looks 24 h 57 min back from when it looks. The two overlap by an hour, so that no minute falls between
them whenever each of them looks."""


class BackfillRole(Role):
    """With the live role in the same process (``beside_live``) the last day is that one's, and a lock that
    ``marketd backfill`` holds is waited for; alone it takes everything that is settled."""

    name = BACKFILL

    def __init__(self, core: Core, *, standby: bool, leads: bool, beside_live: bool) -> None:
        self._core = core
        settings, metrics = core.settings, core.metrics
        database = core.database(BACKFILL)
        self.lock = SessionLock(database, metrics)
        self.keeper: Keeper = LockKeeper(
            BACKFILL, self.lock, waits=standby or not leads, health=core.health if leads else None
        )
        self.history = History(core, recent_ms=_BESIDE_LIVE_MS if beside_live else UNSETTLED_MS)
        self.retention = Retention(
            Expiry(database, metrics),
            core.clock,
            metrics,
            retention_days=settings.retention_days,
            chunk_days=settings.chunk_days,
            ready=self.history.keeper.ready,
            asked_from=lambda now_ms: fill_since(settings.backfill_from, now_ms),
        )

    async def open(self) -> None:
        await self.history.archive.open()

    def collectors(self) -> list[Part]:
        history, turn = self.history, self.keeper.settled
        loops = [
            ("instruments", history.keeper.run),
            ("patrol", history.patrol.run),
            ("requests", history.server.run),
            ("retention", self.retention.run),
        ]
        if self._core.settings.verify_archive:
            loops.append(("verify", history.verifier.run))
        return [self._core.supervised(name, run, turn=turn) for name, run in loops]

    def closers(self) -> list[Closer]:
        return [*self.history.closers(), Closer("backfill_lock", self.lock.close)]

    async def finish_run(self) -> None:
        await self.lock.finish_run()
