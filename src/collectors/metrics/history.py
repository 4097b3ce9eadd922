"""Fills days of futures metrics that are not complete from the archive, once that agrees with REST."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ...errors import BadData, NotPublished, Permanent, Retryable
from ...model import (
    DAY_MS,
    FIVE_MINUTES_MS,
    METRIC_COLUMNS,
    ArchiveFile,
    CoverageDay,
    Dataset,
    FileState,
    FuturesMetric,
    Listing,
    Span,
)
from ...ports import Archive, ArchiveLayout, ArchiveNotes, Clock, CoverageLedger, CoverageNotes, Listings
from ...ports.metrics import FileRows, MetricBlanks, MetricSeries, MetricSink, MetricSource, SmallFiles
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..backoff import Backoff
from ..unwrap import first_error
from ..workers import for_each
from .blanks import BlankDays
from .check import Verdict, compare
from .plan import MOST_ROWS

_log = get_logger("metrics")

_WORKERS = 4
_DAYS_A_PASS = 2000
_INTERVAL_S = 3600.0
_AGAIN_S = 60.0
"""While days wait and nothing can be compared, because archive or REST is away, the first pause is about so long."""
_RECENT_DAYS = 3
_RECENT_LOOK_MS, _LATE_LOOK_MS = 3_600_000, 7 * DAY_MS
"""A day whose file is not there is looked at again in an hour, or in a week when it is older than three days."""
_DAYS_BACK = 7
"""How far back the newest published day is looked for: files come the next morning, some a week late."""
_CHECKED_SYMBOLS = 3
_MORNING_MS = 2 * 3_600_000
"""No daily file is published before about 01:45 of the next day."""


@dataclass(frozen=True, slots=True)
class HistoryParts:
    """What the history of metrics is read from and written to."""

    archive: Archive
    layout: ArchiveLayout
    files: SmallFiles
    source: MetricSource
    sink: MetricSink
    blanks: MetricBlanks
    ledger: CoverageLedger
    notes: CoverageNotes
    names: ArchiveNotes
    listings: Listings


class MetricHistory:
    """Looks every hour at days since ``since(now_ms)`` that the ledger calls incomplete, the newest first, and at
    those in which columns are NULL that REST cannot bring any more.

    Before anything is merged, again in every pass, the newest archive day of the largest symbols is compared with
    REST. When they disagree nothing is merged, ``metric_archive_disagrees`` is 1 and a line of level error says so;
    when nothing could be compared the next pass comes sooner. The first one waits for all of ``after``. ``folder``
    takes the downloads, which do not stay.
    """

    def __init__(
        self,
        parts: HistoryParts,
        clock: Clock,
        metrics: Metrics,
        *,
        folder: Path,
        since: Callable[[int], int],
        after: Sequence[asyncio.Event] = (),
    ) -> None:
        self._parts = parts
        self._clock = clock
        self._metrics = metrics
        self._folder = folder
        self._since = since
        self._after = after
        self._blanks = BlankDays(parts.blanks, parts.names)
        self._backoff = Backoff(_AGAIN_S, _INTERVAL_S)
        self._pause_s = _INTERVAL_S
        self.rows = 0
        """Rows stored so far; the supervisor's measure of progress."""
        for verdict in Verdict:
            metrics.metric_archive_checks.labels(verdict.value)
        metrics.metric_archive_disagrees.set(0)

    async def run(self) -> None:
        """Fill until cancelled. Raises ``Retryable`` or ``Misconfigured`` of the database."""
        for event in self._after:
            await event.wait()
        while True:
            if not await self.look():
                await self._clock.sleep(self._pause_s)

    async def look(self) -> bool:
        """One pass; whether there is more to do at once."""
        now_ms = self._clock.now_ms()
        newest = _day((now_ms - DAY_MS) - _MORNING_MS)
        due = await self._due(now_ms, newest)
        verdict = await self.check(newest) if due else None
        if verdict is Verdict.UNKNOWN:
            self._pause_s = min(self._backoff.next(), _INTERVAL_S)
        else:
            self._backoff.reset()
            self._pause_s = _INTERVAL_S
        if verdict is not Verdict.AGREES:
            return False
        folders = await self._parts.names.folders()
        listings = _by_symbol(await self._parts.listings.listings())

        async def fill(day: CoverageDay) -> None:
            await self._fill(day, _folder_of(day, listings, folders))

        try:
            await for_each(due[:_DAYS_A_PASS], fill, limit=_WORKERS, name="metrics day")
        except ExceptionGroup as group:
            raise first_error(group) from group
        return len(due) > _DAYS_A_PASS

    async def _due(self, now_ms: int, newest: date) -> list[CoverageDay]:
        since = _day(self._since(now_ms))
        days = await self._parts.ledger.open_days(Dataset.METRICS, since, newest)
        deleted = {(day.symbol, day.day) for day in days if day.dirty}
        if deleted:  # by hand: how many rows are left is only known when they were counted
            await self._parts.ledger.recount([day for day in days if day.dirty])
            days = await self._parts.ledger.open_days(Dataset.METRICS, since, newest)
        rows = [
            day
            for day in days
            if day.unaccounted and (day.next_look_ms <= now_ms or (day.symbol, day.day) in deleted)
        ]
        keys = {(day.symbol, day.day) for day in days}
        blank = await self._blanks.due(since, now_ms, elsewhere=keys)
        return sorted([*rows, *blank], key=lambda day: (-day.day.toordinal(), day.symbol))

    async def check(self, newest: date) -> Verdict:
        """Compare the newest published day of the largest symbols with REST."""
        verdict = Verdict.UNKNOWN
        reach = await self._parts.sink.reach(self._clock.now_ms() - MOST_ROWS * FIVE_MINUTES_MS)
        largest = sorted(reach, key=lambda symbol: (-reach[symbol].value, symbol))[:_CHECKED_SYMBOLS]
        for symbol in largest:
            verdict = await self._check_symbol(symbol, newest)
            if verdict is not Verdict.UNKNOWN:
                break
        self._metrics.metric_archive_checks.labels(verdict.value).inc()
        if verdict is not Verdict.UNKNOWN:
            self._metrics.metric_archive_disagrees.set(verdict is Verdict.DISAGREES)
        return verdict

    async def _check_symbol(self, symbol: str, newest: date) -> Verdict:
        for back in range(_DAYS_BACK):
            file = self._file(symbol, symbol, newest - timedelta(days=back))
            try:
                read, _, _ = await self._read(file)
                rest = await self._rest(symbol, file.first_day)
            except NotPublished:
                continue
            except (Retryable, Permanent, OSError) as error:
                _log.warning("metric_check_failed", msg=str(error), symbol=symbol, reason=reason_of(error))
                return Verdict.UNKNOWN
            verdict = compare(read.rows, rest)
            if verdict is Verdict.DISAGREES:
                _log.error(
                    "metric_archive_disagrees",
                    msg=f"{file.path} is not what REST says of that day; no archive day of metrics is merged",
                    symbol=symbol,
                    start_labelled=read.start_labelled,
                )
            return verdict
        return Verdict.UNKNOWN

    async def _rest(self, symbol: str, day: date) -> list[FuturesMetric]:
        after_ms = _midnight_ms(day)
        rows: list[FuturesMetric] = []
        for series in (MetricSeries.OPEN_INTEREST, MetricSeries.TAKER):
            rows += await self._parts.source.between(series, symbol, after_ms, after_ms + DAY_MS)
        return _joined(rows)

    async def _fill(self, day: CoverageDay, folder: str) -> None:
        file = self._file(folder, day.symbol, day.day)
        try:
            read, sha256, size = await self._read(file)
        except NotPublished as error:
            if not day.unaccounted:
                now_ms = self._clock.now_ms()
                await self._parts.names.note(file, FileState.MISSING, detail=str(error), now_ms=now_ms)
            await self._looked(day, "missing")
        except BadData as error:
            _log.warning("metric_file_refused", msg=str(error), path=file.path, reason=error.reason)
            await self._parts.sink.refuse_file(file, "", error.reason)
            await self._looked(day, "refused")
        except (Retryable, Permanent, OSError) as error:
            _log.warning("metric_file_failed", msg=str(error), path=file.path, reason=reason_of(error))
            if not day.unaccounted:
                self._blanks.put_off(day, self._clock.now_ms())
            await self._looked(day, "failed")
        else:
            result = await self._parts.sink.write_file(file, sha256, size, read.rows)
            self._metrics.metric_rows.labels("binance_archive", "inserted").inc(result.inserted)
            self._metrics.metric_rows.labels("binance_archive", "replaced").inc(result.replaced)
            self.rows += result.inserted + result.replaced
            await self._looked(day, "imported")

    async def _read(self, file: ArchiveFile) -> tuple[FileRows[FuturesMetric], str, int]:
        """Rows, checksum and size of a file, which is gone from the folder afterwards."""
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        local, sha256 = await self._parts.archive.fetch(file, self._folder)
        try:
            size = (await asyncio.to_thread(local.stat)).st_size
            read = await self._parts.files.metrics(file, local)
        finally:
            await asyncio.to_thread(local.unlink, missing_ok=True)
        for reason, rows in read.rejected.items():
            self._metrics.metric_rows_rejected.labels(Dataset.METRICS.value, reason).inc(rows)
        return read, sha256, size

    async def _looked(self, day: CoverageDay, result: str) -> None:
        """Note the look. A day that is complete now is not looked at again whatever is said here."""
        self._metrics.metric_files.labels(Dataset.METRICS.value, result).inc()
        now_ms = self._clock.now_ms()
        recent = _day(now_ms) - day.day <= timedelta(days=_RECENT_DAYS)
        patience_ms = _RECENT_LOOK_MS if recent or result == "failed" else _LATE_LOOK_MS
        await self._parts.notes.looked([day], now_ms + patience_ms)

    def _file(self, folder: str, symbol: str, day: date) -> ArchiveFile:
        return self._parts.layout.file(Dataset.METRICS, Span.DAILY, folder, symbol, day)


