"""The venue's published files, and what is written down about them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Protocol

from ..model import ArchiveFile, Dataset, FileState, KnownFile, Span, WriteResult
from .venue import Priority


class Archive(Protocol):
    """The venue's published files. Calls wait for their budget and retry what is ``Retryable`` within reason.

    ``symbols`` are the folders of a dataset (``CTKUSDTSETTLED`` among them), ``files`` what one folder holds, with
    the publication time of each in UTC milliseconds. ``fetch`` downloads into ``folder`` (resuming a ``.part``),
    checks the published SHA-256 and returns path and checksum; it raises ``NotPublished`` for a 404 and ``BadData``
    with a reason for a file that is wrong for good.
    """

    async def symbols(self, dataset: Dataset, span: Span) -> list[str]: ...

    async def files(
        self, dataset: Dataset, span: Span, folder_symbol: str, *, priority: Priority = Priority.HISTORY
    ) -> list[tuple[ArchiveFile, int]]: ...

    async def fetch(
        self, file: ArchiveFile, folder: Path, *, priority: Priority = Priority.HISTORY
    ) -> tuple[Path, str]: ...


class ArchiveLayout(Protocol):
    """Where the archive keeps its files; pure. ``folder`` is the folder's own name (``CTKUSDTSETTLED``)."""

    def file(self, dataset: Dataset, span: Span, folder: str, symbol: str, day: date) -> ArchiveFile: ...


class ArchiveImporter(Protocol):
    """Puts one verified file into the database: rows, ledger and the file's line in one transaction.

    ``force`` reads a file again that was imported, compares every value and writes no row that is equal. Raises
    ``BadData`` (nothing is stored; quarantine the file), ``Retryable`` or ``Misconfigured``.
    """

    async def import_file(
        self, file: ArchiveFile, local: Path, sha256: str, *, force: bool = False
    ) -> WriteResult: ...


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
