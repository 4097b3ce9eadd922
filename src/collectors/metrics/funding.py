"""Keeps settlements of funding: the newest over REST when they are due, whole months from the archive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from ...errors import BadData, NotPublished, Permanent, RateLimited, Retryable
from ...model import DAY_MS, ArchiveFile, Dataset, FundingRate, Listing, Span, WriteResult
from ...ports import Archive, ArchiveLayout, Clock
from ...ports.metrics import FundingSink, FundingSource, SmallFiles
from ...slices import a_slice, in_slices
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..unwrap import first_error
from ..workers import for_each
from .history import reason_of

_log = get_logger("funding")

HOUR_MS = 3_600_000
DEFAULT_INTERVAL_HOURS = 8
_INTERVALS = frozenset({1, 2, 4, 8})
_SETTLED_MS = 60_000
"""A settlement is asked for this long after its time."""
_FULL_PAGE = 1000
_AT_ONCE = 4
_LOOK_S = 300.0
_AGAIN_MS = DAY_MS
"""How long a month whose file is not published, or could not be read, is left alone."""
_LATE, _LATE_AGAIN_MS = timedelta(days=90), 30 * DAY_MS
"""A file that is not there so long after its month began was hardly ever made: most contracts are younger than the
oldest month that is wanted, and years of all of them are tens of thousands of files that are not there."""


class Universe(Protocol):
    """The symbols that trade now."""

    @property
    def symbols(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True)
class FundingFiles:
    """The monthly archive, which says the true interval of every settlement.

    ``contracts`` gives the listings that are wanted, those that have ended too, each with the archive's folder.
    """

    archive: Archive
    layout: ArchiveLayout
    files: SmallFiles
    folder: Path
    contracts: Callable[[], Awaitable[Sequence[tuple[Listing, str]]]] | None = None


class FundingCollector:
    """Every 5 min: asks for the symbols whose next settlement is due, then fills months that are not imported.

    A symbol is due its interval after its newest stored settlement; a new one is read from ``since(now_ms)`` on.
    One that cannot be read is left for the next look and costs the others nothing.
    """

    def __init__(
        self,
        source: FundingSource,
        sink: FundingSink,
        universe: Universe,
        clock: Clock,
        metrics: Metrics,
        *,
        since: Callable[[int], int],
        files: FundingFiles | None = None,
        ready: asyncio.Event | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._universe = universe
        self._clock = clock
        self._metrics = metrics
        self._since = since
        self._files = files
        self._ready = ready
        self._newest: dict[str, int] | None = None
        self._not_before: dict[str, int] = {}
        self.rows = 0
        """Rows stored so far; the supervisor's measure of progress."""

    async def run(self) -> None:
        """Until cancelled. Raises ``Retryable`` or ``Misconfigured`` of the database."""
        if self._ready:
            await self._ready.wait()
        while True:
            try:
                await self.look()
                await self.fill_months()
            except ExceptionGroup as group:
                raise first_error(group) from group
            await self._clock.sleep(_LOOK_S)

    async def look(self) -> None:
        """Ask once for everything that is due. Raises what the database raises."""
        now_ms = self._clock.now_ms()
        if self._newest is None:
            self._newest = await self._sink.newest(self._since(now_ms))
        try:
            hours = await self._source.intervals()
        except (Retryable, Permanent) as error:
            _log.warning("funding_intervals_failed", msg=str(error), reason=error.reason)
            hours = {}
        due = due_symbols(self._universe.symbols, self._newest, hours, now_ms)
        await for_each(due, self._ask, limit=_AT_ONCE, name="funding")

    async def fill_months(self) -> None:
        """Import the published months since ``since`` that were not. Raises what the database raises."""
        if self._files is None:
            return
        done = await self._sink.imported()
        contracts = await self._files.contracts() if self._files.contracts else []
        todo = await in_slices(self._todo(self._files, contracts, done, self._clock.now_ms()))
        await for_each(todo, self._import, limit=_AT_ONCE, name="funding month")

    def _todo(
        self,
        files: FundingFiles,
        contracts: Sequence[tuple[Listing, str]],
        done: Collection[str],
        now_ms: int,
    ) -> Generator[None, None, list[ArchiveFile]]:
        """The files of months that are over and not in ``done``, the newest first; with a step for each.

        Of what trades now those since its first listing that is known, of other listings those in which they traded.
        """
        living = {(symbol, symbol) for symbol in self._universe.symbols}
        others = [item for item in contracts if (item[0].symbol, item[1]) not in living]
        begun_ms: dict[str, int] = {}
        for item, folder in contracts:
            begun_ms[folder] = min(item.onboard_ms, begun_ms.get(folder, item.onboard_ms))
        found = []
        for month in months(self._since(now_ms), now_ms):
            first_ms = _midnight_ms(month)
            after_ms = _midnight_ms((month + timedelta(days=31)).replace(day=1))
            traded = {
                (item.symbol, folder)
                for item, folder in others
                if item.onboard_ms < after_ms and item.end_ms > first_ms
            }
            begun = {pair for pair in living if begun_ms.get(pair[0], 0) < after_ms}
            for symbol, folder in sorted(begun | traded):
                file = files.layout.file(Dataset.FUNDING, Span.MONTHLY, folder, symbol, month)
                if file.path not in done and self._not_before.get(file.path, 0) <= now_ms:
                    found.append(file)
                yield
        return found

    async def _ask(self, symbol: str) -> None:
        newest = self._newest if self._newest is not None else {}
        since_ms = newest.get(symbol, self._since(self._clock.now_ms()))
        while True:
            try:
                found = await self._source.settlements(symbol, since_ms)
            except (Retryable, Permanent) as error:
                _log.warning("funding_failed", msg=str(error), symbol=symbol, reason=error.reason)
                if isinstance(error, RateLimited):
                    await self._clock.sleep(error.retry_after)
                return
            async with a_slice():
                rows = [
                    row
                    for row in with_intervals(found)
                    if row.funding_ms // 1000 * 1000 > newest.get(symbol, 0)
                ]
            if rows:
                self._count(await self._write(rows), rows[0].source)
                newest[symbol] = rows[-1].funding_ms // 1000 * 1000
            if len(found) < _FULL_PAGE or found[-1].funding_ms <= since_ms:
                return
            since_ms = found[-1].funding_ms

    async def _write(self, rows: Sequence[FundingRate]) -> WriteResult:
        try:
            return await self._sink.write(rows)
        except BadData as error:
            self._metrics.metric_rows_rejected.labels(Dataset.FUNDING.value, error.reason).inc(len(rows))
            _log.warning("funding_refused", msg=str(error), symbol=rows[0].symbol, reason=error.reason)
            return WriteResult(0, 0, len(rows))

    async def _import(self, file: ArchiveFile) -> None:
        assert self._files is not None  # noqa: S101 - the caller looked
        result = "imported"
        try:
            await asyncio.to_thread(self._files.folder.mkdir, parents=True, exist_ok=True)
            local, sha256 = await self._files.archive.fetch(file, self._files.folder)
            try:
                size = (await asyncio.to_thread(local.stat)).st_size
                read = await self._files.files.funding(file, local)
            finally:
                await asyncio.to_thread(local.unlink, missing_ok=True)
        except NotPublished:
            result = "missing"
        except (Retryable, Permanent, OSError) as error:
            result = "refused" if isinstance(error, BadData) else "failed"
            _log.warning("funding_file_failed", msg=str(error), path=file.path, reason=reason_of(error))
        else:
            for reason, rows in read.rejected.items():
                self._metrics.metric_rows_rejected.labels(Dataset.FUNDING.value, reason).inc(rows)
            self._count(await self._sink.write_file(file, sha256, size, read.rows), "binance_archive")
        self._metrics.metric_files.labels(Dataset.FUNDING.value, result).inc()
        if result != "imported":
            now_ms = self._clock.now_ms()
            is_late = result == "missing" and _day(now_ms) - file.first_day > _LATE
            self._not_before[file.path] = now_ms + (_LATE_AGAIN_MS if is_late else _AGAIN_MS)

    def _count(self, result: WriteResult, source: str) -> None:
        self._metrics.funding_rows.labels(source, "inserted").inc(result.inserted)
        self._metrics.funding_rows.labels(source, "replaced").inc(result.replaced)
        self.rows += result.inserted + result.replaced


