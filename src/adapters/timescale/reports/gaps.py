"""What is missing, exactly, and what is known about it: read for `marketd gaps` with SELECT alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, LiteralString

from psycopg import AsyncConnection

from ....model import DAY_MS, ArchiveFile, CoverageDay, Dataset, FileState, Gap, KnownFile, Listing, Span
from ..ledger.days import clipped, day_of, spans, start_of, step_of
from ..options import DatabaseOptions
from ..queries import query
from ..sessions.lock import lock_holder
from .coverage import Choose, OpenRequest, instant, listings_of, open_requests, reading, symbols_known

_SEARCHED = 500
"""Days whose rows are looked through in one statement: half a second on two cores."""
_WEEK = 7
_FILLERS = {Dataset.CANDLES: "backfill", Dataset.METRICS: "metrics"}
"""The role that fills what is planned."""
_HOLES: dict[Dataset, Callable[[], LiteralString]] = {
    Dataset.CANDLES: lambda: query("coverage", "candle_holes"),
    Dataset.METRICS: lambda: query("coverage", "metric_holes"),
}


@dataclass(frozen=True, slots=True)
class GapsQuestion:
    """What shall be read: the days from ``first`` to ``last`` (None: all) of the symbols that ``choose`` picks.

    Periods that begin at ``until_ms`` or later are not due yet. Days before ``plain_until`` of which nothing is known
    come as ``blank`` stretches instead of one by one.
    """

    choose: Choose
    first: date | None
    last: date | None
    plain_until: date
    until_ms: int
    dataset: Dataset = Dataset.CANDLES
    """Candles or metrics; of funding the ledger knows how many rows a day lacks, and not which."""


@dataclass(frozen=True, slots=True)
class GapsFacts:
    """What was found. ``days`` are the incomplete ones; ``holes`` their missing minutes where some rows are there, of
    metrics all of them.

    ``blank`` are stretches (symbol, first day, last day) of which nothing is stored and nothing was asked. ``files``
    are archive files with what is noted of them, ``losses`` minutes lost from a full buffer, ``folders`` the archive's
    names of listings that have another one than their symbol, by (symbol, onboard_ms). ``requests`` are fillings of
    candles that a person asked for; ``filled`` says whether a daemon is there that fills.
    """

    days: list[CoverageDay]
    holes: list[Gap]
    blank: list[tuple[str, date, date]]
    listings: dict[str, list[Listing]]
    files: list[tuple[KnownFile, str]]
    losses: list[Gap]
    folders: dict[tuple[str, int], str]
    requests: list[OpenRequest] = field(default_factory=list)
    filled: bool = True


async def read_gaps(options: DatabaseOptions, question: GapsQuestion) -> GapsFacts:
    """Everything over one connection. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
    async with reading(options, "gaps") as session:
        connection, dataset = session.connection, question.dataset
        candles = dataset is Dataset.CANDLES
        who: dict[str, object] = {"exchange": options.exchange, "dataset": dataset.value}
        who["symbols"] = question.choose(await session.call(symbols_known(connection, who)))
        requests = await session.call(open_requests(connection, who)) if candles else []
        who |= {
            "first": question.first or date(1970, 1, 1),
            "last": question.last or date(9999, 1, 1),
            # What is in a request is planned, and therefore looked at day by day.
            "plain_until": min([question.plain_until, *(day_of(request.from_ms) for request in requests)]),
        }
        rows = await session.call(_rows(connection, query("sight", "open_lines"), who))
        days = [CoverageDay(dataset, *row) for row in rows]
        listings = await session.call(listings_of(connection, who))
        holes: list[Gap] = []
        for windows in _batches(_windows(days, listings, question)):
            asked = {"exchange": options.exchange, **_columns(windows)}
            found = await session.call(_rows(connection, _HOLES[dataset](), asked))
            holes += [Gap(symbol, from_ms, to_ms, "missing") for symbol, from_ms, to_ms in found]
        return GapsFacts(
            days=days,
            holes=sorted(holes),
            blank=await session.call(_rows(connection, query("sight", "blank_runs"), who)),
            listings=listings,
            files=[
                _file(row, dataset)
                for row in await session.call(_rows(connection, query("sight", "files"), who))
            ],
            losses=[
                Gap(*row)
                for row in (
                    await session.call(_rows(connection, query("sight", "losses"), who)) if candles else []
                )
            ],
            requests=requests,
            filled=await session.call(lock_holder(connection, replace(options, role=_FILLERS[dataset])))
            is not None,
            folders={
                (symbol, onboard_ms): folder
                for symbol, onboard_ms, folder in await session.call(
                    _rows(connection, query("sight", "folders"), who)
                )
            },
        )


_Window = tuple[str, int, int]


def _windows(
    days: Sequence[CoverageDay], listings: dict[str, list[Listing]], question: GapsQuestion
) -> list[_Window]:
    """The stretches whose rows must be looked through: listed periods of days that have some rows, or of metrics, where
    a listing begins inside a period, of all."""
    step_ms = step_of(question.dataset)
    listed = spans((item for items in listings.values() for item in items), step_ms, question.until_ms)
    every = question.dataset is not Dataset.CANDLES
    return [
        (day.symbol, start, end)
        for day in days
        if every or day.dirty or day.have + day.absent + day.expired > 0
        for start, end in clipped(listed.get(day.symbol, ()), start_of(day.day), start_of(day.day) + DAY_MS)
    ]


def _batches(windows: list[_Window]) -> Iterator[list[_Window]]:
    """Week by week, so that one statement concerns one or two chunks."""
    weeks: dict[int, list[_Window]] = {}
    for window in windows:
        weeks.setdefault(window[1] // (DAY_MS * _WEEK), []).append(window)
    for _, week in sorted(weeks.items()):
        for start in range(0, len(week), _SEARCHED):
            yield week[start : start + _SEARCHED]


def _columns(windows: Sequence[_Window]) -> dict[str, object]:
    return {
        "symbols": [symbol for symbol, _, _ in windows],
        "from": [instant(start) for _, start, _ in windows],
        "to": [instant(end) for _, _, end in windows],
        "earliest": instant(min(start for _, start, _ in windows)),
        "latest": instant(max(end for _, _, end in windows)),
    }


def _file(row: tuple[Any, ...], dataset: Dataset) -> tuple[KnownFile, str]:
    path, symbol, span, first_day, state, sha256, detail, checked_ms = row
    file = ArchiveFile(path, dataset, symbol, Span(span), first_day)
    return KnownFile(file, FileState(state), sha256, checked_ms), detail


async def _rows(
    connection: AsyncConnection, statement: LiteralString, parameters: dict[str, object]
) -> list[tuple[Any, ...]]:
    return await (await connection.execute(statement, parameters)).fetchall()
