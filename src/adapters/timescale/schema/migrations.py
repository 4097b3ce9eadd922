"""Brings the schema up to date from plain SQL files; the rules are in ``sql/README.md``.

The lock is polled, never waited for: a session blocked in ``pg_advisory_lock`` holds a snapshot, and a migration that
builds an index concurrently waits for every snapshot, so the two would deadlock.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.pq import TransactionStatus

from ....errors import ConfigError, Misconfigured, Unavailable
from ..errors import CLIENT_ERRORS, translate
from ..options import conninfo
from ..queries import query
from .catalogue import Catalogue, SqlFile, read_catalogue
from .grants import grant
from .package_schema import PackageSchema, read_package_schema

# Arbitrary, one for each database: extensions belong to the database, not to a schema.
_LOCK_KEY = 0x6D61_726B_6574_6400
_POLL_S = 0.1
_NAMED = 3
_LEDGER_COLUMNS = ["name", "sha256", "applied_at"]
_OLDEST_SERVER = 150000

Progress = Callable[[str], None]
"""Told the name of each file just before it is applied."""


@dataclass(frozen=True, slots=True)
class MigrationOptions:
    """``owner_url`` owns the tables; ``writer_role`` and ``reader_role`` are named when they are other roles."""

    owner_url: str
    schema: str = "market_data"
    chunk_days: int = 7
    writer_role: str = ""
    reader_role: str = ""
    wait_s: float = 120.0
    sql_folder: Path | None = None
    package_folder: Path | None = None


@dataclass(frozen=True, slots=True)
class _Files:
    """Our own files, then those that the queue's package brings."""

    ours: Catalogue
    package: PackageSchema

    def pending(self, ledger: Mapping[str, str]) -> list[SqlFile]:
        return self.ours.pending(ledger) + self.package.pending(ledger)


async def migrate(options: MigrationOptions, progress: Progress = lambda _: None) -> list[str]:
    """Apply what is pending; returns the names applied, which may be none. Harmless to repeat and to run at once.

    Raises ``ConfigError`` (a file or the schema is not as it must be), ``Misconfigured`` (the database refuses a
    statement; the file's name is in the text) or ``Unavailable``.
    """
    files = _Files(read_catalogue(options.sql_folder), read_package_schema(options.package_folder))
    info = conninfo(options.owner_url, application_name="marketd/migrate", writable=True)
    try:
        async with await AsyncConnection.connect(info, autocommit=True, prepare_threshold=None) as connection:
            await _take_lock(connection, options.wait_s)
            await _prepare(connection, options)
            applied = await _apply_all(connection, files, options, progress)
            if options.writer_role:
                await grant(connection, "writer", schema=options.schema, role=options.writer_role)
            if options.reader_role and options.reader_role != options.writer_role:
                await grant(connection, "reader", schema=options.schema, role=options.reader_role)
            return applied
    except CLIENT_ERRORS as error:
        raise translate(error) from error


async def refuse_pending(connection: AsyncConnection, schema: str) -> None:
    """Raises ``ConfigError`` where the schema is not up to date; a new one lacks more files than a line can name."""
    if names := await pending(connection, schema):
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        named = ", ".join(names[:_NAMED]) + more
        raise ConfigError(f"schema {schema}: pending migrations: {named}; run `marketd migrate`")


async def pending_migrations(url: str, schema: str) -> list[str]:
    """``pending`` on a connection of its own. Raises ``Unavailable`` or ``Misconfigured``."""
    info = conninfo(url, application_name="marketd/pending", writable=False)
    try:
        async with await AsyncConnection.connect(info, autocommit=True) as connection:
            return await pending(connection, schema)
    except CLIENT_ERRORS as error:
        raise translate(error) from error


async def pending(connection: AsyncConnection, schema: str, sql_folder: Path | None = None) -> list[str]:
    """Names of the files that ``migrate`` would apply. A ledger that knows more than our files is no concern here."""
    files = _Files(read_catalogue(sql_folder), read_package_schema())
    ledger = await _ledger(connection, schema) if await _has_ledger(connection, schema) else {}
    return [file.name for file in files.pending(ledger)]


async def _take_lock(connection: AsyncConnection, wait_s: float) -> None:
    give_up = time.monotonic() + wait_s
    while not await _value(connection, query("migrations", "try_lock"), {"key": _LOCK_KEY}):
        if time.monotonic() > give_up:
            raise Unavailable(
                f"database: another migration has been running for over {wait_s:g} s", reason="lock"
            )
        await asyncio.sleep(_POLL_S)


