"""What each consumer needs from the others, as Protocols of one to four methods.

Adapters satisfy them, collectors and jobs are written against them, ``wiring`` joins the two.
Lifecycle, the same everywhere: constructing does no I/O; ``open`` does; ``run`` works until cancelled and
re-raises ``CancelledError`` after letting go of what it holds; ``close`` may be called without ``open``
and twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import Any, Protocol

from .model import (
    ArchiveFile,
    BackfillRequest,
    Candle,
    ContractChange,
    CoverageDay,
    Dataset,
    Expired,
    FileState,
    Gap,
    Instrument,
    KnownFile,
    Listing,
    Span,
    WriteResult,
)


class Clock(Protocol):
    """Venue time; see ``clock.VenueClock`` for the two scales."""

    @property
    def speed(self) -> float: ...

    def now(self) -> float: ...

    def now_ms(self) -> int: ...

    def monotonic(self) -> float: ...

    def wall(self, seconds: float, *, at_least: float = 0.0) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    async def sleep_until(self, moment: float) -> None: ...


class SettableClock(Clock, Protocol):
    """A clock that adopts the venue's time."""

    def set(self, venue_now: float) -> float: ...


class Priority(IntEnum):
    """Who is served first when the venue's budget is scarce; a smaller number goes first."""

    ROLL_CALL = 0
    METRICS = 1
    REPAIR = 2
    HISTORY = 3
    VERIFY = 4


class CandleHandler(Protocol):
    """Takes one closed candle from the stream, at once and without waiting."""

    def __call__(self, candle: Candle) -> None: ...


class ContractHandler(Protocol):
    """Takes one listing event from the stream, at once and without waiting."""

    def __call__(self, change: ContractChange) -> None: ...


class CandleStream(Protocol):
    """The live stream of closed 1m candles; one instance owns all its connections.

    ``set_symbols`` states what shall be subscribed; the difference is applied while running.
    ``resubscribe`` is for a symbol that REST shows trading while the stream is silent; asked a second
    time within ten minutes, the symbol moves to another connection.
    """

    def set_symbols(self, symbols: Collection[str]) -> None: ...

    def resubscribe(self, symbol: str) -> None: ...

    async def run(self) -> None: ...


class History(Protocol):
    """The venue's REST side. Calls wait for budget, retry what is ``Retryable`` within reason, then raise it.

    ``server_time`` is in epoch seconds, corrected by half the round trip.
    ``candles`` returns the closed candles of [from_ms, to_ms) in order, at most 499 minutes a call, fewer
    where the venue has fewer; rows still open are never among them. Raises ``UnknownSymbol``.
    """

    async def server_time(self) -> float: ...

    async def instruments(self) -> list[Instrument]: ...

    async def candles(self, symbol: str, from_ms: int, to_ms: int, *, priority: Priority) -> list[Candle]: ...


class CandleSink(Protocol):
    """Where candles go. One transaction a call; when ``write`` returns, the rows are in the database.

    ``open`` connects, refuses a schema with pending migrations (``ConfigError``) and takes the instance lock
    (``AlreadyRunning``); called again after a lost connection it makes a new one.
    ``write`` and ``quarantine`` raise ``Retryable`` (nothing is known to be stored: write the same rows
    again), ``BadData`` (a row in the batch is unusable: bisect) or ``Misconfigured`` (keep the rows, stop
    writing).
    Only one call runs at a time; the caller sees to it.
    """

    async def open(self) -> None: ...

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult: ...

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None: ...

    async def close(self) -> None: ...


class RoleLock(Protocol):
    """The instance lock of a role: one daemon for each (schema, exchange, role).

    ``open`` takes it (``AlreadyRunning`` names the holder) and does nothing while it is held; ``check`` raises
    ``Retryable`` when the session that held it is gone.
    """

    async def open(self) -> None: ...

    async def check(self) -> None: ...

    async def finish_run(self) -> None: ...

    async def close(self) -> None: ...


class HoleFinder(Protocol):
    """Finds the minutes that are not stored.

    ``holes`` looks at [since[symbol], until_ms) for each symbol, exact to the minute, merged into the fewest
    gaps, ordered by symbol and time. Raises ``Retryable`` or ``Misconfigured``.
    """

    async def holes(self, since: Mapping[str, int], until_ms: int) -> list[Gap]: ...


