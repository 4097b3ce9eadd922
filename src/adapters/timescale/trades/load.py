"""Puts the trades of one file into the database, a piece at a time. Imported in worker processes only; blocks.

Ids that are known to be missing go straight into the table by COPY, under the lock of their symbol; the others are
compared with what is stored. Each piece is one transaction, the file's line comes with the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import psycopg

from ...binance.archive.trades import TradeTable
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
    inserted: int
    differing: int


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
                    _add(report, table, self._piece(connection, job, table))
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

    def _piece(self, connection: psycopg.Connection, job: ImportJob, table: TradeTable) -> _Piece:
        if not len(table):
            self._session.reject(connection, job, table.rejected)
            return _Piece(0, 0)
        fresh = self._missing(connection, job, table)
        if fresh.any():
            self._store(connection, job, table.take(fresh))
        differing = 0 if fresh.all() else self._compare(connection, job, table.take(~fresh))
        self._session.reject(connection, job, table.rejected)
        return _Piece(int(fresh.sum()), differing)

    def _missing(self, connection: psycopg.Connection, job: ImportJob, table: TradeTable) -> Mask:
        """Which of the ids are not stored, as it stays until this transaction ends."""
        symbol = {"exchange": self._options.exchange, "symbols": [job.file.symbol]}
        line = connection.execute(query("trades", "lock"), symbol).fetchone()
        if line is None:
            connection.execute(query("trades", "begin"), symbol)
            line = connection.execute(query("trades", "lock"), symbol).fetchone()
        ids = table.trade_id
        if line is None or line[1] is None:
            return np.ones(len(ids), np.bool_)
        _, first_id, last_id = line
        bounds = {
            "exchange": self._options.exchange,
            "symbol": job.file.symbol,
            "first_id": int(ids[0]),
            "last_id": int(ids[-1]),
        }
        gaps = connection.execute(query("trades", "missing"), bounds).fetchall()
        missing: Mask = (ids < first_id) | (ids > last_id) | _within(ids, gaps)
        return missing

    def _store(self, connection: psycopg.Connection, job: ImportJob, table: TradeTable) -> None:
        columns = [text(self._options.exchange), *_columns(job.file.symbol, table)]
        with connection.cursor() as cursor:
            with cursor.copy(query("trades", "copy_trades")) as copy:
                for part in encode(columns, len(table)):
                    copy.write(part)
            cursor.execute(
                query("trades", "account"), run_columns(self._options.exchange, _runs(job.file.symbol, table))
            )

    def _compare(self, connection: psycopg.Connection, job: ImportJob, table: TradeTable) -> int:
        """Note the trades that say something else than what is stored, and return how many those are."""
        with connection.cursor() as cursor:
            with cursor.copy(query("trades", "copy_incoming")) as copy:
                for part in encode(_columns(job.file.symbol, table), len(table)):
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


def _within(ids: npt.NDArray[np.int64], gaps: list[tuple[Any, ...]]) -> Mask:
    """Which ids lie in one of the gaps, which are in order and apart."""
    if not gaps:
        return np.zeros(len(ids), np.bool_)
    firsts, lasts = (np.array(ends, np.int64) for ends in zip(*gaps, strict=True))
    places = np.searchsorted(firsts, ids, side="right") - 1
    inside: Mask = (places >= 0) & (ids <= lasts[places])
    return inside


def _runs(symbol: str, table: TradeTable) -> list[Run]:
    """The trades as runs of ids without a gap."""
    breaks = np.flatnonzero(np.diff(table.trade_id) != 1)
    starts = np.concatenate([[0], breaks + 1])
    ends = np.concatenate([breaks, [len(table) - 1]])
    return [
        Run(
            symbol,
            int(table.trade_id[start]),
            int(table.trade_id[end]),
            _time(table.ts_ms[start]),
            _time(table.ts_ms[end]),
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _columns(symbol: str, table: TradeTable) -> list[Column]:
    """The columns of ``trades_incoming`` in order."""
    return [
        text(symbol),
        Column(INT8, table.trade_id),
        timestamps(table.ts_ms),
        Column(FLOAT8, table.price),
        Column(FLOAT8, table.quantity),
        Column(_BOOLEAN, table.is_buyer_maker),
    ]


def _add(report: ImportReport, table: TradeTable, piece: _Piece) -> None:
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
