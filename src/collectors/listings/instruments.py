"""Keeps the listing intervals up to date, and with them what the coverage ledger expects."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from ...errors import Misconfigured, Retryable
from ...model import DAY_MS, Dataset, Instrument, Listing
from ...ports import ArchivedListings, Clock, CoverageLedger
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import OutsideEvent
from ..backoff import Backoff
from .archive import ArchiveListings
from .selection import Selection
from .universe import Universe

_log = get_logger("instruments")

METRICS_FROM_MS = 1_638_316_800_000
"""2021-12-01, the first day of futures metrics in the archive; before it none is due."""
FUNDING_FROM_MS = 1_577_836_800_000
"""2020-01-01, the first month of funding in the archive."""
_FOLLOW_EVERY = 60.0
_ARCHIVE_EVERY_MS = DAY_MS
_ARCHIVE_AGAIN_MS = DAY_MS // 24
"""How long the archive is left alone after it could not be read."""
_TRIM_EVERY_MS = DAY_MS // 24
_LOOP_FLOOR = 0.2


class InstrumentKeeper:
    """Records what the universe reads, follows the listings in the ledger, and once a day looks into the archive.

    ``datasets`` says what is followed, each with the first instant at which it can be due (UTC ms). ``ready`` is set
    once the ledger has followed for the first time; ``on_change`` is called when an interval came, ended or changed. A
    failing archive costs only the delisted; a failing database is tried again with growing pauses.
    """

    def __init__(
        self,
        universe: Universe,
        selection: Selection,
        listings: ArchivedListings,
        ledger: CoverageLedger,
        clock: Clock,
        metrics: Metrics,
        *,
        archive: ArchiveListings | None = None,
        datasets: Mapping[Dataset, int] | None = None,
        on_change: Callable[[], None] = lambda: None,
        ready: asyncio.Event | None = None,
    ) -> None:
        self.ready = ready or OutsideEvent("the first look at the listings")
        self._universe = universe
        self._selection = selection
        self._listings = listings
        self._ledger = ledger
        self._clock = clock
        self._metrics = metrics
        self._archive = archive
        self._datasets = {Dataset.CANDLES: 0} if datasets is None else dict(datasets)
        self._on_change = on_change
        self._recorded: tuple[Instrument, ...] | None = None
        self._known: list[Listing] = []
        self._changed = False
        self._next_trim_ms = 0
        self._next_archive_ms = 0
        self._wake = asyncio.Event()
        self._backoff = Backoff(1.0, 60.0)

    async def run(self) -> None:
        """Keep until cancelled."""
        await self._universe.ready.wait()
        with self._universe.telling(lambda _: self._wake.set()):
            while True:
                self._wake.clear()
                try:
                    await self.look()
                except (Retryable, Misconfigured) as error:
                    delay = max(self._backoff.next(), getattr(error, "retry_after", 0.0))
                    _log.warning(
                        "listings_unwritten", msg=str(error), reason=error.reason, retry_in=round(delay, 1)
                    )
                    await asyncio.sleep(delay)
                    continue
                self._backoff.reset()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._clock.wall(_FOLLOW_EVERY, at_least=_LOOP_FLOOR)):
                        await self._wake.wait()

    async def look(self) -> None:
        """Record what is new and follow it. Raises what the database raises."""
        now_ms = self._clock.now_ms()
        instruments = self._universe.instruments
        if instruments and instruments is not self._recorded:
            ours = [item for item in instruments if self._selection.admits(item)]
            await self._listings.record(ours, {item.symbol for item in instruments}, now_ms)
            self._recorded = instruments
            await self._read()
        if now_ms >= self._next_trim_ms:
            self._next_trim_ms = now_ms + _TRIM_EVERY_MS
            await self._listings.trim()
            await self._read()
        # Living ones before the archive's listing is read: that takes minutes.
        await self._follow(now_ms)
        if self._archive is not None and now_ms >= self._next_archive_ms:
            self._next_archive_ms = now_ms + _ARCHIVE_AGAIN_MS
            if await self._archive.look(self._known, now_ms):
                self._next_archive_ms = now_ms + _ARCHIVE_EVERY_MS
            await self._read()
            await self._follow(self._clock.now_ms())

    async def _read(self) -> None:
        found = await self._listings.listings()
        known = [item for item in found if self._selection.admits_name(item.symbol)]
        self._metrics.listings_known.set(len(found))
        if known != self._known:
            _log.info("listings_changed", msg=f"{len(known)} listing intervals", before=len(self._known))
            self._known = known
            self._changed = True

    async def _follow(self, now_ms: int) -> None:
        for dataset, first_ms in self._datasets.items():
            due = [
                replace(item, onboard_ms=max(item.onboard_ms, first_ms))
                for item in self._known
                if item.end_ms > first_ms
            ]
            await self._ledger.follow(dataset, due, now_ms)
        self._metrics.ledger_followed.set(now_ms / 1000)
        self.ready.set()
        if self._changed:
            self._changed = False
            self._on_change()
