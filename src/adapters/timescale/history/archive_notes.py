"""What we know of archive files, and which days were compared with theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial

from psycopg import AsyncConnection

from ....model import DAY_MS, ArchiveFile, Dataset, FileState, KnownFile, Span
from ..ledger.days import start_of, utc
from ..ledger.work import Key, key_columns
from ..queries import query
from ..rows import printable
from ..sessions.shared import SharedSession, fetch

_ADOPT_AT_ONCE = 2000


class ArchiveNoteStore:
    """``ports.ArchiveNotes`` and ``ports.Verification``. All raise ``Unavailable`` or ``Misconfigured``."""

    def __init__(self, session: SharedSession) -> None:
        self._session = session

    async def known(self, dataset: Dataset, since: date, until: date) -> list[KnownFile]:
        """The files we know whose first day lies in [since, until]."""
        given = self._subject(dataset) | {"since": since, "until": until}
        rows = await self._session.rows(query("archive_notes", "known"), given)
        return [
            KnownFile(
                ArchiveFile(path, dataset, symbol, Span(span), first_day),
                FileState(state),
                sha256,
                checked_ms,
                published_ms,
            )
            for path, symbol, span, first_day, state, sha256, checked_ms, published_ms in rows
        ]

    async def note(self, file: ArchiveFile, state: FileState, *, detail: str, now_ms: int) -> None:
        """Say what became of a file that was not imported."""
        given = self._subject(file.dataset) | {
            "path": file.path,
            "symbol": file.symbol,
            "span": file.span.value,
            "first_day": file.first_day,
            "state": state.value,
            "detail": printable(detail, 1000),
            "checked": utc(now_ms),
        }
        await self._session.rows(query("archive_notes", "note"), given)

    async def folders(self) -> dict[tuple[str, int], str]:
        """The folders that have another name than their symbol, by (symbol, onboard_ms)."""
        rows = await self._session.rows(
            query("archive_notes", "folders"), {"exchange": self._session.exchange}
        )
        return {(symbol, onboard_ms): folder for symbol, onboard_ms, folder in rows}

    async def unverified(self, dataset: Dataset, until: date, limit: int) -> list[tuple[str, date]]:
        """Complete days that no file was compared with; those that a filling imported are noted on the way."""
        given = self._subject(dataset) | {"until": until, "limit": _ADOPT_AT_ONCE}
        await self._session.call(partial(_adopt_imports, given=given))
        given |= {"limit": limit, "asked_since": utc(start_of(until) + DAY_MS)}
        rows = await self._session.rows(query("archive_notes", "unverified"), given)
        return [(symbol, day) for symbol, day in rows]

    async def verified(self, files: Sequence[ArchiveFile]) -> None:
        """Note that the files were compared, for every day they hold."""
        by_dataset: dict[Dataset, list[Key]] = {}
        for file in files:
            days = by_dataset.setdefault(file.dataset, [])
            days += [(file.symbol, day) for day in _days(file)]
        for dataset, keys in by_dataset.items():
            given = self._subject(dataset) | key_columns(keys)
            await self._session.call(partial(_mark_verified, given=given))

    async def folders_read(self, dataset: Dataset, since_ms: int) -> set[str]:
        """The folders whose listing was read after ``since_ms``."""
        given = self._subject(dataset) | {"since": utc(since_ms)}
        rows = await self._session.rows(query("archive_notes", "folders_read"), given)
        return {str(row[0]) for row in rows}

    async def folder_read(
        self, dataset: Dataset, folder: str, files: Sequence[tuple[ArchiveFile, int]], now_ms: int
    ) -> None:
        """Note that a folder's listing was read, and when its files were published."""
        given = self._subject(dataset) | {
            "folder": folder,
            "now": utc(now_ms),
            "paths": [file.path for file, _ in files],
            "published": [utc(published_ms) for _, published_ms in files],
        }

        async def work(connection: AsyncConnection) -> None:
            async with connection.transaction():
                await fetch(connection, query("archive_notes", "published"), given)
                await fetch(connection, query("archive_notes", "folder_read"), given)

        await self._session.call(work)

    def _subject(self, dataset: Dataset) -> dict[str, object]:
        return {"exchange": self._session.exchange, "dataset": dataset.value}


async def _adopt_imports(connection: AsyncConnection, *, given: Mapping[str, object]) -> None:
    async with connection.transaction():
        imported = await fetch(connection, query("archive_notes", "imported"), given)
        if imported:
            keys = key_columns([(symbol, day) for symbol, day in imported])
            await _mark_verified(connection, given={**given, **keys})


async def _mark_verified(connection: AsyncConnection, *, given: Mapping[str, object]) -> None:
    async with connection.transaction():
        await fetch(connection, query("coverage", "lock_lines"), given)
        await fetch(connection, query("archive_notes", "verified"), given)


def _days(file: ArchiveFile) -> list[date]:
    if file.span is Span.DAILY:
        return [file.first_day]
    days = (file.first_day + timedelta(days=number) for number in range(31))
    return [day for day in days if day.month == file.first_day.month]
