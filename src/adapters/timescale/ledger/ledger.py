"""The coverage ledger: what is due, what is there, and which rows are not (docs/adr/0020-coverage-ledger.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import LiteralString

from psycopg import AsyncConnection

from ....model import DAY_MS, CoverageDay, Dataset, Gap, Listing
from ..queries import query
from ..sessions.shared import Row, SharedSession, fetch
from .days import Span, clipped, day_of, joined, spans, start_of, step_of, utc
from .work import (
    LINES,
    Key,
    Window,
    batches,
    changes,
    counts,
    due_columns,
    key_columns,
    searches,
    window_columns,
)

REASON = "missing"


@dataclass(frozen=True, slots=True)
class Correction:
    """A line that was counted: rows there and proved absent, and what it had said of both."""

    dataset: Dataset
    symbol: str
    day: date
    have: int
    absent: int
    had: int
    had_absent: int
    dirty: bool

    @property
    def differs(self) -> bool:
        return (self.have, self.absent) != (self.had, self.had_absent)


class CoverageStore:
    """``ports.CoverageLedger``. Each call is one or several short transactions: nobody waits long for a line."""

    def __init__(self, session: SharedSession) -> None:
        self._session = session
        self._followed: dict[Dataset, dict[str, tuple[Span, ...]]] = {}

    async def follow(self, dataset: Dataset, listings: Sequence[Listing], until_ms: int) -> None:
        """Set what is due for every day of ``listings`` up to and including the day of ``until_ms``.

        Costs no statement when nothing changed since the last call, one line a symbol when a day began, and one
        look at every line of the listings the first time. A symbol that is not among them keeps its lines. Raises
        ``ValueError`` for a dataset without a fixed number of rows a day, ``Unavailable`` or ``Misconfigured``.
        """
        step_ms = step_of(dataset)
        end_ms = start_of(day_of(until_ms)) + DAY_MS
        done = self._followed.setdefault(dataset, {})
        none: dict[str, tuple[Span, ...]] = {listing.symbol: () for listing in listings}
        wanted = none | spans(listings, step_ms, end_ms)
        for batch in batches(changes(done, wanted), LINES, lambda change: change.lines):
            given = self._subject(dataset) | due_columns(batch) | {"step_s": step_ms // 1000}
            await self._session.call(partial(_follow, given=given))
            done.update({change.symbol: change.followed for change in batch})

    async def expect(self, dataset: Dataset, due: Mapping[Key, int]) -> None:
        """Set how many rows are due in single days, for a dataset without a fixed number (funding).

        Whoever knows the interval says it; repeating it changes nothing. Raises ``Unavailable`` or ``Misconfigured``.
        """
        for batch in batches(sorted(due), LINES):
            expected = {"expected": [due[key] for key in batch]}
            given = self._subject(dataset) | key_columns(batch) | expected
            await self._session.rows(query("coverage", "expect"), given)

    async def open_days(self, dataset: Dataset, since: date, until: date) -> list[CoverageDay]:
        """The days in [since, until] that are incomplete or dirty, by symbol and day."""
        given = self._subject(dataset) | {"since": since, "until": until}

        async def work(connection: AsyncConnection) -> list[Row]:
            async with connection.transaction():
                await fetch(connection, query("coverage", "by_index_alone"), {})
                return await fetch(connection, query("coverage", "open_days"), given)

        return [CoverageDay(dataset, *row) for row in await self._session.call(work)]

    async def holes(self, dataset: Dataset, days: Sequence[CoverageDay], until_ms: int) -> list[Gap]:
        """The rows of ``days`` that are neither stored nor proved absent and end before or at ``until_ms``.

        Exact to the row, as few gaps as can be, by symbol and time. A day that is due as a whole is searched as a
        whole, another inside the listing intervals of ``instruments``.
        """
        until_ms = until_ms // step_of(dataset) * step_of(dataset)
        found: list[Gap] = []
        for windows in searches(await self._windows(dataset, days, until_ms)):
            given = self._subject(dataset) | window_columns(windows)
            rows = await self._session.rows(_HOLES[dataset](), given)
            found += [Gap(symbol, from_ms, to_ms, REASON) for symbol, from_ms, to_ms in rows]
        return joined(found)

    async def recount(self, days: Sequence[CoverageDay]) -> None:
        """Count rows and absences of ``days`` anew and clean the dirty ones. A day without a line is left alone."""
        by_dataset: dict[Dataset, list[Key]] = {}
        for day in days:
            by_dataset.setdefault(day.dataset, []).append((day.symbol, day.day))
        for dataset, keys in by_dataset.items():
            for batch in counts(keys):
                await self.count(dataset, batch)

    async def count(self, dataset: Dataset, keys: Sequence[Key]) -> list[Correction]:
        """Count the lines of ``keys`` anew in one transaction; those that said something else."""
        given = self._subject(dataset) | key_columns(keys)

        async def work(connection: AsyncConnection) -> tuple[list[Row], list[Row]]:
            async with connection.transaction():
                said = await fetch(connection, query("coverage", "lock_lines"), given)
                rows = await fetch(connection, _COUNTS[dataset](), given)
                counted = given | _count_columns(rows)
                return said, await fetch(connection, query("coverage", "set_counts"), counted)

        said, found = await self._session.call(work)
        before = {(symbol, day): rest for symbol, day, *rest in said}
        corrections = [
            Correction(dataset, symbol, day, have, absent, *before[symbol, day])
            for symbol, day, have, absent in found
        ]
        return [item for item in corrections if item.differs]

    async def _windows(self, dataset: Dataset, days: Sequence[CoverageDay], until_ms: int) -> list[Window]:
        full = DAY_MS // step_of(dataset)
        listed = await self._listed(dataset, [day for day in days if day.expected < full], until_ms)
        windows: list[Window] = []
        for day in days:
            start, to = start_of(day.day), min(start_of(day.day) + DAY_MS, until_ms)
            inside = listed.get(day.symbol, ()) if day.expected < full else ()
            windows += [(day.symbol, part) for part in clipped(inside or [(start, to)], start, to)]
        return windows

    async def _listed(
        self, dataset: Dataset, days: Sequence[CoverageDay], until_ms: int
    ) -> dict[str, tuple[Span, ...]]:
        """The listing intervals of the symbols of ``days``, as spans of whole periods."""
        if not days:
            return {}
        given = {
            "exchange": self._session.exchange,
            "symbols": sorted({day.symbol for day in days}),
            "from": utc(min(start_of(day.day) for day in days)),
            "to": utc(max(start_of(day.day) for day in days) + DAY_MS),
        }
        rows = await self._session.rows(query("coverage", "intervals"), given)
        return spans((Listing(*row) for row in rows), step_of(dataset), until_ms)

    def _subject(self, dataset: Dataset) -> dict[str, object]:
        return {"exchange": self._session.exchange, "dataset": dataset.value}


async def _follow(connection: AsyncConnection, *, given: Mapping[str, object]) -> None:
    async with connection.transaction():
        await connection.execute(query("coverage", "follow"), given)
        await connection.execute(query("absences", "release_absences"), given)


def _count_columns(rows: Sequence[Row]) -> dict[str, object]:
    return {
        "symbols": [symbol for symbol, _, _ in rows],
        "days": [day for _, day, _ in rows],
        "have": [have for _, _, have in rows],
    }


# By dataset, because each lies in a table of its own; looked up when used, because reading them is I/O.
_HOLES: dict[Dataset, Callable[[], LiteralString]] = {
    Dataset.CANDLES: lambda: query("coverage", "candle_holes"),
    Dataset.METRICS: lambda: query("coverage", "metric_holes"),
}
_COUNTS: dict[Dataset, Callable[[], LiteralString]] = {
    Dataset.CANDLES: lambda: query("coverage", "count_candles"),
    Dataset.METRICS: lambda: query("coverage", "count_metrics"),
    Dataset.FUNDING: lambda: query("coverage", "count_funding"),
}
