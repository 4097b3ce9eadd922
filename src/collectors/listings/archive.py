"""Asks the archive's listing for the contracts that exchangeInfo does not know any more."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from ...errors import Permanent, Retryable
from ...model import DAY_MS, Dataset, Listing, Span
from ...ports import Archive, ArchivedListings
from ...telemetry.log import get_logger
from ..workers import for_each
from .delisted import interval, midnight, unknown
from .selection import Selection

_log = get_logger("instruments")

_AT_ONCE = 4
_PUBLISHED_AFTER_MS = 2 * DAY_MS
"""By then the archive has the last file of who vanished."""


class ArchiveListings:
    """Adds the delisted with the days of their first and last file, and ends those that vanished unannounced."""

    def __init__(self, archive: Archive, listings: ArchivedListings, selection: Selection) -> None:
        self._archive = archive
        self._listings = listings
        self._selection = selection

    async def look(self, listed: Sequence[Listing], now_ms: int) -> bool:
        """One look at the whole listing, but only into folders that are not known; whether all of it was answered.

        ``listed`` are the intervals known so far. Raises what the database raises, and nothing of the archive's.
        """
        try:
            folders = await self._archive.symbols(Dataset.CANDLES, Span.DAILY)
        except (Retryable, Permanent) as error:
            _log.warning("archive_unlisted", msg=str(error), reason=error.reason)
            return False
        new = unknown(folders, await self._listings.folders(), self._selection)
        vanished = [
            (listing, folder)
            for listing, folder in await self._listings.gone()
            if folder in set(folders) and listing.end_ms < now_ms - _PUBLISHED_AFTER_MS
        ]
        wanted = sorted({*new, *(folder for _, folder in vanished)})
        days = await self._days(wanted)
        await self._add(new, days, listed)
        for listing, folder in vanished:
            if last := max(days.get(folder, ()), default=None):
                end_ms = max(min(listing.end_ms, midnight(last) + DAY_MS), listing.onboard_ms + DAY_MS)
                await self._listings.end(listing, min(end_ms, listing.end_ms))
        return len(days) == len(wanted)

    async def _add(
        self, folders: Sequence[str], days: Mapping[str, Collection[date]], listed: Sequence[Listing]
    ) -> None:
        # Backwards in time: an earlier interval ends where a later one begins.
        known = list(listed)
        found: dict[tuple[str, int], tuple[Listing, str]] = {}
        for folder in sorted(
            folders, key=lambda name: min(days.get(name, ()), default=date.min), reverse=True
        ):
            if item := interval(folder, days.get(folder, ()), known):
                known.append(item)
                # Two folders of one interval: the first will do, and one statement takes a key once.
                found.setdefault((item.symbol, item.onboard_ms), (item, folder))
        if found:
            await self._listings.record_archived(list(found.values()))
            _log.info("delisted_found", msg=f"{len(found)} intervals of delisted contracts", found=len(found))

    async def _days(self, folders: Sequence[str]) -> dict[str, list[date]]:
        """The days of the files of each folder; a folder that could not be read is left out."""
        days: dict[str, list[date]] = {}

        async def work(folder: str) -> None:
            try:
                files = await self._archive.files(Dataset.CANDLES, Span.DAILY, folder)
            except (Retryable, Permanent) as error:
                _log.warning("archive_unlisted", msg=str(error), reason=error.reason, folder=folder)
                return
            days[folder] = [file.first_day for file, _ in files]

        await for_each(folders, work, limit=_AT_ONCE, name="delisted")
        return days
