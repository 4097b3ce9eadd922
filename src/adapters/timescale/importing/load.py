"""Puts the rows of one parsed file into the database. Imported in worker processes only; everything here blocks.

Rows that are not stored are loaded straight into the table: those of days that the ledger knows to be empty, and of
others after a look. The rest is compared, and only rows that differ go through the guarded statement. Rows, counts and
the file's line are one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from ....model import Dataset
from ...binance.archive.klines import KlineTable
from ..copying.records import decode
from ..errors import CLIENT_ERRORS, translate
from ..ledger.work import row_columns
from ..queries import query
from .job import ImportJob, ImportReport, Loaded, WorkerOptions
from .rows import (
    NOTHING_STORED,
    STORED,
    Mask,
    Stored,
    as_date,
    as_number,
    compare,
    days,
    direct_stream,
    incoming_stream,
    stored_minutes,
)
from .session import ImportSession, KnownFile

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_MS = 2**62


class Loader:
    """One session, made when it is needed and again after it was lost."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._session = ImportSession(options, query("candles", "create_incoming"))
        self._chunks: list[tuple[int, int]] = []

    def load(self, job: ImportJob, table: KlineTable) -> ImportReport:
        """Store what is not stored yet. Raises ``Unavailable``, ``BadData`` or ``Misconfigured``.

        Nothing is stored then but perhaps the first rows of new chunks, with their counts; the next attempt finds them.
        """
        try:
            connection = self._session.connection()
            return self._load(connection, job, table)
        except CLIENT_ERRORS as error:
            self.close()
            raise translate(error) from error

    def close(self) -> None:
        self._session.close()

    def _load(self, connection: psycopg.Connection, job: ImportJob, table: KlineTable) -> ImportReport:
        report = ImportReport(lines=table.lines, duplicates=table.duplicates)
        known = self._known(connection, job)
        if known.imported and known.sha256 == job.sha256 and not job.force:
            return ImportReport(unchanged=known.rows, revision=known.revision, same=True)
        table = self._listed(connection, job, table)
        loaded = self._first_rows(connection, job, table)
        with connection.transaction():
            self._claim(connection, job)
            known = self._known(connection, job)
            loaded += self._rows(connection, job, table, known.next_revision(job.sha256))
            self._note(connection, job, table, known.next_revision(job.sha256))
        report.inserted, report.replaced, report.corrected = (
            loaded.inserted,
            loaded.replaced,
            loaded.corrected,
        )
        report.unchanged = len(table) - loaded.inserted - loaded.replaced
        report.kept_by_rank = loaded.kept_by_rank
        report.revision = known.next_revision(job.sha256)
        report.reasons, report.inexact = dict(table.reasons), dict(table.inexact)
        return report

    def _listed(self, connection: psycopg.Connection, job: ImportJob, table: KlineTable) -> KlineTable:
        """Without the rows of minutes in which the symbol was not listed: the archive has some."""
        inside = np.zeros(len(table), np.bool_)
        for onboard_ms, end_ms in connection.execute(query("imports", "listed"), self._subject(job)):
            first_ms = (onboard_ms or 0) // 60_000 * 60_000
            inside |= (table.open_ms >= first_ms) & (
                table.open_ms < (end_ms if end_ms is not None else _FAR_MS)
            )
        return table.refuse(inside, "outside_listing", "the symbol was not listed in this minute")

    def _first_rows(self, connection: psycopg.Connection, job: ImportJob, table: KlineTable) -> Loaded:
        """Make the chunks that are not there, each by committing the first row it will hold.

        A load into a chunk that does not exist makes every other one wait until it has committed; these
        transactions are short, and the load that follows finds its chunks.
        """
        loaded = Loaded()
        while len(first := np.flatnonzero(self._uncovered(table))[:1]):
            rows = connection.execute(query("imports", "chunk_ranges"), _bounds(table))
            self._chunks = [(_milliseconds(start), _milliseconds(end)) for start, end in rows]
            if not self._uncovered(table)[first].any():
                continue
            with connection.transaction():
                self._claim(connection, job)
                revision = self._known(connection, job).next_revision(job.sha256)
                loaded += self._merge(connection, job, table.take(first), revision)
            at = int(table.open_ms[first[0]])
            self._chunks.append((at, at + 1))
        return loaded

    def _uncovered(self, table: KlineTable) -> Mask:
        """Which rows lie in no chunk that is known; a chunk that retention dropped meanwhile only costs its making."""
        uncovered: Mask = np.ones(len(table), np.bool_)
        for start, end in self._chunks:
            uncovered &= (table.open_ms < start) | (table.open_ms >= end)
        return uncovered

    def _rows(
        self, connection: psycopg.Connection, job: ImportJob, table: KlineTable, revision: int
    ) -> Loaded:
        if not len(table):
            return Loaded()
        day = days(table)
        parameters = {**self._subject(job), "first_day": as_date(day[0]), "last_day": as_date(day[-1])}
        rows = connection.execute(query("imports", "days_with_rows"), parameters)
        held = np.isin(day, [as_number(row[0]) for row in rows])
        stored = self._stored(connection, job, table.take(held)) if held.any() else NOTHING_STORED
        added: Mask = ~np.isin(table.open_ms, stored_minutes(stored))
        loaded = Loaded()
        if added.any():
            if self._direct(connection, job, table.take(added), revision):
                loaded.inserted = int(added.sum())
            else:
                stored, added = self._stored(connection, job, table), np.zeros(len(table), np.bool_)
        if not added.all():
            loaded += self._compared(connection, job, table.take(~added), stored, revision)
        return loaded

    def _direct(
        self, connection: psycopg.Connection, job: ImportJob, table: KlineTable, revision: int
    ) -> bool:
        """Add rows that are not stored; False if one was there after all, and nothing was done."""
        options = self._options
        stream = direct_stream(table, options.exchange, job.file.symbol, options.source, revision)
        try:
            with connection.transaction(), connection.cursor() as cursor:
                with cursor.copy(query("imports", "copy_candles")) as copy:
                    for piece in stream:
                        copy.write(piece)
                numbers, counts = np.unique(days(table), return_counts=True)
                cursor.execute(
                    query("imports", "count_rows"),
                    {
                        **self._subject(job),
                        "days": [as_date(number) for number in numbers],
                        "rows": counts.tolist(),
                    },
                )
                if (cursor.fetchone() or (False,))[0]:
                    self._take_back(cursor, job, table)
        except psycopg.errors.UniqueViolation:
            return False
        return True

    def _compared(
        self, connection: psycopg.Connection, job: ImportJob, table: KlineTable, stored: Stored, revision: int
    ) -> Loaded:
        """Leave out what is stored just so, refuse rows without trades where there were some, and merge the rest."""
        equal, outranked, others = compare(table, stored, revision)
        loaded = Loaded(kept_by_rank=int(outranked.sum()))
        kept = table.refuse(~outranked, "archive_zero", "no trades, where a row with trades is stored")
        different = kept.take(~equal[~outranked])
        if len(different):
            loaded += self._merge(connection, job, different, revision)
            loaded.corrected = min(loaded.replaced, int((others & ~outranked).sum()))
        return loaded

    def _stored(self, connection: psycopg.Connection, job: ImportJob, table: KlineTable) -> Stored:
        parameters = {**self._subject(job), **_bounds(table), "source": self._options.source}
        with connection.cursor() as cursor, cursor.copy(query("imports", "copy_stored"), parameters) as copy:
            return decode(b"".join(copy), STORED)

    def _merge(
        self, connection: psycopg.Connection, job: ImportJob, table: KlineTable, revision: int
    ) -> Loaded:
        """The guarded statement that all rows go through; it keeps the ledger too."""
        with connection.cursor() as cursor:
            with cursor.copy(query("candles", "copy_incoming")) as copy:
                for piece in incoming_stream(table, job.file.symbol, self._options.source, revision):
                    copy.write(piece)
            row = cursor.execute(query("candles", "upsert"), {"exchange": self._options.exchange}).fetchone()
            inserted, replaced, absences = row or (0, 0, False)
            if absences:
                self._take_back(cursor, job, table)
        return Loaded(inserted, replaced)

    def _take_back(self, cursor: psycopg.Cursor, job: ImportJob, table: KlineTable) -> None:
        keys = ((job.file.symbol, open_ms) for open_ms in table.open_ms.tolist())
        columns = row_columns(self._options.exchange, Dataset.CANDLES, keys)
        cursor.execute(query("absences", "take_back_absences"), columns)

    def _note(self, connection: psycopg.Connection, job: ImportJob, table: KlineTable, revision: int) -> None:
        self._session.note(connection, job, len(table), revision)
        self._session.reject(connection, job, table.rejected)

    def _claim(self, connection: psycopg.Connection, job: ImportJob) -> None:
        claims = {**self._subject(job), "symbols": [job.file.symbol], "months": [job.month]}
        connection.execute(query("repairs", "claim"), claims)

    def _known(self, connection: psycopg.Connection, job: ImportJob) -> KnownFile:
        return self._session.known(connection, job)

    def _subject(self, job: ImportJob) -> Mapping[str, Any]:
        return self._session.subject(job)


def _bounds(table: KlineTable) -> dict[str, datetime]:
    """The minutes of the table as [from, to)."""
    return {"from": _time(int(table.open_ms[0])), "to": _time(int(table.open_ms[-1]) + 60_000)}


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
