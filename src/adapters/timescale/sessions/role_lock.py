"""The instance lock of a role that has no writer's session of its own, on a connection that does nothing else."""

from __future__ import annotations

from psycopg import AsyncConnection

from ....errors import Unavailable
from ....telemetry.metrics import Metrics
from ..options import DatabaseOptions
from ..queries import query
from ..schema.migrations import refuse_pending
from .lock import refuse_pooler, take_lock
from .session import Session

_RUN_FIELDS = ("run_id", "role", "exchange", "host", "pid", "version")


class SessionLock:
    """``ports.RoleLock``. The lock goes with the session, so whoever lost the session has lost the lock.

    Without ``exclusive`` any number of processes may have it: the tables must be up to date, and the run is noted.
    """

    def __init__(
        self, options: DatabaseOptions, metrics: Metrics | None = None, *, exclusive: bool = True
    ) -> None:
        self._options = options
        self._exclusive = exclusive
        self._metrics = metrics
        self._session: Session | None = None

    @property
    def is_open(self) -> bool:
        """True while there is a session that is not known to be lost."""
        return self._session is not None and self._session.alive

    async def open(self) -> None:
        """Connect, refuse a pooler and pending migrations, take the lock, note the run.

        Does nothing while the session lives. Raises ``ConfigError``, ``AlreadyRunning``, ``Unavailable`` or
        ``Misconfigured``.
        """
        if self.is_open:
            return
        await self.close()
        session = await Session.connect(
            self._options, purpose=self._options.role, writable=True, on_error=self._count
        )
        try:
            await session.call(self._take(session.connection))
        except BaseException:
            session.drop()
            raise
        self._session = session

    async def check(self) -> None:
        """Ask the server for a word; raises ``Unavailable`` when the session, and with it the lock, is gone."""
        if self._session is None or not self._session.alive:
            raise Unavailable("database: no session; open it again", reason="connection")
        await self._session.call(_ask(self._session.connection))

    async def finish_run(self) -> None:
        """Note that this run ended by itself."""
        if self._session is not None and self._session.alive:
            await self._session.call(_finish(self._session.connection, self._run()))

    async def close(self) -> None:
        """End the session and with it the lock. Never waits for the server."""
        if self._session is not None:
            self._session.drop()
            self._session = None

    async def _take(self, connection: AsyncConnection) -> None:
        await refuse_pooler(connection)
        await refuse_pending(connection, self._options.schema)
        name = self._options.application_name(self._options.role)
        if self._exclusive:
            await take_lock(connection, self._options, application_name=name)
        await connection.execute(query("session", "start_run"), self._run())

    def _run(self) -> dict[str, object]:
        return {name: getattr(self._options, name) for name in _RUN_FIELDS}

    def _count(self, sqlstate_class: str) -> None:
        if self._metrics:
            self._metrics.database_errors.labels(sqlstate_class).inc()


async def _ask(connection: AsyncConnection) -> None:
    await connection.execute(query("session", "alive"))


async def _finish(connection: AsyncConnection, run: dict[str, object]) -> None:
    await connection.execute(query("session", "finish_run"), run)