class Listings(Protocol):
    """The listing intervals the database knows, living and delisted, symbols as ours.

    ``record`` takes what exchangeInfo says of the instruments we follow, and whom it lists at all (``present``):
    whoever is not there has ended. ``record_archived`` takes what only the archive's listing shows, each with the
    folder's own name. ``listings`` returns all of them, ordered by symbol and onboard time. All raise ``Retryable``
    or ``Misconfigured``.
    """

    async def record(
        self, instruments: Sequence[Instrument], present: Collection[str], now_ms: int
    ) -> None: ...

    async def record_archived(self, listings: Sequence[tuple[Listing, str]]) -> None: ...

    async def listings(self) -> list[Listing]: ...


class ArchivedListings(Listings, Protocol):
    """What the archive adds: which of its folders are known, and what is only known to the day or guessed.

    ``gone`` are the intervals of contracts that vanished unannounced, each with its folder; ``end`` sets their end.
    ``trim`` cuts intervals known to the day to their first and last stored row, and returns how many were cut.
    """

    async def folders(self) -> set[str]: ...

    async def gone(self) -> list[tuple[Listing, str]]: ...

    async def end(self, listing: Listing, end_ms: int) -> None: ...

    async def trim(self) -> int: ...


class CoverageLedger(Protocol):
    """What is there and what is not, day by day (docs/adr/0020-coverage-ledger.md).

    ``follow`` sets what is due for every day of ``listings`` up to and including the day of ``until_ms``; repeating
    it changes nothing. ``open_days`` are the days in [since, until] that are incomplete or dirty, ordered by symbol and
    day. ``holes`` are the rows of those days that are neither stored nor proved absent and lie before ``until_ms``,
    exact, merged into the fewest gaps. ``recount`` counts days anew and cleans dirty ones.
    All raise ``Retryable`` or ``Misconfigured``.
    """

    async def follow(self, dataset: Dataset, listings: Sequence[Listing], until_ms: int) -> None: ...

    async def open_days(self, dataset: Dataset, since: date, until: date) -> list[CoverageDay]: ...

    async def holes(self, dataset: Dataset, days: Sequence[CoverageDay], until_ms: int) -> list[Gap]: ...

    async def recount(self, days: Sequence[CoverageDay]) -> None: ...


class CoverageNotes(Protocol):
    """What the patrol writes down about days it could not complete.

    ``looked`` sets when the days may be looked at again and counts the attempt. ``mark_absent`` records rows
    (``ts_ms``, starts of minutes) that neither ``file``, verified by ``sha256``, nor REST asked at ``asked_ms`` has.
    ``absences_due`` are the absent rows whose next asking has come.
    """

    async def looked(self, days: Sequence[CoverageDay], next_look_ms: int) -> None: ...

    async def mark_absent(
        self, file: ArchiveFile, sha256: str, ts_ms: Sequence[int], asked_ms: int
    ) -> None: ...

    async def absences_due(self, dataset: Dataset, now_ms: int, limit: int) -> list[Gap]: ...


class CoverageAudit(Protocol):
    """Counts a thirtieth of all days a day anew, so that no wrong line of the ledger lives longer than a month.

    ``audit`` does what is due of today's share by ``now_ms`` and returns how many lines were wrong; they are mended,
    counted and logged. Raises ``Retryable`` or ``Misconfigured``.
    """

    async def audit(self, now_ms: int) -> int: ...


class Archive(Protocol):
    """The venue's published files. Calls wait for their budget and retry what is ``Retryable`` within reason.

    ``symbols`` are the folders of a dataset (``CTKUSDTSETTLED`` among them), ``files`` what one folder holds, with
    the publication time of each in UTC milliseconds. ``fetch`` downloads into ``folder`` (resuming a ``.part``),
    checks the published SHA-256 and returns path and checksum; it raises ``NotPublished`` for a 404 and ``BadData``
    with a reason for a file that is wrong for good.
    """

    async def symbols(self, dataset: Dataset, span: Span) -> list[str]: ...

    async def files(
        self, dataset: Dataset, span: Span, folder_symbol: str
    ) -> list[tuple[ArchiveFile, int]]: ...

    async def fetch(self, file: ArchiveFile, folder: Path) -> tuple[Path, str]: ...


class ArchiveImporter(Protocol):
    """Puts one verified file into the database: rows, ledger and the file's line in one transaction.

    ``force`` reads a file again that was imported, compares every value and writes no row that is equal. Raises
    ``BadData`` (nothing is stored; quarantine the file), ``Retryable`` or ``Misconfigured``.
    """

    async def import_file(
        self, file: ArchiveFile, local: Path, sha256: str, *, force: bool = False
    ) -> WriteResult: ...


