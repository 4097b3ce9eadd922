"""Files of trades from the archive: whole months, and days that are not there yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ...errors import BadData, NotPublished, Permanent, Retryable
from ...model import (
    DAY_MS,
    ArchiveFile,
    Dataset,
    FileState,
    KnownFile,
    Span,
    TradeGap,
    TradeListing,
    TradeReach,
)
from ...ports import Archive, ArchiveLayout, ArchiveNotes, Clock
from ...ports.trades import TradeFiles, TradeLedger
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics

_log = get_logger("trades")

_LOOK_S = 3600.0
_AGAIN_MS = 6 * 3_600_000
"""How long a file that is not published is left alone."""
_REFUSED_AGAIN_MS = 7 * DAY_MS
"""One that is unusable is read again after a week: perhaps its checksum was not there yet, and the archive publishes
files again."""
_MEMORY_S = 1.0
_MONTHLY_AFTER = timedelta(days=10)
"""Monthly files come about a week after their month."""
_MOST_GAPS = 10_000


@dataclass(frozen=True, slots=True)
class TradeArchive:
    """Where one market's files are, who imports them, and what is written down about them."""

    archive: Archive
    layout: ArchiveLayout
    files: TradeFiles
    notes: ArchiveNotes


class TradeHistory:
    """Every hour: imports the files since ``since(now_ms)`` that hold trades which are not stored, the newest first.

    A month that is over is one file, and where that lacks trades its days; a day whose ids are all there is not
    fetched. A symbol that was listed again has the files of each listing in a folder of its own, or both in one file
    where they were not moved. ``folder`` takes the downloads, which do not stay; files of another market have the same
    names, so it is this one's alone. One file at a time: the importer has one process for them.
    """

    def __init__(
        self,
        parts: TradeArchive,
        ledger: TradeLedger,
        symbols: Sequence[str],
        clock: Clock,
        metrics: Metrics,
        *,
        folder: Path,
        since: Callable[[int], int],
        ready: asyncio.Event,
        memory_short: Callable[[], bool] = lambda: False,
    ) -> None:
        self._parts, self._ledger = parts, ledger
        self._symbols = tuple(symbols)
        self._clock, self._metrics = clock, metrics
        self._folder, self._since, self._ready = folder, since, ready
        self._memory_short = memory_short
        self._imported = 0
        for result in ("imported", "refused", "missing", "failed"):
            metrics.trade_files.labels(result)

    async def run(self) -> None:
        """Until cancelled. Raises ``Retryable`` or ``Misconfigured`` of the database."""
        await self._ready.wait()
        while True:
            await self.look()
            await self._clock.sleep(_LOOK_S)

    def progress(self) -> int:
        """Files imported so far, for the supervisor."""
        return self._imported

    async def look(self) -> None:
        """One pass over all that is due."""
        now_ms = self._clock.now_ms()
        since_ms = self._since(now_ms)
        first = _day(since_ms).replace(day=1)
        known = {
            item.file.path: item
            for item in await self._parts.notes.known(Dataset.TRADES, first, _day(now_ms))
        }
        listings = await self._ledger.listings(self._symbols)
        reach = await self._ledger.reach()
        gaps = await self._ledger.open_gaps(self._symbols, now_ms + 10 * DAY_MS, _MOST_GAPS)
        for symbol in self._symbols:
            for listing in reversed(listings[symbol]):
                there = Coverage(
                    reach.get((symbol, listing.start_ms)),
                    [gap for gap in gaps if (gap.symbol, gap.listing_ms) == (symbol, listing.start_ms)],
                )
                await self._import_due(symbol, listing, there, known, (since_ms, now_ms))
            await self._ledger.settle([symbol], since_ms)

    async def _import_due(
        self,
        symbol: str,
        listing: TradeListing,
        there: Coverage,
        known: Mapping[str, KnownFile],
        span_ms: tuple[int, int],
    ) -> None:
        """The files of one listing, between two times."""
        since, today = _day(max(span_ms[0], listing.start_ms)), _day(span_ms[1])
        until = min(today, _day(listing.end_ms - 1) + timedelta(days=1))
        done = {
            item.file.first_day
            for item in known.values()
            if item.file.symbol == symbol
            and item.file.span is Span.MONTHLY
            and item.state is not FileState.LISTED
            and f"/{listing.folder}/" in item.file.path
        }
        for span, day in due_files(there, since, until, done, today=today):
            file = self._parts.layout.file(Dataset.TRADES, span, listing.folder, symbol, day)
            if not _settled(known, file, span_ms[1]):
                await self._memory_enough()
                await self._import(file)

    async def _memory_enough(self) -> None:
        """Wait while memory is short: what is in it cannot be had again as easily as a file."""
        if self._memory_short():
            _log.warning("trade_files_wait", msg="memory is short; archive files of trades wait")
        while self._memory_short():  # noqa: ASYNC110 - looked at once a second, by somebody else
            await asyncio.sleep(_MEMORY_S)

    async def _import(self, file: ArchiveFile) -> None:
        result = "imported"
        try:
            await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
            local, sha256 = await self._parts.archive.fetch(file, self._folder)
            try:
                await self._parts.files.import_trades(file, local, sha256)
            finally:
                await asyncio.to_thread(local.unlink, missing_ok=True)
            self._imported += 1
        except NotPublished as error:
            result = "missing"
            await self._note(file, FileState.MISSING, str(error))
        except BadData as error:
            result = "refused"
            await self._note(file, FileState.QUARANTINED, str(error))
            _log.warning("trade_file_refused", msg=str(error), path=file.path, reason=error.reason)
        except (Retryable, Permanent, OSError) as error:
            result = "failed"
            _log.warning("trade_file_failed", msg=str(error), path=file.path)
        self._metrics.trade_files.labels(result).inc()

    async def _note(self, file: ArchiveFile, state: FileState, detail: str) -> None:
        await self._parts.notes.note(file, state, detail=detail, now_ms=self._clock.now_ms())


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is stored of a listing: its reach, and the gaps in it that are looked for."""

    reach: TradeReach | None
    gaps: Sequence[TradeGap]

    def holds(self, from_ms: int, to_ms: int) -> bool:
        """Whether every trade of [from, to) is stored."""
        if self.reach is None or self.reach.first_ms > from_ms or self.reach.last_ms < to_ms:
            return False
        return not any(gap.after_ms < to_ms and gap.before_ms >= from_ms for gap in self.gaps)


def due_files(
    there: Coverage,
    since: date,
    until: date,
    done: Collection[date] = (),
    *,
    today: date | None = None,
) -> list[tuple[Span, date]]:
    """Which files hold trades of [since, until) that are not stored, the newest first; pure.

    ``today``, which says what should be published, is ``until`` where it is not given.
    A month is one file once it should be published, all of it is wanted, and it is not among those that are ``done``:
    their file is not there, unusable, or imported and lacks what is not stored. Else it is its days.
    """
    found: list[tuple[Span, date]] = []
    today = until if today is None else today
    day = until - timedelta(days=1)
    while day >= since:
        first = day.replace(day=1)
        after = (first + timedelta(days=32)).replace(day=1)
        whole = day == after - timedelta(days=1) and first >= since
        if whole and today >= after + _MONTHLY_AFTER:
            # Of what is done most lacks nothing: years of it, looked through by days, would hold up the loop.
            lacks = not there.holds(_ms(first), _ms(after))
            if lacks and first not in done:
                found.append((Span.MONTHLY, first))
            if not lacks or first not in done:
                day = first - timedelta(days=1)
                continue
        if not there.holds(_ms(day), _ms(day) + DAY_MS):
            found.append((Span.DAILY, day))
        day -= timedelta(days=1)
    return found


def _settled(known: Mapping[str, KnownFile], file: ArchiveFile, now_ms: int) -> bool:
    """Whether nothing is to be had from the file: imported, or unusable or not there a while ago."""
    item = known.get(file.path)
    if item is None or item.state is FileState.LISTED:
        return False
    patience_ms = {FileState.MISSING: _AGAIN_MS, FileState.QUARANTINED: _REFUSED_AGAIN_MS}.get(item.state)
    return patience_ms is None or now_ms - item.checked_ms < patience_ms


def _day(ms: int) -> date:
    return datetime.fromtimestamp(ms / 1000, UTC).date()


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
