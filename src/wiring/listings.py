"""Listing intervals and what the ledger expects, for a daemon without history."""

from __future__ import annotations

from ..adapters.timescale.instruments import InstrumentStore
from ..adapters.timescale.ledger.ledger import CoverageStore
from ..adapters.timescale.sessions.shared import SharedSession
from ..collectors.listings.instruments import InstrumentKeeper
from ..collectors.running.daemon import Closer, Part
from .core import Core
from .roles import BACKFILL


class ListingsOnly:
    """Without the archive: whoever was delisted before we looked is the backfill role's."""

    def __init__(self, core: Core) -> None:
        self._core = core
        database = core.database(BACKFILL)
        self.session = SharedSession(database, purpose="ledger", metrics=core.metrics)
        self.keeper = InstrumentKeeper(
            core.universe,
            core.selection,
            InstrumentStore(self.session),
            CoverageStore(self.session),
            core.clock,
            core.metrics,
            datasets=core.followed,
            ready=core.ledger_ready,
        )

    def collectors(self) -> list[Part]:
        return [self._core.supervised("instruments", self.keeper.run)]

    def closers(self) -> list[Closer]:
        return [Closer("ledger", self.session.close)]
