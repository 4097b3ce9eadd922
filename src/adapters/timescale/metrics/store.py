"""Where futures metrics go: merged column by column, counted by the ledger, archive files once each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial

from psycopg import AsyncConnection

from ....model import (
    DAY_MS,
    FIVE_MINUTES_MS,
    METRIC_COLUMNS,
    ArchiveFile,
    Authority,
    Dataset,
    FuturesMetric,
    WriteResult,
)
from ....ports.metrics import MetricSeries, Reach
from ....ports.writing import Changed, nobody
from ....slices import a_slice
from ..ledger.days import start_of, utc
from ..ledger.work import row_columns
from ..queries import query
from ..sessions.shared import SharedSession, fetch
from .archive_lines import Line, line_before, note
from .merging import merged_metrics, parameters

_SERIES = (
    MetricSeries.OPEN_INTEREST,
    MetricSeries.TOP_ACCOUNTS,
    MetricSeries.TOP_POSITIONS,
    MetricSeries.ACCOUNTS,
    MetricSeries.TAKER,
)
"""In the order of the columns of the query ``newest``."""
_BATCH = 500
"""Rows of one transaction: turning them into parameters holds the loop up for some milliseconds."""


class MetricStore:
    """``ports.metrics.MetricSink`` and ``MetricBlanks``. One transaction for 500 rows at most; safe to repeat.

    ``changed`` is told what was committed.
    """

    def __init__(self, session: SharedSession, changed: Changed = nobody) -> None:
        self._session, self._changed = session, changed

    async def write(self, rows: Sequence[FuturesMetric]) -> WriteResult:
        """See ``ports.metrics.MetricSink``."""
        inserted = replaced = 0
        for start in range(0, len(rows), _BATCH):
            batch = rows[start : start + _BATCH]
            result = await self._session.call(partial(self._write, rows=batch))
            self._tell(batch, result)
            inserted, replaced = inserted + result.inserted, replaced + result.replaced
        return WriteResult(inserted, replaced, len(rows) - inserted - replaced)

    async def write_file(
        self, file: ArchiveFile, sha256: str, size_bytes: int, rows: Sequence[FuturesMetric]
    ) -> WriteResult:
        """See ``ports.metrics.MetricSink``: rows and the file's line are one transaction."""

        async def work(connection: AsyncConnection) -> WriteResult:
            async with connection.transaction():
                before = await line_before(connection, self._session.exchange, file.path)
                revision = before.revision_of(sha256)
                result = await self._merge(connection, [replace(row, revision=revision) for row in rows])
                line = Line("imported", sha256, size_bytes, len(rows), revision)
                await note(connection, self._session.exchange, file, line)
            return result

        done = await self._session.call(work)
        self._tell(rows, done)
        return done

    async def refuse_file(self, file: ArchiveFile, sha256: str, reason: str) -> None:
        """See ``ports.metrics.MetricSink``."""

        async def work(connection: AsyncConnection) -> None:
            async with connection.transaction():
                before = await line_before(connection, self._session.exchange, file.path)
                line = Line("quarantined", sha256, 0, 0, before.revision, detail=reason)
                await note(connection, self._session.exchange, file, line)

        await self._session.call(work)

    async def reach(self, since_ms: int) -> dict[str, Reach]:
        """See ``ports.metrics.MetricSink``."""
        given = {"exchange": self._session.exchange, "since": utc(since_ms)}
        rows = await self._session.rows(query("metrics", "newest"), given)
        return {
            symbol: Reach(
                {series: int(end) for series, end in zip(_SERIES, ends, strict=True) if end is not None},
                Decimal(0) if value is None else value,
            )
            for symbol, *ends, value in rows
        }

    async def stored(self, symbol: str, after_ms: int, until_ms: int) -> list[FuturesMetric]:
        """See ``ports.metrics.MetricSink``."""
        given = {
            "exchange": self._session.exchange,
            "symbol": symbol,
            "after": utc(after_ms),
            "until": utc(until_ms),
        }
        rows = await self._session.rows(query("metrics", "symbol_rows"), given)
        return [
            FuturesMetric.of(
                symbol, end_ms, dict(zip(METRIC_COLUMNS, values, strict=True)), source, Authority(authority)
            )
            for end_ms, *values, source, authority in rows
        ]

    async def blank_days(self, since: date, until: date) -> set[tuple[str, date]]:
        """See ``ports.metrics.MetricBlanks``."""
        given = {
            "exchange": self._session.exchange,
            "after": utc(start_of(since)),
            "until": utc(start_of(until) + DAY_MS),
        }
        return {
            (symbol, day) for symbol, day in await self._session.rows(query("metrics", "blank_days"), given)
        }

    async def close(self) -> None:
        await self._session.close()

    def _tell(self, rows: Sequence[FuturesMetric], result: WriteResult) -> None:
        if result.inserted or result.replaced:
            for row in rows:
                self._changed(row.symbol, row.end_ms)

    async def _write(self, connection: AsyncConnection, rows: Sequence[FuturesMetric]) -> WriteResult:
        async with connection.transaction():
            return await self._merge(connection, rows)

    async def _merge(self, connection: AsyncConnection, rows: Sequence[FuturesMetric]) -> WriteResult:
        async with a_slice():
            keyed = merged_metrics(rows)
            columns = parameters(keyed, "end_ms", METRIC_COLUMNS)
        if not keyed:
            return WriteResult(0, 0, len(rows))
        given: Mapping[str, object] = {"exchange": self._session.exchange, **columns}
        ((inserted, replaced, absences),) = await fetch(connection, query("metrics", "merge"), given)
        if absences:
            starts = ((row.symbol, row.at_ms - FIVE_MINUTES_MS) for row in keyed)
            keys = row_columns(self._session.exchange, Dataset.METRICS, starts)
            await fetch(connection, query("absences", "take_back_absences"), keys)
        return WriteResult(inserted, replaced, len(rows) - inserted - replaced)
