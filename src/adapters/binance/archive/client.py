"""The venue's published files as ``ports.Archive``: what there is, and one file at a time, whole and verified."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import certifi
from yarl import URL

from ....errors import BadData, NotPublished, Unavailable
from ....model import ArchiveFile, Dataset, Span
from ....ports import Clock, Priority
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from ..rest.errors import error_of
from ..rest.http import Answer, GuardedSession, checked_url
from ..rest.retry import Retrying
from . import paths
from .download import download
from .listing import MAX_PAGES, ListingPage, page_query, parse_page, refuse_page
from .part import Part, sha256_of

MAX_FILE_BYTES = 64 * 1024 * 1024
"""The largest month of 1m candles has 2.6 MB."""
_MAX_PAGE_BYTES = 4 * 1024 * 1024
CHECKSUM_ATTEMPTS = 3
"""Times that a file is fetched whose bytes do not have the published checksum; then it is wrong for good."""

_CHECKSUM = re.compile(r"\s*([0-9a-fA-F]{64})[ \t]+\*?(\S+)\s*")

log = get_logger("archive")


class Permits(Protocol):
    """The part of the rate limiter that is used here: the archive's budget."""

    def permit(self, weight: int, priority: Priority) -> AbstractAsyncContextManager[None]: ...


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """Where and how patiently to ask. ``timeout`` is the longest silence of a download, in wall seconds.

    ``attempts`` counts the first one; ``patience`` is how long a wait the other side may ask for before the error
    goes to the caller instead.
    """

    url: str = "https://data.binance.vision"
    list_url: str = "https://s3-ap-northeast-1.amazonaws.com/data.binance.vision"
    proxy: str | None = field(default=None, repr=False)
    trusted: str | None = None
    timeout: float = 30.0
    attempts: int = 4
    backoff_base: float = 0.5
    backoff_cap: float = 8.0
    patience: float = 90.0
    max_file_bytes: int = MAX_FILE_BYTES


