"""Looks at the ledger and makes the plan for a stretch of time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ...model import ArchiveFile, CoverageDay, Dataset, FileState, KnownFile, Listing, Span
from ...ports import ArchiveLayout, ArchiveNotes, Clock, CoverageLedger, Listings
from ...slices import collected, in_slices
from .days import DayPart, by_symbol, day_of, day_parts, has_rows, month_of, split_days
from .job import Proofs
from .plan import Knowledge, Plan, Tried, again, planning
from .scope import Scope


@dataclass(frozen=True, slots=True)
class View:
    """The plan, and what it was made from: the incomplete days and their parts by (symbol, day). ``waiting`` are days
    that a patient scope leaves alone for now."""

    plan: Plan
    known: Knowledge
    days: Mapping[tuple[str, date], CoverageDay]
    parts: Mapping[tuple[str, date], Sequence[DayPart]]
    waiting: Sequence[CoverageDay] = ()

    def state(self, key: tuple[str, date]) -> FileState | None:
        """What is known of the day's own file; of a day with two listings, of the later one's."""
        return self.known.state(self._file(self.parts[key][-1]))

    def proofs(self) -> Proofs:
        """Days whose own file was read, for each of their listings."""
        found: dict[tuple[str, date], KnownFile] = {}
        for key, parts in self.parts.items():
            files = [self.known.files.get(self._file(part).path) for part in parts]
            read = [file for file in files if file is not None and file.state is FileState.IMPORTED]
            if len(read) == len(parts):
                found[key] = read[-1]
        return found

    def _file(self, part: DayPart) -> ArchiveFile:
        return self.known.file(part.listing, Span.DAILY, part.day)


class Survey:
    """Reads what is listed, what is missing and which files are known. All calls raise ``Retryable`` or
    ``Misconfigured``."""

    def __init__(
        self,
        ledger: CoverageLedger,
        listings: Listings,
        notes: ArchiveNotes,
        layout: ArchiveLayout,
        clock: Clock,
    ) -> None:
        self._ledger = ledger
        self._listings = listings
        self._notes = notes
        self._layout = layout
        self._clock = clock

    async def listings(self, scope: Scope) -> list[Listing]:
        """The listings that the scope means. Every day of their symbols has its line in the ledger then. Raises
        ``ConfigError`` where the scope names a symbol that nobody knows."""
        known = await self._listings.listings()
        scope.refuse_unknown(known)
        found = [item for item in known if scope.admits_name(item.symbol)]
        # All listings of a symbol, also those outside the scope: the ledger takes them for the whole truth.
        await self._ledger.follow(Dataset.CANDLES, found, max(scope.until_ms, self._clock.now_ms()))
        return [item for item in found if scope.admits(item)]

    async def look(
        self, scope: Scope, listings: Sequence[Listing], since_ms: int, until_ms: int, tried: Tried
    ) -> View:
        """What is missing in [since_ms, until_ms), and how to get it. ``tried`` is not tried again."""
        days = await self._days(listings, since_ms, until_ms)
        now_ms = self._clock.now_ms()
        waiting = [day for day in days if scope.patient and day.next_look_ms > now_ms]
        if waiting:
            days = [day for day in days if day.next_look_ms <= now_ms]
        looked_into = [day for day in days if has_rows(day)]
        holes = await self._ledger.holes(Dataset.CANDLES, looked_into, until_ms) if looked_into else []
        found = day_parts(days, split_days(holes), by_symbol(listings), since_ms, until_ms)
        parts = await in_slices(collected(found))
        # Every file that was ever read is looked through for it, and of most months nothing is missing.
        known = (
            await self._knowledge(since_ms, until_ms, tried)
            if parts
            else Knowledge(self._layout, now_ms, tried=tried)
        )
        grouped: dict[tuple[str, date], list[DayPart]] = {}
        for part in parts:
            grouped.setdefault((part.symbol, part.day), []).append(part)
        return View(
            await in_slices(planning(parts, known, scope.source)),
            known,
            {(day.symbol, day.day): day for day in days},
            grouped,
            waiting,
        )

    async def everything(
        self, listings: Sequence[Listing], since_ms: int, until_ms: int, tried: Tried | None = None
    ) -> View:
        """Every published file of [since_ms, until_ms), read before or not, but none that was ``tried`` just now."""
        tried = tried or Tried()
        known = await self._knowledge(since_ms, until_ms, tried)
        files = again(listings, known, since_ms, until_ms).files
        return View(Plan(tuple(task for task in files if task.file.path not in tried.files)), known, {}, {})

    async def _days(self, listings: Sequence[Listing], since_ms: int, until_ms: int) -> list[CoverageDay]:
        """The incomplete days; dirty ones were counted anew before they are judged."""
        symbols = {item.symbol for item in listings}

        async def read() -> list[CoverageDay]:
            found = await self._ledger.open_days(Dataset.CANDLES, day_of(since_ms), day_of(until_ms - 1))
            return [day for day in found if day.symbol in symbols]

        days = await read()
        if dirty := [day for day in days if day.dirty]:
            await self._ledger.recount(dirty)
            days = await read()
        return days

    async def _knowledge(self, since_ms: int, until_ms: int, tried: Tried) -> Knowledge:
        since, until = month_of(day_of(since_ms)), day_of(until_ms - 1)
        files = {item.file.path: item for item in await self._notes.known(Dataset.CANDLES, since, until)}
        folders = await self._notes.folders()
        return Knowledge(self._layout, self._clock.now_ms(), files, folders, tried)