class Expirer(Protocol):
    """Drops what retention no longer keeps, and says so in the ledger, in one transaction.

    ``expire`` drops the chunks that end before ``before_ms`` and sets *expired* for every day before it; repeating it
    changes nothing. Raises ``Retryable`` or ``Misconfigured``, and ``BadData`` for a bound within the last seven days.
    """

    async def expire(self, before_ms: int) -> list[Expired]: ...


class ArchiveLayout(Protocol):
    """Where the archive keeps its files; pure. ``folder`` is the folder's own name (``CTKUSDTSETTLED``)."""

    def file(self, dataset: Dataset, span: Span, folder: str, symbol: str, day: date) -> ArchiveFile: ...


class ArchiveNotes(Protocol):
    """What is written down about archive files; the importer itself notes what it imported.

    ``known`` are the files of [since, until] (by their first day), ``note`` says what became of one that was not
    imported, ``folders`` are the folders that have another name than their symbol, by (symbol, onboard_ms).
    All raise ``Retryable`` or ``Misconfigured``.
    """

    async def known(self, dataset: Dataset, since: date, until: date) -> list[KnownFile]: ...

    async def note(self, file: ArchiveFile, state: FileState, *, detail: str, now_ms: int) -> None: ...

    async def folders(self) -> dict[tuple[str, int], str]: ...


class Verification(Protocol):
    """Which days were compared with their archive file, and when each folder's listing was read.

    ``unverified`` are complete days up to ``until`` that were not compared yet, newest first, without those whose
    file is known to be unusable or was not there within the last day. ``verified`` notes that the files were compared,
    for every day they hold. ``folders_read`` are the folders whose listing was read after ``since_ms``;
    ``folder_read`` notes that one was, and when each of its files was published.
    All raise ``Retryable`` or ``Misconfigured``.
    """

    async def unverified(self, dataset: Dataset, until: date, limit: int) -> list[tuple[str, date]]: ...

    async def verified(self, files: Sequence[ArchiveFile]) -> None: ...

    async def folders_read(self, dataset: Dataset, since_ms: int) -> set[str]: ...

    async def folder_read(
        self, dataset: Dataset, folder: str, files: Sequence[tuple[ArchiveFile, int]], now_ms: int
    ) -> None: ...


class BackfillRequests(Protocol):
    """What people asked to be filled, the oldest first; one that was begun and not finished comes again.

    ``tell`` says how far it is and returns whether it is still wanted. ``state`` is done, cancelled or failed.
    All raise ``Retryable`` or ``Misconfigured``.
    """

    async def take(self) -> BackfillRequest | None: ...

    async def tell(self, request: BackfillRequest, progress: Mapping[str, object]) -> bool: ...

    async def finish(
        self, request: BackfillRequest, state: str, detail: str, progress: Mapping[str, object]
    ) -> None: ...


class RepairSink(Protocol):
    """Where fetched rows of the past go, beside the live writer and without its lock.

    ``write`` is one transaction and may be repeated; it raises ``Retryable``, ``BadData`` (a row is unusable) or
    ``Misconfigured``. ``quarantine`` keeps a row that cannot be stored. Calls may run side by side.
    """

    async def write(self, candles: Sequence[Candle]) -> WriteResult: ...

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None: ...


ForeignRow = tuple[Any, ...]
"""A row of another program as it stands there: its time (UTC ms) first, then its values, and last whether it says that
its period was closed (None: it does not say)."""


class ForeignTable(Protocol):
    """Another program's table, which may only be read.

    ``symbols`` are those it holds, ``span`` the first and the last time of one (UTC ms), None without rows.
    ``rows`` gives the rows of [since_ms, until_ms) in order, a bounded number at a time. All raise ``Retryable`` or
    ``Misconfigured``.
    """

    async def symbols(self) -> list[str]: ...

    async def span(self, symbol: str) -> tuple[int, int] | None: ...

    def rows(self, symbol: str, since_ms: int, until_ms: int) -> AsyncGenerator[list[ForeignRow], None]: ...


class TakeoverNotes(Protocol):
    """Which months were taken over whole, by symbol and first day; ``note`` adds one. Both raise ``Retryable``."""

    async def done(self) -> set[tuple[str, date]]: ...

    async def note(
        self, symbol: str, month: date, *, rows_read: int, inserted: int, refused: int
    ) -> None: ...
