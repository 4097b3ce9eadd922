"""What the database says about itself and about the data, for ``marketd status`` and ``marketd doctor``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from psycopg import AsyncConnection
from psycopg.rows import class_row

from ..options import DatabaseOptions
from ..queries import query
from ..schema.migrations import pending
from ..sessions.lock import LockHolder, lock_holder
from ..sessions.session import Session

T = TypeVar("T")

STALE_AFTER = timedelta(seconds=150)
_LOOK_BACK = timedelta(hours=24)
_HOURS = timedelta(hours=6)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Server:
    """The server and who we are on it. ``timescaledb`` is None without the extension, ``size_bytes`` the database's."""

    postgresql: str
    timescaledb: str | None
    edition: str
    max_locks_per_transaction: int
    max_connections: int
    synchronous_commit: str
    fsync: str
    read_only: bool
    role: str
    database: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the daemon; ``clean`` is None while it works, and for ever if it was killed."""

    run_id: str
    role: str
    host: str
    pid: int
    version: str
    started_at: datetime
    stopped_at: datetime | None
    clean: bool | None


@dataclass(frozen=True, slots=True)
class Table:
    """``approximate_rows`` comes from the planner's statistics; ``chunks`` is 0 for a plain table."""

    name: str
    bytes: int
    approximate_rows: int
    chunks: int


@dataclass(frozen=True, slots=True)
class Losses:
    """The last 24 h: rows refused, minutes lost from a full buffer, candles overwritten."""

    rejected_rows: int
    lost_minutes: int
    overwritten_candles: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """All of it. With ``pending`` migrations only ``server`` and ``pending`` are filled.

    ``newest`` is the start of the newest minute of each symbol that has one in the last 24 h, ``rows_per_hour`` the
    candles of the six hours before the newest of all.
    """

    server: Server
    pending: list[str]
    missing_rights: list[str] = field(default_factory=list)
    lock_holder: LockHolder | None = None
    runs: list[Run] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    newest: Mapping[str, datetime] = field(default_factory=dict)
    rows_per_hour: list[tuple[datetime, int]] = field(default_factory=list)
    losses: Losses | None = None

    @property
    def newest_minute(self) -> datetime | None:
        """The start of the newest stored minute of any symbol."""
        return max(self.newest.values(), default=None)

    def stale(self) -> dict[str, datetime]:
        """Symbols whose newest minute is over 150 s behind the newest of all, the stalest first."""
        newest = self.newest_minute
        late = {symbol: ts for symbol, ts in self.newest.items() if newest and newest - ts > STALE_AFTER}
        return dict(sorted(late.items(), key=lambda item: (item[1], item[0])))

    def as_dict(self, *, stale: int = 10) -> dict[str, Any]:
        """For JSON: times as ISO 8601 text, at most ``stale`` stale symbols."""
        late = self.stale()
        report = {
            "server": asdict(self.server),
            "pending_migrations": self.pending,
            "missing_rights": self.missing_rights,
            "lock_holder": asdict(self.lock_holder) if self.lock_holder else None,
            "runs": [asdict(run) for run in self.runs],
            "tables": [asdict(table) for table in self.tables],
            "symbols": len(self.newest),
            "newest_minute": self.newest_minute,
            "stale_symbols": len(late),
            "stalest": dict(list(late.items())[:stale]),
            "rows_per_hour": [{"hour": hour, "rows": rows} for hour, rows in self.rows_per_hour],
            "last_24h": asdict(self.losses) if self.losses else None,
        }
        return {name: _plain(value) for name, value in report.items()}


async def inspect(url: str, schema: str, exchange: str, *, role: str = "ws") -> Inspection:
    """Ask everything over one short connection. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
    options = DatabaseOptions(url, schema=schema, exchange=exchange, role=role)
    session = await Session.connect(options, purpose="status", writable=False, prepare_threshold=None)
    try:
        return await session.call(_inspect(session.connection, options))
    finally:
        session.drop()


async def _inspect(connection: AsyncConnection, options: DatabaseOptions) -> Inspection:
    [server] = await _all(connection, Server, "server", {})
    names = await pending(connection, options.schema) if server.timescaledb else ["(no timescaledb)"]
    if names:
        return Inspection(server, names)
    who = {"exchange": options.exchange, "schema": options.schema}
    newest = await _newest(connection, who)
    rights = await (await connection.execute(query("inspection", "missing_rights"))).fetchall()
    [losses] = await _all(connection, Losses, "losses", who)
    return Inspection(
        server,
        names,
        missing_rights=[str(row[0]) for row in rights],
        lock_holder=await lock_holder(connection, options),
        runs=await _all(connection, Run, "runs", who),
        tables=await _all(connection, Table, "tables", who),
        newest=newest,
        rows_per_hour=await _rows_per_hour(connection, who, newest),
        losses=losses,
    )


async def _newest(connection: AsyncConnection, who: dict[str, str]) -> dict[str, datetime]:
    found = await (await connection.execute(query("inspection", "chunk_interval"), who)).fetchone()
    chunk: timedelta = found[0] if found else timedelta(days=7)
    since = datetime.now(UTC) - _LOOK_BACK
    earliest = since - (since - _EPOCH) % chunk
    cursor = await connection.execute(
        query("inspection", "newest_minutes"), {**who, "since": since, "earliest": earliest}
    )
    return {str(symbol): ts for symbol, ts in await cursor.fetchall()}


async def _rows_per_hour(
    connection: AsyncConnection, who: dict[str, str], newest: Mapping[str, datetime]
) -> list[tuple[datetime, int]]:
    if not newest:
        return []
    last = max(newest.values())
    first = last.replace(minute=0) - _HOURS + timedelta(hours=1)
    cursor = await connection.execute(
        query("inspection", "rows_per_hour"), {**who, "symbols": list(newest), "since": first}
    )
    return [(hour, int(rows)) for hour, rows in await cursor.fetchall()]


async def _all(
    connection: AsyncConnection, kind: type[T], name: str, parameters: Mapping[str, object]
) -> list[T]:
    async with connection.cursor(row_factory=class_row(kind)) as cursor:
        await cursor.execute(query("inspection", name), parameters)
        return await cursor.fetchall()


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
