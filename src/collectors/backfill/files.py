"""Downloads archive files and has them imported, both at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from ...errors import BadData, NotPublished, Permanent, Retryable
from ...model import FileState, WriteResult
from ...ports import Archive, ArchiveImporter, ArchiveNotes, Clock
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..workers import for_each
from .folder import DownloadFolder, Trouble
from .job import Job, Outcome
from .plan import FileTask

_log = get_logger("backfill")

_Local = tuple[FileTask, Path, str]


class FileWork:
    """Works through file tasks, ``workers`` of the importer's processes kept busy by twice as many files, and as many
    downloads ahead of them.

    A file that is not there or is wrong for good is written down and its minutes are left to the next source; a
    folder that cannot be used, or memory that is short, ends the downloads and nothing else.
    """

    def __init__(
        self,
        archive: Archive,
        importer: ArchiveImporter,
        notes: ArchiveNotes,
        folder: DownloadFolder,
        clock: Clock,
        metrics: Metrics,
        *,
        workers: int,
        memory_short: Callable[[], bool] = lambda: False,
    ) -> None:
        self._archive = archive
        self._importer = importer
        self._notes = notes
        self._folder = folder
        self._clock = clock
        self._metrics = metrics
        self._workers = workers
        self._memory_short = memory_short

    async def run(self, tasks: Sequence[FileTask], job: Job, outcome: Outcome) -> None:
        """Do ``tasks`` in order of starting. Raises ``Misconfigured``."""
        if not tasks:
            return
        ready: asyncio.Queue[_Local | None] = asyncio.Queue(self._workers)

        async def download(task: FileTask) -> None:
            if await self._may_go_on(job, outcome) and (local := await self._fetch(task, job, outcome)):
                await ready.put(local)

        async def importing() -> None:
            while local := await ready.get():
                await self._import(*local, job, outcome)

        async with asyncio.TaskGroup() as group:
            for number in range(2 * self._workers):
                group.create_task(importing(), name=f"import-{number}")
            await for_each(tasks, download, limit=2 * self._workers, name="download")
            for _ in range(2 * self._workers):
                await ready.put(None)

    async def _may_go_on(self, job: Job, outcome: Outcome) -> bool:
        if job.stop():
            outcome.stopped = True
        elif outcome.trouble is None and self._memory_short():
            # An import takes some 120 MB, and what is in the buffer cannot be had again as easily.
            self._give_up(outcome, "memory", "memory is short; archive files wait")
        elif outcome.trouble is None and (trouble := await self._folder.trouble()):
            self._give_up(outcome, trouble, self._folder.detail)
        return not outcome.stopped and outcome.trouble is None

    def _give_up(self, outcome: Outcome, trouble: Trouble, detail: str) -> None:
        outcome.trouble = trouble
        _log.warning("downloads_stopped", msg=detail, reason=trouble)

    async def _fetch(self, task: FileTask, job: Job, outcome: Outcome) -> _Local | None:
        try:
            path, sha256 = await self._archive.fetch(task.file, self._folder.path, priority=job.priority)
        except NotPublished as error:
            await self._failed(task, FileState.MISSING, str(error), "missing", job, outcome)
        except BadData as error:
            await self._failed(task, FileState.QUARANTINED, str(error), error.reason, job, outcome)
        except Permanent as error:
            # The archive refuses to give it (a 4xx): one file must not end all filling. It is asked for again in a day.
            await self._failed(task, FileState.MISSING, str(error), error.reason, job, outcome)
        except Retryable as error:
            self._unanswered(task, error, outcome)
        except OSError as error:
            if outcome.trouble is None:
                self._give_up(outcome, "folder", f"{self._folder.path}: {error.strerror or error}")
        else:
            return task, path, sha256
        return None

    async def _import(self, task: FileTask, path: Path, sha256: str, job: Job, outcome: Outcome) -> None:
        try:
            result = await self._importer.import_file(task.file, path, sha256, force=job.force)
        except BadData as error:
            await self._failed(task, FileState.QUARANTINED, str(error), error.reason, job, outcome)
        except Retryable as error:
            # The file stays: it is complete and checked, so the next try finds it.
            self._unanswered(task, error, outcome)
            return
        else:
            self._imported(task, result, job, outcome)
        if not job.keep:
            await self._folder.remove(path)

    def _imported(self, task: FileTask, result: WriteResult, job: Job, outcome: Outcome) -> None:
        outcome.settled += 1
        outcome.imported[task.file.path] = result
        progress = job.progress
        progress.rows_inserted += result.inserted
        progress.rows_replaced += result.replaced
        progress.rows_unchanged += result.unchanged
        progress.task_done(task.minutes)
        progress.show(self._metrics)
        self._metrics.backfill_tasks.labels(kind=task.file.span.value, result="ok").inc()

    async def _failed(
        self, task: FileTask, state: FileState, detail: str, reason: str, job: Job, outcome: Outcome
    ) -> None:
        """Write it down; not being able to leaves the task for another time."""
        try:
            await self._notes.note(task.file, state, detail=detail, now_ms=self._clock.now_ms())
        except Retryable as error:
            self._unanswered(task, error, outcome)
            return
        outcome.settled += 1
        outcome.failed[task.file.path] = state
        job.progress.task_done(0)
        job.progress.show(self._metrics)
        job.progress.quarantined += state is FileState.QUARANTINED
        self._metrics.backfill_tasks.labels(kind=task.file.span.value, result=state.value).inc()
        level = _log.info if reason == "missing" else _log.warning
        level("archive_file_unusable", msg=detail, file=task.file.path, state=state.value, reason=reason)

    def _unanswered(self, task: FileTask, error: Retryable, outcome: Outcome) -> None:
        outcome.unanswered += 1
        outcome.retry_after = max(outcome.retry_after, error.retry_after)
        self._metrics.backfill_tasks.labels(kind=task.file.span.value, result="unanswered").inc()
        _log.info("archive_unanswered", msg=str(error), file=task.file.path, reason=error.reason)
