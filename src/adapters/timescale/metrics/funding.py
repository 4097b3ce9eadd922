"""Where settlements of funding go: merged column by column like metrics, counted by the ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from psycopg import AsyncConnection

from ....model import ArchiveFile, FundingRate, WriteResult
from ....ports.writing import Changed, nobody
from ....slices import a_slice
from ..ledger.days import utc
from ..queries import query
from ..sessions.shared import SharedSession, fetch
from .archive_lines import Line, line_before, note
from .merging import FUNDING_COLUMNS, merged_funding, parameters


class FundingStore:
    """``ports.metrics.FundingSink``. One transaction a call, safe to repeat whatever became of the first.

    ``changed`` is told what was committed.
    """

    def __init__(self, session: SharedSession, changed: Changed = nobody) -> None:
        self._session, self._changed = session, changed

    async def write(self, rows: Sequence[FundingRate]) -> WriteResult:
        """See ``ports.metrics.FundingSink``."""

        async def work(connection: AsyncConnection) -> WriteResult:
            async with connection.transaction():
                return await self._merge(connection, rows)

        return self._told(rows, await self._session.call(work))

    async def write_file(
        self, file: ArchiveFile, sha256: str, size_bytes: int, rows: Sequence[FundingRate]
    ) -> WriteResult:
        """See ``ports.metrics.FundingSink``: rows and the file's line are one transaction."""

        async def work(connection: AsyncConnection) -> WriteResult:
            async with connection.transaction():
                before = await line_before(connection, self._session.exchange, file.path)
                revision = before.revision_of(sha256)
                result = await self._merge(connection, [replace(row, revision=revision) for row in rows])
                line = Line("imported", sha256, size_bytes, len(rows), revision)
                await note(connection, self._session.exchange, file, line)
            return result

        return self._told(rows, await self._session.call(work))

    async def newest(self, since_ms: int) -> dict[str, int]:
        """See ``ports.metrics.FundingSink``."""
        given = {"exchange": self._session.exchange, "since": utc(since_ms)}
        rows = await self._session.rows(query("funding", "newest"), given)
        return {symbol: int(funding_ms) for symbol, funding_ms in rows}

    async def imported(self) -> set[str]:
        """See ``ports.metrics.FundingSink``."""
        given = {"exchange": self._session.exchange}
        return {path for (path,) in await self._session.rows(query("funding", "files_done"), given)}

    async def close(self) -> None:
        await self._session.close()

    def _told(self, rows: Sequence[FundingRate], result: WriteResult) -> WriteResult:
        if result.inserted or result.replaced:
            for row in rows:
                self._changed(row.symbol, row.funding_ms)
        return result

    async def _merge(self, connection: AsyncConnection, rows: Sequence[FundingRate]) -> WriteResult:
        async with a_slice():
            keyed = merged_funding(rows)
            columns = parameters(keyed, "funding_ms", FUNDING_COLUMNS)
        if not keyed:
            return WriteResult(0, 0, len(rows))
        given: Mapping[str, object] = {"exchange": self._session.exchange, **columns}
        ((inserted, replaced),) = await fetch(connection, query("funding", "merge"), given)
        return WriteResult(inserted, replaced, len(rows) - inserted - replaced)
