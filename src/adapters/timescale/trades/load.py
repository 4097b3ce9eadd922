"""Puts the trades of one file into the database, a piece at a time. Imported in worker processes only; blocks.

Ids that are known to be missing go straight into the table by COPY, under the lock of their symbol; the others are
compared with what is stored. A piece that holds two listings of the symbol is split where the later one begins. Each
piece is one transaction, the file's line comes with the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt
import psycopg

from ....model import FIRST_LISTING_MS
from ...binance.archive.trades import TradeTable, one_an_id
from ..copying.records import FLOAT8, INT8, Column, encode, text, timestamps
from ..errors import CLIENT_ERRORS, translate
from ..importing.job import ImportJob, ImportReport, WorkerOptions
from ..importing.session import ImportSession
from ..queries import query
from .runs import Run, run_columns

Mask = npt.NDArray[np.bool_]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOOLEAN = np.dtype("?")


@dataclass(slots=True)
class _Piece:
    table: TradeTable
    inserted: int = 0
    differing: int = 0


class TradeLoader:
    """One session, made when it is needed and again after it was lost."""

    def __init__(self, options: WorkerOptions) -> None:
        self._options = options
        self._session = ImportSession(options, query("trades", "create_incoming"))

    def load(self, job: ImportJob, tables: Callable[[], Iterator[TradeTable]]) -> ImportReport:
        """Store what is not stored yet. Raises ``Unavailable``, ``BadData`` or ``Misconfigured``.

        The pieces before an error are stored and accounted for; the next attempt finds them.
        """
        try:
            connection = self._session.connection()
            known = self._session.known(connection, job)
            if job.noted and known.imported and known.sha256 == job.sha256 and not job.force:
                return ImportReport(unchanged=known.rows, revision=known.revision, same=True)
            report = ImportReport(revision=known.next_revision(job.sha256) if job.noted else 0)
            for table in tables():
                with connection.transaction():
                    _add(report, self._piece(connection, job, table))
            if job.noted:
                rows = report.inserted + report.unchanged
                with connection.transaction():
                    self._session.note(connection, job, rows, report.revision)
            return report
        except CLIENT_ERRORS as error:
            self.close()
            raise translate(error) from error

    def close(self) -> None:
        self._session.close()

    def _piece(self, connection: psycopg.Connection, job: ImportJob, rows: TradeTable) -> _Piece:
        if not len(rows):
            self._session.reject(connection, job, rows.rejected)
            return _Piece(rows)
        cuts = self._lock(connection, job)
        piece = _Piece(one_an_id(rows, cuts))
        places = piece.table.places(cuts)
        for place in np.unique(places).tolist():
            listing = _time((FIRST_LISTING_MS, *cuts)[place])
            self._take_in(connection, job, listing, piece.table.take(places == place), piece)
        self._session.reject(connection, job, rows.rejected)
        return piece

    def _take_in(
        self,
        connection: psycopg.Connection,
        job: ImportJob,
        listing: datetime,
        table: TradeTable,
        piece: _Piece,
    ) -> None:
        """The trades of one listing, whose counts are added to those of the piece."""
        fresh = self._missing(connection, job, listing, table)
        if fresh.any():
            self._store(connection, job, listing, table.take(fresh))
        if not fresh.all():
            piece.differing += self._compare(connection, job, listing, table.take(~fresh))
        piece.inserted += int(fresh.sum())

    def _lock(self, connection: psycopg.Connection, job: ImportJob) -> list[int]:
        """Where the symbol was listed again; that, and what is stored of it, stays until this transaction ends."""
        symbol = {"exchange": self._options.exchange, "symbols": [job.file.symbol]}
        if connection.execute(query("trades", "lock"), symbol).fetchone() is None:
            connection.execute(query("trades", "begin"), symbol)
            connection.execute(query("trades", "lock"), symbol)
        line = connection.execute(query("trades", "fit"), symbol).fetchone()
        return list(line[1]) if line else []

    def _missing(
        self, connection: psycopg.Connection, job: ImportJob, listing: datetime, table: TradeTable
    ) -> Mask:
        """Which of the ids are not stored."""
        ids = table.trade_id
        asked = {
            "exchange": self._options.exchange,
            "symbol": job.file.symbol,
            "listing": listing,
            "first_id": int(ids[0]),
            "last_id": int(ids[-1]),
        }
        line = connection.execute(query("trades", "missing"), asked).fetchone()
        if line is None:
            return np.ones(len(ids), np.bool_)
        first_id, last_id, firsts, lasts = line
        missing: Mask = (ids < first_id) | (ids > last_id) | _within(ids, firsts, lasts)
        return missing

    def _store(
        self, connection: psycopg.Connection, job: ImportJob, listing: datetime, table: TradeTable
    ) -> None:
        columns = [text(self._options.exchange), text(job.file.symbol), *_columns(table)]
        runs = _runs(job.file.symbol, listing, table)
        with connection.cursor() as cursor:
            with cursor.copy(query("trades", "copy_trades")) as copy:
                for part in encode(columns, len(table)):
                    copy.write(part)
            cursor.execute(query("trades", "account"), run_columns(self._options.exchange, runs))

    def _compare(
        self, connection: psycopg.Connection, job: ImportJob, listing: datetime, table: TradeTable
    ) -> int:
        """Note the trades that say something else than what is stored, and return how many those are."""
        columns = [text(job.file.symbol), timestamps(np.full(len(table), _ms(listing))), *_columns(table)]
        with connection.cursor() as cursor:
            # What the listing before had compared lies there until the transaction ends.
            cursor.execute(query("trades", "clear_incoming"))
            with cursor.copy(query("trades", "copy_incoming")) as copy:
                for part in encode(columns, len(table)):
                    copy.write(part)
            bounds = {
                "exchange": self._options.exchange,
                "since": _time(table.ts_ms.min()),
                "until": _time(table.ts_ms.max()),
            }
            rows = cursor.execute(query("trades", "differing"), bounds).fetchall()
        differs = np.isin(table.trade_id, [row[1] for row in rows])
        table.refuse(~differs, "trade_differs", "stored otherwise; the stored trade stays")
        return len(rows)


def _within(ids: npt.NDArray[np.int64], firsts: Sequence[int], lasts: Sequence[int]) -> Mask:
    """Which ids lie in one of the gaps, which are in order and apart."""
    if not firsts:
        return np.zeros(len(ids), np.bool_)
    places = np.searchsorted(np.array(firsts, np.int64), ids, side="right") - 1
    inside: Mask = (places >= 0) & (ids <= np.array(lasts, np.int64)[places])
    return inside


def _runs(symbol: str, listing: datetime, table: TradeTable) -> list[Run]:
    """The trades as runs of ids without a gap."""
    breaks = np.flatnonzero(np.diff(table.trade_id) != 1)
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(table) - 1]])
    return [
        Run(
            symbol,
            _ms(listing),
            int(table.trade_id[start]),
            int(table.trade_id[end]),
            _time(table.ts_ms[start]),
            _time(table.ts_ms[end]),
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _columns(table: TradeTable) -> list[Column]:
    """The columns of ``agg_trades`` behind the symbol."""
    return [
        Column(INT8, table.trade_id),
        timestamps(table.ts_ms),
        Column(FLOAT8, table.price),
        Column(FLOAT8, table.quantity),
        Column(_BOOLEAN, table.is_buyer_maker),
    ]


def _add(report: ImportReport, piece: _Piece) -> None:
    table = piece.table
    report.lines += table.lines
    report.duplicates += table.duplicates
    report.inserted += piece.inserted
    report.unchanged += len(table) - piece.inserted
    report.kept_by_rank += piece.differing
    for counts, told in ((report.reasons, table.reasons), (report.inexact, table.inexact)):
        for name, rows in told.items():
            counts[name] = counts.get(name, 0) + rows


def _time(ms: int | np.int64) -> datetime:
    return _EPOCH + timedelta(milliseconds=int(ms))


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)
