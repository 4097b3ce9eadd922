"""Where candles go: the writer's one session, which also holds the instance lock and the landing table.

The session is never replaced while it works. A temporary table that lives for weeks would hold back
``datfrozenxid`` (autovacuum cannot freeze another session's table), so every six hours the *table* is dropped and
made again inside a flush. Replacing the session instead would open a moment in which another instance could
take the lock.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from psycopg import AsyncConnection

from ...errors import ConfigError, Unavailable
from ...model import Candle, Dataset, Gap, WriteResult
from ...telemetry.metrics import Metrics
from .ledger_work import row_columns
from .lock import take_lock
from .migrations import pending
from .options import DatabaseOptions
from .queries import query
from .rows import COLUMN_TYPES, as_row, printable, rejected_row, winners
from .session import Session

T = TypeVar("T")

_RENEW_S = 6 * 3600.0


class CandleStore:
    """``ports.CandleSink`` on TimescaleDB. One transaction a write, safe to repeat whatever became of the first.

    Counts ``database_up`` and ``database_errors``; everything about rows is counted by the caller.
    """

    def __init__(self, options: DatabaseOptions, metrics: Metrics | None = None) -> None:
        self._options = options
        self._metrics = metrics
        self._session: Session | None = None
        self._table_made = 0.0
        self._clean_start: int | None = None

    @property
    def clean_start(self) -> int:
        """1 the run before this one ended by itself, 0 it did not, -1 there was none or ``open`` was not called."""
        return -1 if self._clean_start is None else self._clean_start

    @property
    def is_open(self) -> bool:
        """True while there is a session that is not known to be lost."""
        return self._session is not None and self._session.alive

    async def open(self) -> None:
        """Connect, check, take the lock; does nothing while the session lives.

        Raises ``ConfigError`` (pending migrations, ``synchronous_commit = off``), ``AlreadyRunning`` with the
        holder's pid, host and start, ``Unavailable`` or ``Misconfigured``.
        """
        if self.is_open:
            return
        await self.close()
        session = await Session.connect(
            self._options, purpose=self._options.role, writable=True, on_error=self._count_error
        )
        try:
            await session.call(self._prepare(session.connection))
        except BaseException:
            session.drop()
            raise
        self._session = session
        self._set_up(True)

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult:
        """Store ``candles`` and remember ``gaps`` in one transaction; see ``ports.CandleSink`` for the errors.

        A stored row gives way only to one of larger ``Candle.rank``, so the same rows again change nothing. That
        is what makes a lost answer to COMMIT harmless: the caller writes again and gets ``unchanged``.
        """
        rows = winners(candles)
        if not rows and not gaps:
            return WriteResult(0, 0, 0)
        session = self._open_session()
        inserted, replaced = await self._call(session, self._write(session.connection, rows, gaps))
        return WriteResult(inserted, replaced, len(candles) - inserted - replaced)

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None:
        """Keep a row that cannot be stored as text in ``rejected_rows``; again only counts it up."""
        session = self._open_session()
        row = rejected_row(self._options.exchange, candle, reason=reason, detail=detail)
        await self._call(session, _execute(session.connection, "insert_rejected", row))

    async def finish_run(self) -> None:
        """Note that this run ended by itself; the next start then counts as clean."""
        session = self._open_session()
        await self._call(session, self._finish(session.connection))

    async def close(self) -> None:
        """End the session and with it the lock. Never waits for the server."""
        if self._session is not None:
            self._session.drop()
            self._session = None
        self._set_up(False)

    async def _prepare(self, connection: AsyncConnection) -> None:
        await _refuse_lossy_commit(connection)
        if names := await pending(connection, self._options.schema):
            raise ConfigError(
                f"schema {self._options.schema}: pending migrations: {', '.join(names)}; run `marketd migrate`"
            )
        name = self._options.application_name(self._options.role)
        await take_lock(connection, self._options, application_name=name)
        await self._make_table(connection)
        await self._start_run(connection)

    async def _start_run(self, connection: AsyncConnection) -> None:
        run = self._run()
        if self._clean_start is None:
            before = await (await connection.execute(query("session", "previous_run"), run)).fetchone()
            self._clean_start = int(before[0]) if before else -1
            if self._metrics:
                self._metrics.clean_start.set(self._clean_start)
        await connection.execute(query("session", "start_run"), run)

    async def _finish(self, connection: AsyncConnection) -> None:
        await connection.execute(query("session", "finish_run"), self._run())

    def _run(self) -> dict[str, object]:
        options = self._options
        names = ("run_id", "role", "exchange", "host", "pid", "version")
        return {name: getattr(options, name) for name in names}

    async def _write(
        self, connection: AsyncConnection, rows: Sequence[Candle], gaps: Sequence[Gap]
    ) -> tuple[int, int]:
        counts = (0, 0)
        async with connection.transaction():
            if time.monotonic() - self._table_made > _RENEW_S:
                await self._make_table(connection)
            if rows:
                await _copy(connection, rows)
                cursor = await connection.execute(
                    query("candles", "upsert"), {"exchange": self._options.exchange}
                )
                inserted, replaced, absences = await cursor.fetchone() or (0, 0, False)
                counts = (inserted, replaced)
                if absences:
                    keys = row_columns(self._options.exchange, Dataset.CANDLES, (row.key for row in rows))
                    await connection.execute(query("absences", "take_back_absences"), keys)
            if gaps:
                await connection.execute(query("candles", "insert_gaps"), self._gap_columns(gaps))
        return counts

    def _gap_columns(self, gaps: Sequence[Gap]) -> dict[str, object]:
        # Escaped, because a poison row that fell out of the buffer leaves its symbol here.
        return {
            "exchange": self._options.exchange,
            "symbols": [printable(gap.symbol, 200) for gap in gaps],
            "from_ms": [gap.from_ms for gap in gaps],
            "to_ms": [gap.to_ms for gap in gaps],
            "reasons": [printable(gap.reason, 100) for gap in gaps],
        }

    async def _make_table(self, connection: AsyncConnection) -> None:
        await connection.execute(query("candles", "drop_incoming"))
        await connection.execute(query("candles", "create_incoming"))
        self._table_made = time.monotonic()

    async def _call(self, session: Session, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await session.call(work)
        finally:
            if not session.alive:
                self._set_up(False)

    def _open_session(self) -> Session:
        if self._session is None or not self._session.alive:
            raise Unavailable("database: no session; open it again", reason="connection")
        return self._session

    def _set_up(self, up: bool) -> None:
        if self._metrics:
            self._metrics.database_up.set(up)

    def _count_error(self, sqlstate_class: str) -> None:
        if self._metrics:
            self._metrics.database_errors.labels(sqlstate_class).inc()


async def _execute(connection: AsyncConnection, name: str, parameters: dict[str, object]) -> None:
    await connection.execute(query("candles", name), parameters)


async def _copy(connection: AsyncConnection, rows: Sequence[Candle]) -> None:
    async with connection.cursor() as cursor, cursor.copy(query("candles", "copy_incoming")) as copy:
        copy.set_types(COLUMN_TYPES)
        for row in rows:
            await copy.write_row(as_row(row))


async def _refuse_lossy_commit(connection: AsyncConnection) -> None:
    row = await (await connection.execute(query("session", "synchronous_commit"))).fetchone()
    if row and row[0] == "off":
        raise ConfigError(
            "database: synchronous_commit is off for this role or server, so a committed row could be lost;"
            " set it to on (ALTER ROLE ... SET synchronous_commit = on)"
        )
