"""What the coverage ledger says, for people: read with SELECT alone, over one short connection."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import cast

from psycopg import AsyncConnection

from ....model import DAY_MS, Dataset, Listing
from ..ledger.days import day_of
from ..options import DatabaseOptions
from ..queries import query
from ..schema.migrations import refuse_pending
from ..sessions.session import Session

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_MS = 253_402_300_800_000
"""The year 10000, for a listing without an end."""

Choose = Callable[[Sequence[str]], list[str]]
"""Which of all symbols in the ledger are meant."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one symbol has in some days, counted in rows; ``number`` is the cell's place, from 0."""

    symbol: str
    number: int
    expected: int
    have: int
    absent: int
    expired: int
    beyond: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """The chosen part of the ledger: ``days`` to a cell, from ``first`` to ``last`` (both included).

    ``stored_early`` counts the rows of each symbol and day that are stored although they are not due yet, ``planned``
    what lacks in a symbol's cell and is in an open request. ``known`` is how many symbols the ledger has in all.
    """

    symbols: list[str]
    known: int
    first: date
    last: date
    days: int
    cells: list[Cell]
    listings: dict[str, list[Listing]]
    stored_early: dict[tuple[str, date], int]
    planned: dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Question:
    """What shall be read. ``cell_days`` says how many days a cell has, given the first and the last day.

    ``not_due_ms`` is the first row that is not due yet, ``day_end_ms`` the end of the present UTC day.
    """

    dataset: Dataset
    choose: Choose
    first: date | None
    last: date | None
    cell_days: Callable[[date, date], int]
    not_due_ms: int
    day_end_ms: int


async def read_ledger(options: DatabaseOptions, question: Question) -> Ledger | None:
    """The ledger as asked; None when it has no line of what was asked.

    Raises ``ConfigError`` (pending migrations), ``Unavailable`` or ``Misconfigured``.
    """
    async with reading(options, "coverage") as session:
        return await session.call(_read(session.connection, options, question))


@asynccontextmanager
async def reading(options: DatabaseOptions, purpose: str) -> AsyncIterator[Session]:
    """A session for looking, with the schema checked; dropped at the end."""
    session = await Session.connect(options, purpose=purpose, writable=False, prepare_threshold=None)
    try:
        await session.call(refuse_pending(session.connection, options.schema))
        yield session
    finally:
        session.drop()


async def _read(connection: AsyncConnection, options: DatabaseOptions, question: Question) -> Ledger | None:
    who: dict[str, object] = {"exchange": options.exchange, "dataset": question.dataset.value}
    known = await symbols_known(connection, who)
    chosen = question.choose(known)
    who["symbols"] = chosen
    days = await _span(connection, who, question)
    if days is None:
        return None
    first, last = days
    width = question.cell_days(first, last)
    cursor = await connection.execute(
        query("sight", "cells"), {**who, "first": first, "last": last, "days": width}
    )
    cells = [Cell(str(symbol), *map(int, numbers)) for symbol, *numbers in await cursor.fetchall()]
    return Ledger(
        symbols=sorted({cell.symbol for cell in cells}),
        known=len(known),
        first=first,
        last=last,
        days=width,
        cells=cells,
        listings=await listings_of(connection, who),
        stored_early=await _stored_early(connection, who, question),
        planned=await _planned(connection, {**who, "first": first, "last": last, "days": width}, question),
    )


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A filling that a person asked for and that is not done: [from_ms, to_ms) of the symbols that its globs mean."""

    number: int
    globs: tuple[str, ...]
    from_ms: int
    to_ms: int

    def means(self, symbol: str) -> bool:
        return any(fnmatchcase(symbol, glob) for glob in self.globs)


async def open_requests(connection: AsyncConnection, who: dict[str, object]) -> list[OpenRequest]:
    """Requests of `marketd backfill` that wait or run, the oldest first."""
    cursor = await connection.execute(query("sight", "requests"), who)
    return [
        OpenRequest(int(number), tuple(globs), int(from_ms), int(to_ms))
        for number, globs, from_ms, to_ms in await cursor.fetchall()
    ]


async def _planned(
    connection: AsyncConnection, who: dict[str, object], question: Question
) -> dict[tuple[str, int], int]:
    if question.dataset is not Dataset.CANDLES:
        return {}
    # The running day is told apart to the minute by what is not due yet.
    before_ms = question.not_due_ms // DAY_MS * DAY_MS
    plans = [
        (
            symbol,
            day_of(-(-request.from_ms // DAY_MS) * DAY_MS),
            day_of(min(request.to_ms, before_ms) - DAY_MS),
        )
        for request in await open_requests(connection, who)
        for symbol in cast(list[str], who["symbols"])
        if request.means(symbol)
    ]
    if not plans:
        return {}
    columns = {
        "planned": [symbol for symbol, _, _ in plans],
        "planned_from": [first for _, first, _ in plans],
        "planned_to": [last for _, _, last in plans],
    }
    cursor = await connection.execute(query("sight", "planned"), {**who, **columns})
    return {(str(symbol), int(cell)): int(rows) for symbol, cell, rows in await cursor.fetchall()}


async def symbols_known(connection: AsyncConnection, who: dict[str, object]) -> list[str]:
    """Every symbol with a line in the ledger, in order."""
    cursor = await connection.execute(query("sight", "symbols"), who)
    return [str(symbol) for (symbol,) in await cursor.fetchall()]


async def listings_of(connection: AsyncConnection, who: dict[str, object]) -> dict[str, list[Listing]]:
    """The listing intervals of the chosen symbols."""
    cursor = await connection.execute(query("sight", "listings"), who)
    found: dict[str, list[Listing]] = {}
    for symbol, onboard_ms, end_ms in await cursor.fetchall():
        found.setdefault(str(symbol), []).append(
            Listing(str(symbol), int(onboard_ms), _FAR_MS if end_ms is None else int(end_ms))
        )
    return found


def instant(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


async def _span(
    connection: AsyncConnection, who: dict[str, object], question: Question
) -> tuple[date, date] | None:
    cursor = await connection.execute(query("sight", "span"), who)
    row = await cursor.fetchone()
    if row is None or row[0] is None:
        return None
    first = max(row[0], question.first) if question.first else row[0]
    last = min(row[1], question.last) if question.last else row[1]
    return (first, last) if first <= last else None


async def _stored_early(
    connection: AsyncConnection, who: dict[str, object], question: Question
) -> dict[tuple[str, date], int]:
    if question.dataset is Dataset.FUNDING:
        return {}
    recent = query("sight", "recent_candles")
    if question.dataset is Dataset.METRICS:
        recent = query("sight", "recent_metrics")
    bounds = {"since": instant(question.not_due_ms), "until": instant(question.day_end_ms)}
    cursor = await connection.execute(recent, {**who, **bounds})
    return {(str(symbol), day): int(stored) for symbol, day, stored in await cursor.fetchall()}