class BinanceArchive:
    """Two sessions, one to the files and one to their list. ``open`` before the first call; calls may run side by side.

    Each call takes one permit for its whole time. Raises ``ConfigError`` for a URL that is not TLS and not loopback.
    """

    def __init__(self, options: ArchiveOptions, permits: Permits, clock: Clock, metrics: Metrics) -> None:
        self._url = checked_url("BINANCE_ARCHIVE_URL", options.url)
        self._list_url = checked_url("BINANCE_ARCHIVE_LIST_URL", options.list_url)
        self._retrying = Retrying(options)
        self._options, self._permits, self._clock, self._metrics = options, permits, clock, metrics
        self._files: GuardedSession | None = None
        self._lists: GuardedSession | None = None

    async def open(self) -> None:
        """Make the sessions; nothing is sent yet."""
        if self._files is None:
            self._files = self._session(self._url, self._count_file)
            self._lists = self._session(self._list_url, self._count_list)

    async def close(self) -> None:
        sessions = [session for session in (self._files, self._lists) if session is not None]
        self._files = self._lists = None
        for session in sessions:
            await session.close()

    async def symbols(self, dataset: Dataset, span: Span) -> list[str]:
        """See ``ports.Archive``; folders whose names cannot be symbols are counted and left out."""
        found = []
        async for page in self._pages(
            paths.dataset_prefix(dataset, span), folders=True, priority=Priority.HISTORY
        ):
            for prefix in page.folders:
                try:
                    found.append(paths.folder_of(prefix, dataset, span))
                except BadData as error:
                    self._leave_out(error)
        return found

    async def files(
        self, dataset: Dataset, span: Span, folder_symbol: str, *, priority: Priority = Priority.HISTORY
    ) -> list[tuple[ArchiveFile, int]]:
        """See ``ports.Archive``; ordered by day. Keys that are no file of the dataset are counted and left out."""
        found = []
        prefix = paths.folder_prefix(dataset, span, folder_symbol)
        async for page in self._pages(prefix, folders=False, priority=priority):
            for key, modified_ms, _ in page.keys:
                if key.endswith(paths.CHECKSUM_SUFFIX):
                    continue
                try:
                    found.append((paths.file_of(key, dataset, span, folder_symbol), modified_ms))
                except BadData as error:
                    self._leave_out(error)
        return sorted(found)

    async def fetch(
        self, file: ArchiveFile, folder: Path, *, priority: Priority = Priority.HISTORY
    ) -> tuple[Path, str]:
        """See ``ports.Archive``. A file that is already there with the published checksum is not fetched again.

        Raises ``NotPublished``, ``Retryable``, ``BadData`` (``checksum``, ``no_checksum``, ``too_large``) and
        ``OSError`` when the folder cannot be written.
        """
        final = folder / paths.file_name(file)
        async with self._permits.permit(1, priority):
            for attempt in range(1, CHECKSUM_ATTEMPTS + 1):
                published = await self._retrying(self._published, file)
                if await asyncio.to_thread(_has, final, published):
                    return final, published
                if await self._retrying(self._download, file, final, published):
                    self._metrics.archive_downloads.labels("ok").inc()
                    return final, published
                self._metrics.archive_downloads.labels("checksum").inc()
                log.warning("archive_checksum_wrong", msg=file.path, attempt=attempt)
        raise BadData(f"{file.path} does not have its published checksum", reason="checksum")

    async def _published(self, file: ArchiveFile) -> str:
        """The published SHA-256.

        4d6f6a...e1  BTCUSDT-1m-2024-01.zip
        """
        url = self._object(file.path + paths.CHECKSUM_SUFFIX)
        async with self._open_files().get(url, headers={}) as answer:
            text = await answer.text()
        if answer.status == 404:
            await self._refuse_lone_file(file)
        self._refuse(answer, text)
        found = _CHECKSUM.fullmatch(text)
        if found is None or found.group(2) != paths.file_name(file):
            raise Unavailable(f"{file.path}: its checksum file says {text[:100]!r}", reason="bad_checksum")
        return found.group(1).lower()

    async def _refuse_lone_file(self, file: ArchiveFile) -> None:
        """Without a checksum there is either no file yet, or one that can never be verified."""
        async with self._open_files().stream(
            self._object(file.path), headers={"Range": "bytes=0-0"}
        ) as answer:
            status = answer.status
        if status in (200, 206):
            raise BadData(f"{file.path} has no checksum", reason="no_checksum")
        raise NotPublished(f"{file.path}: the archive has no such file", reason="not_published")

    async def _download(self, file: ArchiveFile, final: Path, published: str) -> bool:
        """Whether the file is now there under its final name, with the published checksum."""
        with Part(final) as part:
            await asyncio.to_thread(part.open)
            try:
                await download(
                    self._open_files(),
                    self._object(file.path),
                    part,
                    limit=self._options.max_file_bytes,
                    now=self._clock.now,
                    on_bytes=self._metrics.archive_bytes.inc,
                )
            except (NotPublished, BadData):
                await asyncio.to_thread(part.discard)
                raise
            except Unavailable as error:
                # Perhaps only the last answer was lost: what is there may already be all.
                if error.reason != "range":
                    raise
            if await asyncio.to_thread(part.sha256) == published:
                await asyncio.to_thread(part.finish)
                return True
            await asyncio.to_thread(part.discard)
        return False

    async def _pages(self, prefix: str, *, folders: bool, priority: Priority) -> AsyncIterator[ListingPage]:
        token: str | None = None
        for _ in range(MAX_PAGES):
            async with self._permits.permit(1, priority):
                page = await self._retrying(self._page, page_query(prefix, folders=folders, token=token))
            yield page
            if page.token is None:
                return
            if page.token == token:
                break
            token = page.token
        raise Unavailable(f"the archive's listing of {prefix} does not end", reason="bad_listing")

    async def _page(self, query: str) -> ListingPage:
        url = URL(f"{self._list_url}?{query}", encoded=True)
        if self._lists is None:
            raise Unavailable("the archive's session is not open", reason="closed")
        async with self._lists.get(url, headers={}) as answer:
            if answer.status != 200:
                self._refuse(answer, await answer.text())
            return await asyncio.to_thread(parse_page, answer.body)

    def _refuse(self, answer: Answer, text: str) -> None:
        if answer.status == 404:
            raise NotPublished("the archive has no such file", reason="not_published")
        if answer.status != 200:
            raise error_of(answer.status, answer.headers, text, None, self._clock.now())
        refuse_page(text)

    def _object(self, path: str) -> URL:
        return URL(f"{self._url}/{paths.url_path(path)}", encoded=True)

    def _open_files(self) -> GuardedSession:
        if self._files is None:
            raise Unavailable("the archive's session is not open", reason="closed")
        return self._files

    def _session(
        self, url: str, on_answer: Callable[[str, str, Mapping[str, str], float], None]
    ) -> GuardedSession:
        options = self._options
        return GuardedSession(
            url,
            proxy=options.proxy,
            timeout=options.timeout,
            on_answer=on_answer,
            max_body=_MAX_PAGE_BYTES,
            # Besides the system's, which a slim container lacks; the REST side trusts the same ones.
            trusted=options.trusted or certifi.where(),
        )

    def _count_file(self, path: str, status: str, headers: Mapping[str, str], seconds: float) -> None:
        kind = "checksum" if path.endswith(paths.CHECKSUM_SUFFIX) else "file"
        self._metrics.archive_requests.labels(kind, status).inc()

    def _count_list(self, path: str, status: str, headers: Mapping[str, str], seconds: float) -> None:
        self._metrics.archive_requests.labels("list", status).inc()

    def _leave_out(self, error: BadData) -> None:
        self._metrics.archive_entries_rejected.labels(error.reason).inc()
        log.debug("archive_entry_rejected", msg=str(error), reason=error.reason)


def _has(final: Path, sha256: str) -> bool:
    return final.exists() and sha256_of(final) == sha256
