"""Where candles go: the writer's one session, which also holds the instance lock and the landing table.

The session is never replaced while it works: that would open a moment in which another instance could take the
lock. A live flush holds one new minute of each symbol, and is inserted without looking for stored rows first; whatever
else comes goes through the guarded upsert (docs/adr/0034-new-rows-need-no-guard.md).
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation

from ....errors import ConfigError, Unavailable
from ....model import Candle, Gap, WriteResult
from ....telemetry.metrics import Metrics
from ..errors import sqlstate_class
from ..options import DatabaseOptions
from ..queries import query
from ..rows import printable, rejected_row, winners
from ..schema.migrations import refuse_pending
from ..sessions.lock import refuse_pooler, take_lock
from ..sessions.session import Session
from .frontier import Frontier
from .landing import LandingTable

T = TypeVar("T")


class CandleStore:
    """``ports.CandleSink`` on TimescaleDB. One transaction a write, safe to repeat whatever became of the first.

    Counts ``database_up`` and ``database_errors``; everything about rows is counted by the caller.
    """

    def __init__(self, options: DatabaseOptions, metrics: Metrics | None = None) -> None:
        self._options = options
        self._metrics = metrics
        self._session: Session | None = None
        self._landing = LandingTable(options.exchange)
        self._frontier = Frontier()
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

        Raises ``ConfigError`` (pending migrations, ``synchronous_commit = off``, a pooler), ``AlreadyRunning`` with the
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
        await refuse_pooler(connection)
        await _refuse_lossy_commit(connection)
        await refuse_pending(connection, self._options.schema)
        name = self._options.application_name(self._options.role)
        await take_lock(connection, self._options, application_name=name)
        await self._landing.prepare(connection)
        self._frontier.forget()
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
        await self._landing.prepare(connection)
        counts = await self._insert(connection, rows, gaps) if self._frontier.lies_before(rows) else None
        if counts is None:
            async with connection.transaction():
                counts = await self._landing.merge(connection, rows) if rows else (0, 0)
                await self._note(connection, gaps)
        self._frontier.advance(rows)
        return counts

    async def _insert(
        self, connection: AsyncConnection, rows: Sequence[Candle], gaps: Sequence[Gap]
    ) -> tuple[int, int] | None:
        """Store rows that should all be new; None, and nothing is done, if somebody has stored one."""
        try:
            async with connection.transaction():
                counts = await self._landing.insert(connection, rows)
                await self._note(connection, gaps)
        except UniqueViolation as error:
            self._count_error(sqlstate_class(error))
            return None
        return counts

    async def _note(self, connection: AsyncConnection, gaps: Sequence[Gap]) -> None:
        if gaps:
            await connection.execute(query("candles", "insert_gaps"), self._gap_columns(gaps))

    def _gap_columns(self, gaps: Sequence[Gap]) -> dict[str, object]:
        # Escaped, because a poison row that fell out of the buffer leaves its symbol here.
        return {
            "exchange": self._options.exchange,
            "symbols": [printable(gap.symbol, 200) for gap in gaps],
            "from_ms": [gap.from_ms for gap in gaps],
            "to_ms": [gap.to_ms for gap in gaps],
            "reasons": [printable(gap.reason, 100) for gap in gaps],
        }

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


async def _refuse_lossy_commit(connection: AsyncConnection) -> None:
    row = await (await connection.execute(query("session", "synchronous_commit"))).fetchone()
    if row and row[0] == "off":
        raise ConfigError(
            "database: synchronous_commit is off for this role or server, so a committed row could be lost;"
            " set it to on (ALTER ROLE ... SET synchronous_commit = on)"
        )
