"""Puts the rows of one parsed file into the database. Imported in worker processes only; everything here blocks.

Rows that are not stored are loaded straight into the table: those of days that the ledger knows to be empty, and of
others after a look. The rest is compared, and only rows that differ go through the guarded statement. Rows, counts and
the file's line are one transaction.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg

from ...errors import Misconfigured
from ...model import Dataset
from ..binance.archive_klines import KlineTable
from .copy_records import decode
from .errors import CLIENT_ERRORS, translate
from .import_job import ImportJob, ImportReport, Loaded, WorkerOptions
from .import_rows import (
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
from .ledger_work import row_columns
from .options import conninfo
from .queries import query
from .rows import printable

_PATIENCE = {"lock_timeout": "20s", "statement_timeout": "90s"}
_RENEW_S = 3600.0
"""A session is not kept longer: its temporary table would hold back ``datfrozenxid``."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_MS = 2**62


class Loader:
    """One session, made when it is needed and again after it was lost."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._connection: psycopg.Connection | None = None
        self._made = 0.0
        self._chunks: list[tuple[int, int]] = []

    def load(self, job: ImportJob, table: KlineTable) -> ImportReport:
        """Store what is not stored yet. Raises ``Unavailable``, ``BadData`` or ``Misconfigured``.

        Nothing is stored then but perhaps the first rows of new chunks, with their counts; the next attempt finds them.
        """
        try:
            connection = self._session()
            return self._load(connection, job, table)
        except CLIENT_ERRORS as error:
            self.close()
            raise translate(error) from error

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*CLIENT_ERRORS):
                self._connection.close()
            self._connection = None

    def _session(self) -> psycopg.Connection:
        if self._connection is not None and time.monotonic() - self._made > _RENEW_S:
            self.close()
        if self._connection is None or self._connection.closed:
            options = self._options
            info = conninfo(options.url, application_name=options.application_name, writable=True)
            # Never prepared: only a plan made for these very bounds leaves out the chunks that cannot matter.
            connection = psycopg.connect(info, autocommit=True, prepare_threshold=None)
            connection.execute(query("session", "configure"), {"schema": options.schema, **_PATIENCE})
            row = connection.execute(query("session", "synchronous_commit")).fetchone()
            if row and row[0] == "off":
                raise Misconfigured("database: synchronous_commit is off for this role or server")
            connection.execute(query("candles", "create_incoming"))
            self._connection, self._made = connection, time.monotonic()
        return self._connection

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
        file = job.file
        connection.execute(
            query("imports", "note_file"),
            {
                **self._subject(job),
                "path": file.path,
                "span": str(file.span),
                "first_day": file.first_day,
                "sha256": job.sha256,
                "size_bytes": job.local.stat().st_size,
                "file_rows": len(table),
                "revision": revision,
            },
        )
        rejected = [
            {
                "exchange": self._options.exchange,
                "reason": row.reason,
                "symbol": printable(file.symbol, 200),
                "open_ms": row.open_ms,
                "detail": printable(f"{file.path}: {row.detail}", 1000),
                "raw_row": printable(row.raw),
            }
            for row in table.rejected
        ]
        if rejected:
            with connection.cursor() as cursor:
                cursor.executemany(query("candles", "insert_rejected"), rejected)

    def _claim(self, connection: psycopg.Connection, job: ImportJob) -> None:
        claims = {**self._subject(job), "symbols": [job.file.symbol], "months": [job.month]}
        connection.execute(query("repairs", "claim"), claims)

    def _known(self, connection: psycopg.Connection, job: ImportJob) -> _Known:
        parameters = {**self._subject(job), "path": job.file.path}
        row = connection.execute(query("imports", "known_file"), parameters).fetchone()
        return _Known(*row) if row else _Known()

    def _subject(self, job: ImportJob) -> Mapping[str, Any]:
        file = job.file
        return {"exchange": self._options.exchange, "dataset": str(file.dataset), "symbol": file.symbol}


@dataclass(frozen=True, slots=True)
class _Known:
    """What ``archive_files`` says of a file."""

    imported: bool = False
    sha256: str = ""
    revision: int = 0
    rows: int = 0

    def next_revision(self, sha256: str) -> int:
        """Another content than the one that was imported is the next revision of the file."""
        return self.revision + 1 if self.sha256 and self.sha256 != sha256 else self.revision


def _bounds(table: KlineTable) -> dict[str, datetime]:
    """The minutes of the table as [from, to)."""
    return {"from": _time(int(table.open_ms[0])), "to": _time(int(table.open_ms[-1]) + 60_000)}


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
