"""The desk at which the API asks for history: planned from the ledger, done by whoever has the role ``backfill``."""

from __future__ import annotations

import asyncio
from dataclasses import asdict

from ..adapters.binance.archive.paths import BinanceLayout
from ..adapters.timescale.history.archive_notes import ArchiveNoteStore
from ..adapters.timescale.history.backfill_requests import BackfillRequestStore
from ..adapters.timescale.instruments import InstrumentStore
from ..adapters.timescale.ledger.ledger import CoverageStore
from ..adapters.timescale.sessions.shared import SharedSession
from ..collectors.backfill.estimate import Estimate, add_up, estimate
from ..collectors.backfill.plan import Source, Tried
from ..collectors.backfill.scope import UNSETTLED_MS, Scope
from ..collectors.backfill.survey import Survey
from ..collectors.retention import refuse_older
from ..errors import BadFields, ConfigError, QueueFull
from ..model import BackfillRequest, floor_minute
from ..ports.work import BackfillCost
from .core import Core
from .roles import API

MOST_OPEN = 20
"""Requests that wait or run: each may be years of everything."""
_AGAIN_S = 30.0


class BackfillDesk:
    """``ports.work.Backfills`` on a session of its own, which the first call opens."""

    def __init__(self, core: Core) -> None:
        self._core = core
        database = core.database(API)
        self._session = SharedSession(database, purpose="backfills", metrics=core.metrics)
        self._requests = BackfillRequestStore(self._session)
        self._survey = Survey(
            CoverageStore(self._session),
            InstrumentStore(self._session),
            ArchiveNoteStore(self._session),
            BinanceLayout(),
            core.clock,
        )
        self._planning = asyncio.Lock()
        self._asking = asyncio.Lock()

    async def close(self) -> None:
        await self._session.close()

    async def estimate(self, wanted: BackfillRequest) -> BackfillCost:
        """See ``ports.work.Backfills``; one at a time, since the ledger of years is much to read."""
        scope = self._scope(wanted)
        if self._planning.locked():
            raise QueueFull("another estimate is being made", reason="estimating", retry_after=_AGAIN_S)
        settings = self._core.settings
        weight_per_minute, workers = settings.rate_limit_per_minute, settings.backfill_workers
        async with self._planning:
            listings = await self._survey.listings(scope)
            costs: list[Estimate] = []
            for since_ms, until_ms in scope.slices():
                if scope.force:
                    view = await self._survey.everything(listings, since_ms, until_ms)
                else:
                    view = await self._survey.look(scope, listings, since_ms, until_ms, Tried())
                costs.append(estimate([view.plan], weight_per_minute=weight_per_minute, workers=workers))
        return BackfillCost(**asdict(add_up(costs, weight_per_minute=weight_per_minute, workers=workers)))

    async def start(self, wanted: BackfillRequest, *, requested_by: str) -> tuple[BackfillRequest, bool]:
        """See ``ports.work.Backfills``."""
        self._scope(wanted)
        async with self._asking:
            if (there := await self._requests.same(wanted)) is not None:
                return there, False
            if await self._requests.open() >= MOST_OPEN:
                raise QueueFull(
                    f"{MOST_OPEN} backfills wait or run already", reason="queue_full", retry_after=_AGAIN_S
                )
            return await self._requests.ask(wanted, by=requested_by), True

    async def cancel(self, number: int) -> None:
        """See ``ports.work.Backfills``."""
        await self._requests.cancel(BackfillRequest(number, (), 0, 0, Source.AUTO.value, False, False))

    def _scope(self, wanted: BackfillRequest) -> Scope:
        """What is meant. Raises ``BadFields`` for a range that is not over, or that retention would drop again."""
        settings, now_ms = self._core.settings, self._core.clock.now_ms()
        if wanted.until_ms > floor_minute(now_ms - UNSETTLED_MS):
            raise _wrong("end", "it must be five minutes ago or earlier: what is younger comes by itself")
        if wanted.since_ms >= wanted.until_ms:
            raise _wrong("start", "it must be before end")
        try:
            refuse_older(wanted.since_ms, now_ms, settings.retention_days, settings.chunk_days, asked="start")
        except ConfigError as error:
            raise _wrong("start", str(error)) from None
        return Scope(
            self._core.selection,
            wanted.since_ms,
            wanted.until_ms,
            only=wanted.symbols,
            source=Source(wanted.source),
            force=wanted.force,
            keep=wanted.keep,
        )


def _wrong(field: str, message: str) -> BadFields:
    return BadFields(f"{field}: {message}", [(f"body.{field}", message)], reason="range")