async def _prepare(connection: AsyncConnection, options: MigrationOptions) -> None:
    if (version := connection.info.server_version) < _OLDEST_SERVER:
        raise ConfigError(f"database: PostgreSQL {version // 10000} is too old, 15 is the oldest that works")
    await _ensure_extension(connection)
    schema = sql.Identifier(options.schema)
    if not await _value(connection, query("migrations", "schema_exists"), {"schema": options.schema}):
        await connection.execute(sql.SQL(query("migrations", "create_schema")).format(schema=schema))
    await connection.execute(
        query("migrations", "configure"), {"schema": options.schema, "chunk_days": str(options.chunk_days)}
    )
    if not await _has_ledger(connection, options.schema):
        await connection.execute(query("migrations", "create_ledger"))


async def _ensure_extension(connection: AsyncConnection) -> None:
    row = await (await connection.execute(query("migrations", "extension"))).fetchone()
    if row is None:
        raise ConfigError(
            "database: this server has no timescaledb extension; install it there (Debian: package"
            " postgresql-17-timescaledb), or let scripts/timescaledb.sh bring a server"
        )
    if row[0] is not None:
        return
    try:
        await connection.execute(query("migrations", "create_extension"))
    except psycopg.Error as error:
        name = connection.info.dbname if not connection.closed else "that database"
        raise ConfigError(
            f"database: timescaledb cannot be created in {name} ({' '.join(str(error).split())}); a superuser must"
            " put it into shared_preload_libraries, restart, and run CREATE EXTENSION timescaledb there"
        ) from error


async def _has_ledger(connection: AsyncConnection, schema: str) -> bool:
    """True if our ledger is there; raises ``ConfigError`` if the schema holds another program's tables instead."""
    columns = await _value(connection, query("migrations", "ledger_columns"), {"schema": schema})
    if columns == _LEDGER_COLUMNS:
        return True
    cursor = await connection.execute(query("migrations", "tables"), {"schema": schema})
    if tables := [str(name) for (name,) in await cursor.fetchall()]:
        shown = ", ".join(tables[:10]) + (f" and {len(tables) - 10} more" if len(tables) > 10 else "")
        raise ConfigError(
            f"schema {schema}: holds tables of another program: {shown}; name another schema in KLINE_DB_SCHEMA"
        )
    return False


async def _ledger(connection: AsyncConnection, schema: str) -> dict[str, str]:
    statement = sql.SQL(query("migrations", "ledger")).format(schema=sql.Identifier(schema))
    return {str(name): str(sha) for name, sha in await (await connection.execute(statement)).fetchall()}


async def _apply_all(
    connection: AsyncConnection, files: _Files, options: MigrationOptions, progress: Progress
) -> list[str]:
    ledger = await _ledger(connection, options.schema)
    if problems := files.ours.problems(ledger):
        raise ConfigError(*problems)
    pending = files.pending(ledger)
    for file in pending:
        progress(file.name)
        await _apply(connection, file, files.package.covered_by(file))
    return [file.name for file in pending]


async def _apply(connection: AsyncConnection, file: SqlFile, covered: Sequence[SqlFile]) -> None:
    """Apply ``file`` and note that ``covered`` is applied."""
    try:
        if file.transactional:
            async with connection.transaction():
                await connection.execute(file.text)
                if connection.info.transaction_status is not TransactionStatus.INTRANS:
                    raise ConfigError(f"{file.name}: must not begin or end transactions itself")
                await _record(connection, covered)
        else:
            # binary=True takes the extended protocol, which refuses a second statement in one message.
            await connection.execute(file.text, binary=True)
            await _record(connection, covered)
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        text = " ".join(str(error).split())
        raise Misconfigured(f"{file.name}: {text} ({error.sqlstate})", reason="migration") from error


async def _record(connection: AsyncConnection, files: Sequence[SqlFile]) -> None:
    for file in files:
        await connection.execute(query("migrations", "record"), {"name": file.name, "sha256": file.sha256})


async def _value(
    connection: AsyncConnection, statement: LiteralString, parameters: dict[str, object]
) -> object:
    row = await (await connection.execute(statement, parameters)).fetchone()
    return row[0] if row else None
