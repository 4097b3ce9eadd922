"""What every loader of archive files stands on: one session of the database, and the line that a file has.

Imported in worker processes only; everything here blocks.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString, Protocol

import psycopg

from ....errors import Misconfigured
from ..errors import CLIENT_ERRORS
from ..options import conninfo
from ..queries import query
from ..rows import printable
from .job import ImportJob, WorkerOptions

_PATIENCE = {"lock_timeout": "20s", "statement_timeout": "90s"}
_RENEW_S = 3600.0
"""A session is not kept longer: its temporary table would hold back ``datfrozenxid``."""


class RejectedRow(Protocol):
    """A row that was refused, as text; ``open_ms`` is its time, 0 where not even that could be read."""

    reason: str
    detail: str
    raw: str
    open_ms: int


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What ``archive_files`` says of a file."""

    imported: bool = False
    sha256: str = ""
    revision: int = 0
    rows: int = 0

    def next_revision(self, sha256: str) -> int:
        """Another content than the one that was imported is the next revision of the file."""
        return self.revision + 1 if self.sha256 and self.sha256 != sha256 else self.revision


class ImportSession:
    """One session, made when it is needed and again after it was lost. ``landing`` makes its temporary table."""

    def __init__(self, options: WorkerOptions, landing: LiteralString) -> None:
        self._options = options
        self._landing = landing
        self._connection: psycopg.Connection | None = None
        self._made = 0.0

    def connection(self) -> psycopg.Connection:
        """Raises what psycopg raises, or ``Misconfigured``."""
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
            connection.execute(self._landing)
            self._connection, self._made = connection, time.monotonic()
        return self._connection

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*CLIENT_ERRORS):
                self._connection.close()
            self._connection = None

    def subject(self, job: ImportJob) -> Mapping[str, Any]:
        """What a file is about, as parameters."""
        file = job.file
        return {"exchange": self._options.exchange, "dataset": str(file.dataset), "symbol": file.symbol}

    def known(self, connection: psycopg.Connection, job: ImportJob) -> KnownFile:
        """The line of the job's file; an empty one where it has none."""
        parameters = {**self.subject(job), "path": job.file.path}
        row = connection.execute(query("imports", "known_file"), parameters).fetchone()
        return KnownFile(*row) if row else KnownFile()

    def note(self, connection: psycopg.Connection, job: ImportJob, rows: int, revision: int) -> None:
        """Write the line of a file that was imported whole."""
        file = job.file
        connection.execute(
            query("imports", "note_file"),
            {
                **self.subject(job),
                "path": file.path,
                "span": str(file.span),
                "first_day": file.first_day,
                "sha256": job.sha256,
                "size_bytes": job.local.stat().st_size,
                "file_rows": rows,
                "revision": revision,
            },
        )

    def reject(self, connection: psycopg.Connection, job: ImportJob, rows: Iterable[RejectedRow]) -> None:
        """Keep refused rows aside as text."""
        rejected = [
            {
                "exchange": self._options.exchange,
                "reason": row.reason,
                "symbol": printable(job.file.symbol, 200),
                "open_ms": row.open_ms,
                "detail": printable(f"{job.file.path}: {row.detail}", 1000),
                "raw_row": printable(row.raw),
            }
            for row in rows
        ]
        if rejected:
            with connection.cursor() as cursor:
                cursor.executemany(query("candles", "insert_rejected"), rejected)
