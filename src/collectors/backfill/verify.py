"""Compares every complete day with the file that the venue published of it, and reads again what was republished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta

from ...errors import Misconfigured, NotPublished, Retryable, Unavailable
from ...model import DAY_MS, ArchiveFile, Dataset, FileState, KnownFile, Listing, Span
from ...ports import Archive, ArchiveLayout, ArchiveNotes, Clock, Listings, Priority, Verification
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..backoff import Backoff
from ..listings.selection import Selection
from .campaign import Campaign
from .days import by_symbol, day_ms, day_of, month_of
from .files import FileWork
from .job import Job, Outcome
from .plan import REST_DAYS, FileTask
from .progress import Progress

_log = get_logger("verify")

_DAYS_AT_ONCE = 200
_FOLDERS_AT_ONCE = 20
READ_AGAIN_MS = 7 * DAY_MS
"""How old what we know of a folder's listing may be."""
REPUBLISHED_DAYS = 92
"""Files of this many days back are watched for changes."""
_RESULTS = ("equal", "corrected", "missing", "quarantined", "unanswered")


class Verifier:
    """Idle work: it gives way to every filling, and its requests to the archive come last.

    Importing a file with the guarded merge *is* the comparison: rows that are equal stay untouched, a row that differs
    is replaced by the archive's and kept in ``candle_revisions``. A day whose file was imported by a filling is
    verified by that. A file that was published anew and begins before ``floor(now_ms)``, the first instant that
    retention keeps, is left alone: it would bring back what was dropped.
    """

    def __init__(
        self,
        campaign: Campaign,
        files: FileWork,
        archive: Archive,
        notes: ArchiveNotes,
        days: Verification,
        listings: Listings,
        layout: ArchiveLayout,
        selection: Selection,
        clock: Clock,
        metrics: Metrics,
        *,
        floor: Callable[[int], int] = lambda _: 0,
        interval: float = 600.0,
        ready: asyncio.Event | None = None,
    ) -> None:
        self._campaign = campaign
        self._files = files
        self._archive = archive
        self._notes = notes
        self._days = days
        self._listings = listings
        self._layout = layout
        self._selection = selection
        self._clock = clock
        self._floor = floor
        self._interval = interval
        self._ready = ready
        self._backoff = Backoff(1.0, 60.0)
        self._results = {result: metrics.verified_files.labels(result=result) for result in _RESULTS}

    async def run(self) -> None:
        """Verify until cancelled. ``ready`` holds the first pass back until the venue's time is known."""
        if self._ready:
            await self._ready.wait()
        while True:
            try:
                done = await self.compare() + await self.read_again()
            except (Retryable, Misconfigured) as error:
                delay = max(self._backoff.next(), getattr(error, "retry_after", 0.0))
                _log.warning("verify_failed", msg=str(error), reason=error.reason, retry_in=round(delay, 1))
                await asyncio.sleep(delay)
                continue
            self._backoff.reset()
            if not done:
                await self._clock.sleep(self._interval)

    async def compare(self) -> int:
        """Compare some days that no file was compared with yet, newest first; how many files were read."""
        last = day_of(self._clock.now_ms()) - timedelta(days=REST_DAYS)
        days = [
            key
            for key in await self._days.unverified(Dataset.CANDLES, last, _DAYS_AT_ONCE)
            if self._selection.admits_name(key[0])
        ]
        if not days:
            return 0
        listings = by_symbol(await self._listings.listings())
        folders = await self._notes.folders()
        tasks = [task for key in days for task in self._tasks(*key, listings.get(key[0], ()), folders)]
        return len((await self._read(tasks)).imported)

    async def read_again(self) -> int:
        """Look at folders that were not looked at for a week, and import what was published anew; how many files."""
        now_ms = self._clock.now_ms()
        folders = await self._notes.folders()
        wanted = sorted(
            {
                folders.get((item.symbol, item.onboard_ms), item.symbol)
                for item in await self._listings.listings()
                if self._selection.admits_name(item.symbol)
                and item.end_ms > now_ms - REPUBLISHED_DAYS * DAY_MS
            }
        )
        kept_ms = self._floor(now_ms)
        read = await self._days.folders_read(Dataset.CANDLES, now_ms - READ_AGAIN_MS)
        since = month_of(day_of(now_ms - REPUBLISHED_DAYS * DAY_MS))
        unread = [folder for folder in wanted if folder not in read][:_FOLDERS_AT_ONCE]
        known = await self._notes.known(Dataset.CANDLES, since, day_of(now_ms)) if unread else []
        imported = {item.file.path: item for item in known if item.state is FileState.IMPORTED}
        waiting: dict[str, list[tuple[ArchiveFile, int]]] = {}
        changed: dict[str, list[ArchiveFile]] = {}
        for folder in unread:
            listed = await self._listed(folder, since)
            newer = [
                file
                for file, ms in listed
                if file.path in imported
                and day_ms(file.first_day) >= kept_ms
                and _is_newer(imported[file.path], ms)
            ]
            if newer:
                waiting[folder], changed[folder] = listed, newer
            else:
                await self._days.folder_read(Dataset.CANDLES, folder, listed, now_ms)
        files = [file for newer in changed.values() for file in newer]
        outcome = await self._read([FileTask(file, (file.first_day,), ()) for file in files])
        # Not before: when a file was published is all that tells that it has changed. What was not read keeps its old
        # time, and its folder stays due.
        for folder, listed in waiting.items():
            left = [file for file in changed[folder] if not outcome.answered(file)]
            noted = [item for item in listed if item[0] not in left]
            read_ms = now_ms - READ_AGAIN_MS if left else now_ms
            await self._days.folder_read(Dataset.CANDLES, folder, noted, read_ms)
        return len(outcome.imported)

    async def _listed(self, folder: str, since: date) -> list[tuple[ArchiveFile, int]]:
        """What the folder holds from ``since`` on, and when it was published."""
        listed: list[tuple[ArchiveFile, int]] = []
        for span in Span:
            try:
                found = await self._archive.files(Dataset.CANDLES, span, folder, priority=Priority.VERIFY)
            except NotPublished:
                continue
            listed += [(file, ms) for file, ms in found if file.first_day >= since]
        return listed

    def _tasks(
        self,
        symbol: str,
        day: date,
        listings: Sequence[Listing],
        folders: Mapping[tuple[str, int], str],
    ) -> Iterator[FileTask]:
        for listing in listings:
            first, last = listing.window(day_ms(day), day_ms(day) + DAY_MS)
            if first < last:
                folder = folders.get((symbol, listing.onboard_ms), symbol)
                file = self._layout.file(Dataset.CANDLES, Span.DAILY, folder, symbol, day)
                yield FileTask(file, (day,), ())

    async def _read(self, tasks: Sequence[FileTask]) -> Outcome:
        outcome = Outcome()
        if not tasks:
            return outcome
        async with self._campaign.turn():
            job = Job(Priority.VERIFY, Progress(), stop=lambda: self._campaign.wanted)
            await self._files.run(tasks, job, outcome)
        done = [task.file for task in tasks if task.file.path in outcome.imported]
        await self._days.verified(done)
        self._count(outcome)
        if outcome.trouble or (outcome.unanswered and not outcome.settled):
            raise Unavailable(f"archive files cannot be read: {outcome.trouble or 'no answer'}")
        return outcome

    def _count(self, outcome: Outcome) -> None:
        for path, result in outcome.imported.items():
            equal = result.inserted == result.corrected == 0
            self._results["equal" if equal else "corrected"].inc()
            if not equal:
                _log.info("archive_differs", msg="stored rows were corrected from the archive", file=path)
        for state in outcome.failed.values():
            self._results[state.value].inc()
        self._results["unanswered"].inc(outcome.unanswered)


def _is_newer(known: KnownFile, published_ms: int) -> bool:
    """Published again since we last looked; of a file never seen in a listing, since it was imported."""
    if known.published_ms is None:
        return published_ms > known.checked_ms
    return published_ms != known.published_ms
