"""Reads the tables of a tradecat database, found by their columns, through bounded server-side cursors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, cast

from psycopg import AsyncConnection, AsyncServerCursor, sql

from ...errors import ConfigError
from ...ports import ForeignRow
from .options import DatabaseOptions, url_parts
from .queries import query
from .session import Session

SETTING = "--from-dsn"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEADLINE_S = 660.0
_BATCH = 10_000
"""Rows fetched, and then written in one transaction: some 100 ms of the writer's time."""
_CANDLES = "candles_1m"
_NEEDED = ("exchange", "symbol", "bucket_ts", "open", "high", "low", "close", "volume")
_OPTIONAL = ("quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume", "is_closed")
_OURS = "authority"
"""A column that only marketd's own tables have."""


@dataclass(frozen=True, slots=True)
class ForeignTable:
    """A table that was found, and the columns it has."""

    schema: str
    name: str
    columns: frozenset[str]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def foreign_options(url: str, ours: DatabaseOptions) -> DatabaseOptions:
    """How to reach the other database. Raises ``ConfigError`` when ``url`` is not one."""
    url_parts(url, setting=SETTING)
    return replace(ours, url=url, deadline_s=_DEADLINE_S)


def source_name(url: str, table: ForeignTable) -> str:
    """Server, database and table, by which months taken over are remembered; no account, no password."""
    parts = url_parts(url, setting=SETTING)
    server = f"{parts.get('host', parts.get('hostaddr', 'local'))}:{parts.get('port', '5432')}"
    return f"{server}/{parts.get('dbname', '')}/{table}"


def choose_candles(tables: Sequence[ForeignTable]) -> ForeignTable:
    """The one table that has what candles need and is not ours. Raises ``ConfigError`` that says what there is."""
    fitting = [
        table
        for table in tables
        if table.name == _CANDLES and table.columns.issuperset(_NEEDED) and _OURS not in table.columns
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(map(str, fitting))
        raise ConfigError(f"{SETTING}: several tables could be meant: {names}; leave rights on one of them")
    seen = ", ".join(f"{table} ({_why_not(table)})" for table in tables) or "none by that name"
    raise ConfigError(f"{SETTING}: no table {_CANDLES} with the columns of tradecat; found: {seen}")


def _why_not(table: ForeignTable) -> str:
    if _OURS in table.columns:
        return "marketd's own"
    lacking = [name for name in _NEEDED if name not in table.columns]
    return f"lacks {', '.join(lacking)}" if lacking else "another dataset"


class ForeignDatabase:
    """``ports.ForeignCandles``. ``open`` connects and finds the table; everything is read-only."""

    def __init__(self, options: DatabaseOptions) -> None:
        self._options = options
        self._session: Session | None = None
        self._table: ForeignTable | None = None

    @property
    def table(self) -> ForeignTable:
        """The table of candles; ``open`` must have been called."""
        if self._table is None:
            raise RuntimeError("open() was not called")
        return self._table

    async def open(self) -> None:
        """Connect and find the table. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
        if self._session is not None and self._session.alive:
            return
        self._session = await Session.connect(
            self._options, purpose="import", writable=False, prepare_threshold=None
        )
        self._table = choose_candles(await self._session.call(_tables(self._session.connection)))

    async def close(self) -> None:
        if self._session is not None:
            self._session.drop()
            self._session = None

    async def symbols(self) -> list[str]:
        """Every symbol with a row of our exchange."""
        rows = await self._fetch(query("foreign", "symbols"), {})
        return [str(symbol) for (symbol,) in rows]

    async def span(self, symbol: str) -> tuple[int, int] | None:
        """The first and the last open time of the symbol."""
        [(first, last)] = await self._fetch(query("foreign", "span"), {"symbol": symbol})
        return None if first is None else (int(first), int(last))

    async def rows(self, symbol: str, since_ms: int, until_ms: int) -> AsyncGenerator[list[ForeignRow], None]:
        """The rows of [since_ms, until_ms) in order, ``_BATCH`` at a time, in one read-only transaction."""
        session = self._open_session()
        connection = session.connection
        cursor = AsyncServerCursor(connection, "takeover")
        bounds = {"symbol": symbol, "since": _time(since_ms), "until": _time(until_ms)}
        statement = self._fill_in(query("foreign", "candles"))
        async with connection.transaction(), cursor:
            await session.call(_declare(cursor, statement, {**self._who, **bounds}))
            while batch := await session.call(cursor.fetchmany(_BATCH)):
                yield cast(list[ForeignRow], batch)

    @property
    def _who(self) -> dict[str, object]:
        return {"exchange": self._options.exchange}

    async def _fetch(self, statement: LiteralString, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
        session = self._open_session()
        filled = self._fill_in(statement)
        return await session.call(_all(session.connection, filled, {**self._who, **parameters}))

    def _fill_in(self, statement: LiteralString) -> sql.Composed:
        """The names of the table and its columns; NULL for a column that it does not have."""
        table = self.table
        names: dict[str, sql.Composable] = {
            column: sql.Identifier(column) if column in table.columns else sql.NULL for column in _OPTIONAL
        }
        names["table"], names["time"] = sql.Identifier(table.schema, table.name), sql.Identifier("bucket_ts")
        return sql.SQL(statement).format(**names)

    def _open_session(self) -> Session:
        if self._session is None:
            raise RuntimeError("open() was not called")
        return self._session


async def _tables(connection: AsyncConnection) -> list[ForeignTable]:
    await connection.execute(query("foreign", "patience"))
    cursor = await connection.execute(query("foreign", "tables"))
    return [
        ForeignTable(str(schema), str(name), frozenset(columns))
        for schema, name, columns in await cursor.fetchall()
    ]


async def _declare(
    cursor: AsyncServerCursor[Any], statement: sql.Composed, parameters: dict[str, object]
) -> None:
    await cursor.execute(statement, parameters)


async def _all(
    connection: AsyncConnection, statement: sql.Composed, parameters: dict[str, object]
) -> list[tuple[Any, ...]]:
    cursor = await connection.execute(statement, parameters)
    return await cursor.fetchall()


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)
