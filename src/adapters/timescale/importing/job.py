"""What the daemon and its import workers tell each other: one JSON object a line, on the worker's standard streams."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from ....errors import BadData, MarketdError, Misconfigured, Permanent, Retryable, Unavailable
from ....model import DAY_MS, ArchiveFile, Dataset, Span

READY = b'{"ready": true}\n'
"""The first line of a worker."""

_EPOCH = date(1970, 1, 1)
_ERRORS: dict[str, type[Retryable] | type[Permanent]] = {
    kind.__name__: kind for kind in (BadData, Misconfigured, Unavailable)
}


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker is started with. ``url`` is a secret: it travels by pipe, never as an argument."""

    url: str = field(repr=False)
    schema: str
    exchange: str
    application_name: str
    source: str


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One file to be put into the database; ``number`` names the answer.

    Of trades the first ``percentage`` of the file's bytes are read, ``piece_rows`` lines in one transaction. A file
    without ``sha256`` is not the archive's.
    """

    number: int
    file: ArchiveFile
    local: Path
    sha256: str
    force: bool
    percentage: float = 100.0
    piece_rows: int = 100_000

    @property
    def noted(self) -> bool:
        """Whether the file gets a line in ``archive_files``: the archive's own, read whole."""
        return bool(self.sha256) and self.percentage >= 100

    @property
    def month(self) -> str:
        """The month that is claimed for it, ``2026-02``: a day's file claims the month that it is in."""
        return f"{self.file.first_day:%Y-%m}"

    @property
    def window(self) -> tuple[int, int]:
        """The minutes that the file holds, [from, to), UTC milliseconds."""
        first = self.file.first_day
        after = first + timedelta(days=1)
        if self.file.span is Span.MONTHLY:
            after = (first.replace(day=1) + timedelta(days=32)).replace(day=1)
        return (first - _EPOCH).days * DAY_MS, (after - _EPOCH).days * DAY_MS


@dataclass(slots=True)
class ImportReport:
    """What became of the rows of one file. ``same`` says that it had been imported before and was not read again.

    ``lines`` of the file are ``inserted``, ``replaced``, ``unchanged``, ``duplicates`` or counted in ``reasons``.
    ``corrected`` of the replaced had other values. ``kept_by_rank`` of the unchanged are archive rows without trades
    that gave way to rows with trades; they are in ``reasons`` too, as ``archive_zero``.
    """

    inserted: int = 0
    replaced: int = 0
    corrected: int = 0
    unchanged: int = 0
    lines: int = 0
    duplicates: int = 0
    revision: int = 0
    kept_by_rank: int = 0
    same: bool = False
    reasons: dict[str, int] = field(default_factory=dict)
    inexact: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Loaded:
    """What became of rows that were sent; see ``ImportReport``."""

    inserted: int = 0
    replaced: int = 0
    corrected: int = 0
    kept_by_rank: int = 0

    def __iadd__(self, other: Loaded) -> Loaded:
        self.inserted += other.inserted
        self.replaced += other.replaced
        self.corrected += other.corrected
        self.kept_by_rank += other.kept_by_rank
        return self


def job_line(job: ImportJob) -> bytes:
    file = {name: str(getattr(job.file, name)) for name in ("path", "dataset", "symbol", "span", "first_day")}
    names = ("number", "sha256", "force", "percentage", "piece_rows")
    fields = {name: getattr(job, name) for name in names}
    return _line({**fields, "local": str(job.local), "file": file})


def read_job(line: bytes) -> ImportJob:
    """The job in a line that ``job_line`` wrote."""
    fields = json.loads(line)
    file = fields["file"]
    archive_file = ArchiveFile(
        file["path"],
        Dataset(file["dataset"]),
        file["symbol"],
        Span(file["span"]),
        datetime.fromisoformat(file["first_day"]).date(),
    )
    return ImportJob(
        fields["number"],
        archive_file,
        Path(fields["local"]),
        fields["sha256"],
        bool(fields["force"]),
        float(fields["percentage"]),
        int(fields["piece_rows"]),
    )


def options_line(options: WorkerOptions) -> bytes:
    return _line(asdict(options))


def read_options(line: bytes) -> WorkerOptions:
    return WorkerOptions(**json.loads(line))


def report_line(number: int, report: ImportReport) -> bytes:
    return _line({"number": number, "report": asdict(report)})


def error_line(number: int, error: MarketdError) -> bytes:
    kind = type(error).__name__ if type(error).__name__ in _ERRORS else Unavailable.__name__
    return _line(
        {"number": number, "error": kind, "text": str(error), "reason": getattr(error, "reason", "other")}
    )


def read_answer(line: bytes) -> tuple[int, ImportReport | MarketdError]:
    """The number of the job, and what became of it. Raises ``ValueError`` for a line that is no answer."""
    try:
        fields: Mapping[str, Any] = json.loads(line)
        number = int(fields["number"])
        if "report" in fields:
            return number, ImportReport(**fields["report"])
        return number, _ERRORS[fields["error"]](fields["text"], reason=fields["reason"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no answer: {line[:200]!r}") from error


def _line(fields: Mapping[str, object]) -> bytes:
    return json.dumps(fields, ensure_ascii=True).encode() + b"\n"
