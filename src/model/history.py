"""What is known of the past: lines of the ledger, files of the archive, what people asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from .rows import Dataset


@dataclass(frozen=True, slots=True)
class CoverageDay:
    """One line of the coverage ledger: rows due, there, proved absent and expired of a symbol's UTC day.

    ``attempts`` counts looks that left it incomplete, ``next_look_ms`` is when the next may be (UTC ms).
    """

    dataset: Dataset
    symbol: str
    day: date
    expected: int
    have: int
    absent: int = 0
    expired: int = 0
    dirty: bool = False
    attempts: int = 0
    next_look_ms: int = 0

    @property
    def unaccounted(self) -> int:
        """Rows that are pending or missing."""
        return max(0, self.expected - self.have - self.absent - self.expired)


@dataclass(frozen=True, slots=True)
class Expired:
    """What one run of retention did to a dataset: chunks dropped, ledger lines changed, rows newly *expired*."""

    dataset: Dataset
    chunks: int
    lines: int
    rows: int


class Span(StrEnum):
    """How much one archive file holds."""

    DAILY = "daily"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True, order=True)
class ArchiveFile:
    """One file of the venue's archive. ``path`` lies below the archive's root and ends in ``.zip``.

    ``symbol`` is ours; the folder's own name (``CTKUSDTSETTLED``) is in ``path`` only. ``first_day`` is the day, or
    the first day of the month.
    """

    path: str
    dataset: Dataset
    symbol: str
    span: Span
    first_day: date


class FileState(StrEnum):
    """What became of an archive file, by the word in ``archive_files.state``."""

    LISTED = "listed"
    IMPORTED = "imported"
    QUARANTINED = "quarantined"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class KnownFile:
    """What is written down about an archive file. ``checked_ms`` is when we last learned of it (UTC ms).

    ``sha256`` is that of the content that was imported, empty otherwise; a file that is LISTED with one was imported,
    and candles of it were deleted by hand since. ``published_ms`` is when it was published, None where no listing was
    read since.
    """

    file: ArchiveFile
    state: FileState
    sha256: str
    checked_ms: int
    published_ms: int | None = None


@dataclass(frozen=True, slots=True)
class BackfillRequest:
    """What a person asked to be filled: minutes of [since_ms, until_ms) of the symbols that ``symbols`` (globs) match.

    ``source`` is auto, zip or rest; ``force`` reads files again that were imported, ``keep`` leaves them in the folder.
    """

    id: int
    symbols: tuple[str, ...]
    since_ms: int
    until_ms: int
    source: str
    force: bool
    keep: bool
