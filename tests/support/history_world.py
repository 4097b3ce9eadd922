"""A venue, an archive and a database of the past in memory: the ports that the backfill is written against.

``World`` knows which candles exist; REST and archive each have all of them but those in ``rest_lacks`` and
``file_lacks``. Nothing is ever asked of it that is not recorded.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from src.errors import BadData, NotPublished
from src.model import (
    DAY_MS,
    MINUTE_MS,
    ArchiveFile,
    Authority,
    Candle,
    CoverageDay,
    Dataset,
    FileState,
    Gap,
    Instrument,
    KnownFile,
    Listing,
    Span,
    WriteResult,
)
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.fakes import StepClock, make_candle

Key = tuple[str, int]
_EPOCH = date(1970, 1, 1)


def start_of(day: date) -> int:
    return (day - _EPOCH).days * DAY_MS


def day_at(ms: int) -> date:
    return _EPOCH + timedelta(days=ms // DAY_MS)


class World:
    """All of it. ``stored`` is the database, ``absent`` its proved absences, ``files`` what it knows of files."""

    def __init__(self, listings: Sequence[Listing], clock: StepClock, metrics: Metrics) -> None:
        self.listed = list(listings)
        self.clock = clock
        self.metrics = metrics
        self.stored: dict[Key, Candle] = {}
        self.absent: dict[Key, str] = {}
        self.files_known: dict[str, KnownFile] = {}
        self.folder_names: dict[tuple[str, int], str] = {}
        self.rest_lacks: set[Key] = set()
        self.file_lacks: set[Key] = set()
        self.unpublished: set[str] = set()
        self.damaged: set[str] = set()
        self.attempts: Counter[tuple[str, date]] = Counter()
        self.next_look: dict[tuple[str, date], int] = {}
        self.dirty: set[tuple[str, date]] = set()
        self.due: list[Gap] = []
        self.followed = False
        self.fetched: list[str] = []
        self.priorities: set[Priority] = set()
        self.imported: list[tuple[str, bool]] = []
        self.requests: list[tuple[str, int, int, Priority]] = []
        self.recounted: list[tuple[str, date]] = []
        self.errors: dict[str, list[Exception]] = {}
        self.corrections: Counter[str] = Counter()
        self.rises: Counter[str] = Counter()
        self.audits = 0
        self.days_verified: set[tuple[str, date]] = set()
        self.listings_read: dict[str, int] = {}
        self.listed_files: dict[str, list[tuple[ArchiveFile, int]]] = {}

    def fail(self, call: str) -> None:
        if errors := self.errors.get(call):
            raise errors.pop(0)

    def store(self, symbol: str, from_ms: int, to_ms: int) -> None:
        for open_ms in range(from_ms, to_ms, MINUTE_MS):
            self.stored[symbol, open_ms] = make_candle(symbol, open_ms, authority=Authority.REST)

    def expects(self, key: Key) -> bool:
        return any(item.symbol == key[0] and item.expects(key[1]) for item in self.listed)

    def minutes(self, symbol: str, day: date) -> list[int]:
        start = start_of(day)
        windows = [item.window(start, start + DAY_MS) for item in self.listed if item.symbol == symbol]
        return sorted(ms for window in windows for ms in range(*window, MINUTE_MS))

    # Listings
    async def record(self, instruments: Sequence[Instrument], present: Collection[str], now_ms: int) -> None:
        raise NotImplementedError

    async def record_archived(self, listings: Sequence[tuple[Listing, str]]) -> None:
        raise NotImplementedError

    async def listings(self) -> list[Listing]:
        self.fail("listings")
        return sorted(self.listed, key=lambda item: (item.symbol, item.onboard_ms))

    # CoverageLedger
    async def follow(self, dataset: Dataset, listings: Sequence[Listing], until_ms: int) -> None:
        self.followed = True

    async def open_days(self, dataset: Dataset, since: date, until: date) -> list[CoverageDay]:
        self.fail("open_days")
        assert self.followed
        found = []
        for symbol in sorted({item.symbol for item in self.listed}):
            day = since
            while day <= until:
                line = self._line(symbol, day)
                if line.dirty or line.unaccounted:
                    found.append(line)
                day += timedelta(days=1)
        return found

    def _line(self, symbol: str, day: date) -> CoverageDay:
        minutes = self.minutes(symbol, day)
        key = (symbol, day)
        return CoverageDay(
            Dataset.CANDLES, symbol, day, len(minutes),
            sum((symbol, ms) in self.stored for ms in minutes), sum((symbol, ms) in self.absent for ms in minutes),
            dirty=key in self.dirty, attempts=self.attempts[key], next_look_ms=self.next_look.get(key, 0),
        )  # fmt: skip

    async def holes(self, dataset: Dataset, days: Sequence[CoverageDay], until_ms: int) -> list[Gap]:
        self.fail("holes")
        return [
            Gap(day.symbol, ms, ms + MINUTE_MS, "missing")
            for day in days
            for ms in self.minutes(day.symbol, day.day)
            if ms < until_ms and (day.symbol, ms) not in self.stored and (day.symbol, ms) not in self.absent
        ]

    async def recount(self, days: Sequence[CoverageDay]) -> None:
        self.recounted += [(day.symbol, day.day) for day in days]
        self.dirty -= set(self.recounted)

    # CoverageNotes
    async def looked(self, days: Sequence[CoverageDay], next_look_ms: int) -> None:
        for day in days:
            self.attempts[day.symbol, day.day] += 1
            self.next_look[day.symbol, day.day] = next_look_ms

    async def mark_absent(self, file: ArchiveFile, sha256: str, ts_ms: Sequence[int], asked_ms: int) -> None:
        known = self.files_known[file.path]
        assert known.state is FileState.IMPORTED
        assert known.sha256 == sha256
        assert asked_ms >= known.checked_ms
        self.absent |= {(file.symbol, ms): file.path for ms in ts_ms}

    async def absences_due(
        self, dataset: Dataset, now_ms: int, limit: int, *, since_ms: int = 0
    ) -> list[Gap]:
        return [gap for gap in self.due if gap.from_ms >= since_ms][:limit]

    async def postpone_absences(
        self, dataset: Dataset, gaps: Sequence[Gap], now_ms: int, next_ask_ms: int
    ) -> None:
        assert next_ask_ms > now_ms
        self.due = [gap for gap in self.due if gap not in gaps]

    # ArchiveNotes
    async def known(self, dataset: Dataset, since: date, until: date) -> list[KnownFile]:
        self.fail("known")
        return [item for item in self.files_known.values() if since <= item.file.first_day <= until]

    async def note(self, file: ArchiveFile, state: FileState, *, detail: str, now_ms: int) -> None:
        self.fail("note")
        self.files_known[file.path] = KnownFile(file, state, "", now_ms)

    async def folders(self) -> dict[tuple[str, int], str]:
        return dict(self.folder_names)

    # Verification
    async def unverified(self, dataset: Dataset, until: date, limit: int) -> list[tuple[str, date]]:
        unusable = {
            (item.file.symbol, item.file.first_day)
            for item in self.files_known.values()
            if item.state in (FileState.MISSING, FileState.QUARANTINED)
        }
        days = {(symbol, day_at(ms)) for symbol, ms in self.stored if day_at(ms) <= until}
        lines = [self._line(*key) for key in days - self.days_verified - unusable]
        found = [(line.symbol, line.day) for line in lines if not line.unaccounted and not line.dirty]
        return sorted(found, key=lambda key: (-key[1].toordinal(), key[0]))[:limit]

    async def verified(self, files: Sequence[ArchiveFile]) -> None:
        self.days_verified |= {(file.symbol, file.first_day) for file in files}

    async def folders_read(self, dataset: Dataset, since_ms: int) -> set[str]:
        return {folder for folder, ms in self.listings_read.items() if ms > since_ms}

    async def folder_read(
        self, dataset: Dataset, folder: str, files: Sequence[tuple[ArchiveFile, int]], now_ms: int
    ) -> None:
        self.listings_read[folder] = now_ms
        for file, ms in files:
            if file.path in self.files_known:
                self.files_known[file.path] = replace(self.files_known[file.path], published_ms=ms)

    # CoverageAudit
    async def audit(self, now_ms: int) -> int:
        self.audits += 1
        return 0

    # Archive
    async def symbols(self, dataset: Dataset, span: Span) -> list[str]:
        raise NotImplementedError

    async def files(
        self, dataset: Dataset, span: Span, folder_symbol: str, *, priority: Priority = Priority.HISTORY
    ) -> list[tuple[ArchiveFile, int]]:
        listed = self.listed_files.get(folder_symbol, [])
        return [item for item in listed if item[0].span is span]

    async def fetch(
        self, file: ArchiveFile, folder: Path, *, priority: Priority = Priority.HISTORY
    ) -> tuple[Path, str]:
        self.fetched.append(file.path)
        self.priorities.add(priority)
        await asyncio.sleep(0)
        self.fail("fetch")
        if file.path in self.unpublished:
            raise NotPublished(f"{file.path}: 404", reason="not_published")
        if file.path in self.damaged:
            raise BadData(f"{file.path}: wrong checksum", reason="checksum")
        local = folder / Path(file.path).name
        await asyncio.to_thread(local.write_text, file.path)
        return local, f"sha of {file.path}"

    # ArchiveImporter
    async def import_file(
        self, file: ArchiveFile, local: Path, sha256: str, *, force: bool = False
    ) -> WriteResult:
        assert await asyncio.to_thread(local.read_text) == file.path
        await asyncio.sleep(0)
        self.fail("import")
        self.imported.append((file.path, force))
        days = [file.first_day]
        if file.span is Span.MONTHLY:
            days = [file.first_day + timedelta(days=n) for n in range(31)]
            days = [day for day in days if day.month == file.first_day.month]
        keys = [(file.symbol, ms) for day in days for ms in self.minutes(file.symbol, day)]
        keys = [key for key in keys if key not in self.file_lacks]
        inserted = [key for key in keys if key not in self.stored]
        for key in inserted:
            self.stored[key] = make_candle(*key, source="binance_archive", authority=Authority.ARCHIVE)
        self.files_known[file.path] = KnownFile(file, FileState.IMPORTED, sha256, self.clock.now_ms())
        corrected = self.corrections.pop(file.path, 0)
        replaced = corrected + self.rises.pop(file.path, 0)
        return WriteResult(len(inserted), replaced, len(keys) - len(inserted) - replaced, corrected)

    # History
    async def server_time(self) -> float:
        return self.clock.now()

    async def instruments(self) -> list[Instrument]:
        return []

    async def candles(self, symbol: str, from_ms: int, to_ms: int, *, priority: Priority) -> list[Candle]:
        assert 0 < to_ms - from_ms <= 499 * MINUTE_MS
        self.requests.append((symbol, from_ms, to_ms, priority))
        await asyncio.sleep(0)
        self.fail("candles")
        return [
            make_candle(symbol, ms, source="binance_rest", authority=Authority.REST)
            for ms in range(from_ms, to_ms, MINUTE_MS)
            if self.expects((symbol, ms)) and (symbol, ms) not in self.rest_lacks
        ]


class MemorySink:
    """``ports.RepairSink`` into a ``World``. Rows with a key in ``poison`` are refused."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.poison: set[Key] = set()
        self.quarantined: list[Key] = []

    async def write(self, candles: Sequence[Candle]) -> WriteResult:
        await asyncio.sleep(0)
        self.world.fail("write")
        if any(row.key in self.poison for row in candles):
            raise BadData("a row is unusable", reason="check_violation")
        new = [row for row in candles if row.key not in self.world.stored]
        self.world.stored |= {row.key: replace(row) for row in new}
        return WriteResult(len(new), 0, len(candles) - len(new))

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None:
        self.quarantined.append(candle.key)