def reason_of(error: Retryable | Permanent | OSError) -> str:
    """The bounded word for logs and labels; ``folder`` for one that cannot be used."""
    return "folder" if isinstance(error, OSError) else error.reason


def _joined(rows: Iterable[FuturesMetric]) -> list[FuturesMetric]:
    """Rows of several series as one row an end."""
    found: dict[int, FuturesMetric] = {}
    for row in rows:
        known = found.get(row.end_ms)
        if known is None:
            found[row.end_ms] = row
            continue
        both = zip(METRIC_COLUMNS, known.values, row.values, strict=True)
        columns = {name: theirs if ours is None else ours for name, ours, theirs in both}
        found[row.end_ms] = FuturesMetric.of(row.symbol, row.end_ms, columns, row.source, row.authority)
    return list(found.values())


def _by_symbol(listings: Sequence[Listing]) -> dict[str, list[Listing]]:
    found: dict[str, list[Listing]] = {}
    for listing in listings:
        found.setdefault(listing.symbol, []).append(listing)
    return found


def _folder_of(
    day: CoverageDay, listings: Mapping[str, Sequence[Listing]], folders: Mapping[tuple[str, int], str]
) -> str:
    """The archive's folder of the listing that the day lies in."""
    start_ms = _midnight_ms(day.day)
    for listing in listings.get(day.symbol, ()):
        if listing.onboard_ms < start_ms + DAY_MS and start_ms < listing.end_ms:
            return folders.get((listing.symbol, listing.onboard_ms), day.symbol)
    return day.symbol


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()


def _midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
