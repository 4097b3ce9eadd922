"""What the patrol writes into the ledger about days that it could not complete."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import LiteralString

from psycopg import AsyncConnection

from ....model import ArchiveFile, CoverageDay, Dataset, Gap
from ..queries import query
from ..sessions.shared import SharedSession, fetch
from .days import day_of, joined, step_of, utc
from .work import LINES, batches, key_columns

ABSENT = "absent"


class CoverageNoteStore:
    """``ports.CoverageNotes``. All raise ``Unavailable`` or ``Misconfigured``."""

    def __init__(self, session: SharedSession) -> None:
        self._session = session

    async def looked(self, days: Sequence[CoverageDay], next_look_ms: int) -> None:
        """Count a look at each of ``days`` and set when the next may be (UTC ms)."""
        by_dataset: dict[Dataset, list[CoverageDay]] = {}
        for day in days:
            by_dataset.setdefault(day.dataset, []).append(day)
        for dataset, items in by_dataset.items():
            for batch in batches(items, LINES):
                given = self._subject(dataset) | key_columns([(day.symbol, day.day) for day in batch])
                given |= {"next_look": utc(next_look_ms)}
                await self._session.call(partial(_looked, given=given))

    async def mark_absent(self, file: ArchiveFile, sha256: str, ts_ms: Sequence[int], asked_ms: int) -> None:
        """Record that the rows beginning at ``ts_ms`` are neither in ``file`` nor in REST, asked at ``asked_ms``.

        A row that is stored is left out. Recorded again, an absence is asked for 7 days, then 30 days, after
        ``asked_ms`` instead of 1 day. Rows and line move in one transaction. Raises ``ValueError`` for a dataset
        without a fixed number of rows a day.
        """
        if not ts_ms:
            return
        keys = sorted({(file.symbol, day_of(ms)) for ms in ts_ms})
        given = self._subject(file.dataset) | key_columns(keys)
        given |= {"symbol": file.symbol, "path": file.path, "sha256": sha256, "asked": utc(asked_ms)}
        said = {utc(ms) for ms in ts_ms}

        async def work(connection: AsyncConnection) -> None:
            async with connection.transaction():
                await fetch(connection, query("coverage", "lock_lines"), given)
                stored = await fetch(connection, _stored_query(file.dataset), given | {"ts": sorted(said)})
                lacking = sorted(said - {row[0] for row in stored})
                await fetch(connection, query("absences", "mark_absent"), given | {"ts": lacking})
                await fetch(connection, query("absences", "count_absent"), given)

        await self._session.call(work)

    async def absences_due(
        self, dataset: Dataset, now_ms: int, limit: int, *, since_ms: int = 0
    ) -> list[Gap]:
        """The absent rows that begin at ``since_ms`` or later and are to be asked for again by ``now_ms``, at most
        ``limit`` of them, neighbours joined."""
        given = self._subject(dataset) | {"now": utc(now_ms), "since": utc(since_ms), "limit": limit}
        rows = await self._session.rows(query("absences", "absences_due"), given)
        return joined(Gap(symbol, open_ms, open_ms + step_of(dataset), ABSENT) for symbol, open_ms in rows)

    async def postpone_absences(
        self, dataset: Dataset, gaps: Sequence[Gap], now_ms: int, next_ask_ms: int
    ) -> None:
        """Ask for the absent rows of ``gaps`` that are still due at ``now_ms`` no sooner than ``next_ask_ms``."""
        given = self._subject(dataset) | {
            "symbols": [gap.symbol for gap in gaps],
            "from": [utc(gap.from_ms) for gap in gaps],
            "to": [utc(gap.to_ms) for gap in gaps],
            "now": utc(now_ms),
            "next": utc(next_ask_ms),
        }
        await self._session.rows(query("absences", "postpone_absences"), given)

    def _subject(self, dataset: Dataset) -> dict[str, object]:
        return {"exchange": self._session.exchange, "dataset": dataset.value}


async def _looked(connection: AsyncConnection, *, given: Mapping[str, object]) -> None:
    async with connection.transaction():
        await fetch(connection, query("coverage", "lock_lines"), given)
        await fetch(connection, query("coverage", "looked"), given)


def _stored_query(dataset: Dataset) -> LiteralString:
    if dataset is Dataset.METRICS:
        return query("absences", "stored_metrics")
    step_of(dataset)  # refuses what has no fixed rows, none of which could be said to be absent
    return query("absences", "stored_candles")
