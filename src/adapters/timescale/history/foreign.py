"""Reads the tables of a tradecat database, found by their columns, through bounded server-side cursors."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg import AsyncConnection, AsyncServerCursor, sql

from ....errors import ConfigError
from ....model import METRIC_COLUMNS, Dataset
from ....ports import ForeignRow
from ..options import DatabaseOptions, url_parts
from ..queries import query
from ..sessions.session import Session

SETTING = "--from-dsn"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DEADLINE_S = 660.0
_BATCH = 10_000
"""Rows fetched, and then written in one transaction: some 100 ms of the writer's time."""
_OURS = "authority"
"""A column that only marketd's own tables have."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """How a dataset's table is called there, the columns it must have and those it may have."""

    name: str
    time: str
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    rows: LiteralString


_SHAPES = {
    Dataset.CANDLES: _Shape(
        "candles_1m",
        "bucket_ts",
        ("exchange", "symbol", "bucket_ts", "open", "high", "low", "close", "volume"),
        ("quote_volume", "trade_count", "taker_buy_volume", "taker_buy_quote_volume", "is_closed"),
        query("foreign", "candles"),
    ),
    Dataset.METRICS: _Shape(
        "binance_futures_metrics_5m",
        "create_time",
        ("exchange", "symbol", "create_time", "sum_open_interest"),
        (*METRIC_COLUMNS, "is_closed"),
        query("foreign", "metrics"),
    ),
}


@dataclass(frozen=True, slots=True)
class FoundTable:
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


def source_name(url: str, table: FoundTable) -> str:
    """Server, database and table, by which months taken over are remembered; no account, no password."""
    parts = url_parts(url, setting=SETTING)
    server = f"{parts.get('host', parts.get('hostaddr', 'local'))}:{parts.get('port', '5432')}"
    return f"{server}/{parts.get('dbname', '')}/{table}"


def choose(tables: Sequence[FoundTable]) -> dict[Dataset, FoundTable]:
    """The table of each dataset that has what it needs and is not ours.

    Raises ``ConfigError`` that says what there is when there is none, or more than one of a kind.
    """
    chosen: dict[Dataset, FoundTable] = {}
    for dataset, shape in _SHAPES.items():
        fitting = [table for table in tables if table.name == shape.name and not _fault(table, shape)]
        if len(fitting) > 1:
            names = ", ".join(map(str, fitting))
            raise ConfigError(
                f"{SETTING}: several tables could be meant: {names}; leave rights on one of them"
            )
        if fitting:
            chosen[dataset] = fitting[0]
    if not chosen:
        shapes = {shape.name: shape for shape in _SHAPES.values()}
        seen = ", ".join(f"{table} ({_fault(table, shapes[table.name])})" for table in tables)
        raise ConfigError(
            f"{SETTING}: no table {' or '.join(shapes)} with the columns of tradecat; found:"
            f" {seen or 'none by these names'}"
        )
    return chosen


def _fault(table: FoundTable, shape: _Shape) -> str:
    if _OURS in table.columns:
        return "marketd's own"
    lacking = [name for name in shape.needed if name not in table.columns]
    return f"lacks {', '.join(lacking)}" if lacking else ""


class ForeignDatabase:
    """One read-only session on the other database. ``open`` connects and finds the tables."""

    def __init__(self, options: DatabaseOptions) -> None:
        self._options = options
        self._session: Session | None = None

    async def open(self) -> Mapping[Dataset, ForeignSeries]:
        """The tables that were found. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
        self._session = session = await Session.connect(
            self._options, purpose="import", writable=False, prepare_threshold=None
        )
        found = choose(await session.call(_tables(session.connection)))
        return {
            dataset: ForeignSeries(session, self._options.exchange, table, _SHAPES[dataset])
            for dataset, table in found.items()
        }

    async def close(self) -> None:
        """End the session; harmless when done twice."""
        if self._session is not None:
            self._session.drop()
            self._session = None


class ForeignSeries:
    """``ports.ForeignTable`` on a session that somebody else closes."""

    def __init__(self, session: Session, exchange: str, table: FoundTable, shape: _Shape) -> None:
        self.table = table
        self._session = session
        self._shape = shape
        self._who: dict[str, object] = {"exchange": exchange}

    async def symbols(self) -> list[str]:
        """Every symbol with a row of our exchange."""
        rows = await self._fetch(query("foreign", "symbols"), {})
        return [str(symbol) for (symbol,) in rows]

    async def span(self, symbol: str) -> tuple[int, int] | None:
        """The first and the last time of the symbol."""
        [(first, last)] = await self._fetch(query("foreign", "span"), {"symbol": symbol})
        return None if first is None else (int(first), int(last))

    async def rows(self, symbol: str, since_ms: int, until_ms: int) -> AsyncGenerator[list[ForeignRow], None]:
        """The rows of [since_ms, until_ms) in order, ``_BATCH`` at a time, in one read-only transaction."""
        connection = self._session.connection
        cursor = AsyncServerCursor(connection, "takeover")
        bounds = {"symbol": symbol, "since": _time(since_ms), "until": _time(until_ms)}
        statement = self._fill_in(self._shape.rows)
        async with connection.transaction(), cursor:
            await self._session.call(_declare(cursor, statement, {**self._who, **bounds}))
            while batch := await self._session.call(cursor.fetchmany(_BATCH)):
                yield batch

    async def _fetch(self, statement: LiteralString, parameters: dict[str, object]) -> list[tuple[Any, ...]]:
        filled = self._fill_in(statement)
        return await self._session.call(_all(self._session.connection, filled, {**self._who, **parameters}))

    def _fill_in(self, statement: LiteralString) -> sql.Composed:
        """The names of the table and its columns; NULL for a column that it does not have."""
        names: dict[str, sql.Composable] = {
            column: sql.Identifier(column) if column in self.table.columns else sql.NULL
            for column in self._shape.optional
        }
        names["table"] = sql.Identifier(self.table.schema, self.table.name)
        names["time"] = sql.Identifier(self._shape.time)
        return sql.SQL(statement).format(**names)


async def _tables(connection: AsyncConnection) -> list[FoundTable]:
    await connection.execute(query("foreign", "patience"))
    cursor = await connection.execute(query("foreign", "tables"))
    return [
        FoundTable(str(schema), str(name), frozenset(columns))
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