def due_symbols(
    symbols: Collection[str], newest: Mapping[str, int], hours: Mapping[str, int], now_ms: int
) -> list[str]:
    """The symbols whose next settlement should be there by ``now_ms``, those without any first; pure."""
    due = {
        symbol: newest[symbol] + hours.get(symbol, DEFAULT_INTERVAL_HOURS) * HOUR_MS + _SETTLED_MS
        if symbol in newest
        else 0
        for symbol in symbols
    }
    return sorted(
        (symbol for symbol in due if due[symbol] <= now_ms), key=lambda symbol: (due[symbol], symbol)
    )


def with_intervals(rows: Sequence[FundingRate]) -> list[FundingRate]:
    """The rows of one symbol in order, each with the hours since the one before; pure.

    The first row's are not known, nor are hours that no contract has: a settlement between may be missing.
    """
    found = list(rows[:1])
    for before, row in pairwise(rows):
        hours = round((row.funding_ms - before.funding_ms) / HOUR_MS)
        found.append(replace(row, interval_hours=hours) if hours in _INTERVALS else row)
    return found


def months(since_ms: int, now_ms: int) -> list[date]:
    """The first days of the months in [since, now) that are over, the newest first; pure."""
    first = _day(since_ms).replace(day=1)
    month = (_day(now_ms).replace(day=1) - timedelta(days=1)).replace(day=1)
    found = []
    while month >= first:
        found.append(month)
        month = (month - timedelta(days=1)).replace(day=1)
    return found


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
