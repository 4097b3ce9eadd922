"""Archive files into the database, as ``ports.ArchiveImporter``: a few processes, and what they did as counters.

The work is done elsewhere (``worker``): nothing here imports numpy or polars, so the daemon's memory stays as
it is, and a file that brings a process down brings down nothing else.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ....errors import Unavailable
from ....model import ArchiveFile, Dataset, WriteResult
from ....ports.writing import Changed, nobody
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from ..ledger.days import start_of
from ..options import DatabaseOptions
from .job import ImportJob, ImportReport, WorkerOptions
from .process import ImportProcess

FILES_EACH = 2
"""One file is parsed while the one before is stored."""

_IDLE_S = 60.0
_ATTEMPTS = 3

log = get_logger("importer")


@dataclass(frozen=True, slots=True)
class ImporterOptions:
    """``workers`` processes with a connection each; ``deadline_s`` is how long one file may take, in wall seconds.

    ``idle_s`` after its last file a process is ended: it holds some 120 MB.
    """

    workers: int = 2
    deadline_s: float = 180.0
    idle_s: float = _IDLE_S
    source: str = "binance_archive"


class ArchiveImports:
    """``import_file`` may be called side by side; ``workers * FILES_EACH`` calls keep all processes busy.

    A process that ended or hung is replaced and its files are given to another one, three times in all; then
    ``Unavailable`` (``worker``) is raised. ``close`` ends all processes. ``changed`` is told of each file that brought
    rows, by its first day.
    """

    def __init__(
        self,
        database: DatabaseOptions,
        options: ImporterOptions,
        metrics: Metrics,
        changed: Changed = nobody,
    ) -> None:
        self._database = database
        self._options, self._metrics, self._changed = options, metrics, changed
        self._numbers = itertools.count(1)
        self._places = asyncio.Semaphore(options.workers * FILES_EACH)
        self._starting = asyncio.Lock()
        self._workers: list[ImportProcess] = []
        self._idle: asyncio.TimerHandle | None = None
        self._endings: set[asyncio.Task[None]] = set()

    @property
    def processes(self) -> list[int]:
        """The process ids of the workers that live."""
        return [worker.pid for worker in self._workers if worker.alive]

    async def import_file(
        self, file: ArchiveFile, local: Path, sha256: str, *, force: bool = False
    ) -> WriteResult:
        """See ``ports.ArchiveImporter``. Without ``force`` a file that was imported with this checksum is not read."""
        return await self._import(ImportJob(next(self._numbers), file, local, sha256, force))

    async def import_trades(
        self,
        file: ArchiveFile,
        local: Path,
        sha256: str,
        *,
        percentage: float = 100.0,
        piece_rows: int = 100_000,
    ) -> WriteResult:
        """See ``ports.trades.TradeFiles``."""
        job = ImportJob(next(self._numbers), file, local, sha256, False, percentage, piece_rows)
        return await self._import(job)

    async def _import(self, job: ImportJob) -> WriteResult:
        async with self._places:
            self._stay()
            try:
                report = await self._run(job)
            finally:
                self._rest()
        if job.file.dataset is Dataset.TRADES:
            self._count_trades(report)
        else:
            self._count(report)
        if report.inserted or report.replaced:
            self._changed(job.file.symbol, start_of(job.file.first_day))
        return WriteResult(report.inserted, report.replaced, report.unchanged, report.corrected)

    async def start(self) -> None:
        """Start all processes now instead of with the first files; each takes a second to load what it needs."""
        async with self._starting:
            while len(self._workers) < self._options.workers:
                self._workers.append(await self._new_worker())

    async def close(self) -> None:
        """End the processes, each after what it is doing, or killed a few seconds later."""
        self._stay()
        workers, self._workers = self._workers, []
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker.close(), name=f"end import worker {worker.pid}")
        if self._endings:
            await asyncio.wait(self._endings)

    async def _run(self, job: ImportJob) -> ImportReport:
        attempt = 0
        while True:
            attempt += 1
            worker = await self._worker()
            try:
                return await worker.run(job)
            except Unavailable as error:
                if error.reason != "worker":
                    raise
                self._metrics.import_workers_lost.inc()
                log.warning("import_worker_lost", msg=str(error), attempt=attempt)
                if attempt == _ATTEMPTS:
                    raise
            except asyncio.CancelledError:
                # Its transaction ends with it; a result that nobody waits for is not worth its time.
                worker.kill()
                raise

    async def _worker(self) -> ImportProcess:
        """The process with the least to do, a new one while there may be more."""
        async with self._starting:
            self._workers = [worker for worker in self._workers if worker.alive]
            now = self._worker_options()
            self._let_go(lambda worker: worker.options != now and not worker.in_flight)
            current = [worker for worker in self._workers if worker.options == now]
            free = min(current, key=lambda worker: worker.in_flight, default=None)
            if free is None or (free.in_flight and len(self._workers) < self._options.workers):
                free = await self._new_worker()
                self._workers.append(free)
            return free

    async def _new_worker(self) -> ImportProcess:
        return await ImportProcess.start(self._worker_options(), deadline_s=self._options.deadline_s)

    def _worker_options(self) -> WorkerOptions:
        """As they are now: a process that was started with another account ends what it does and gets no more."""
        database = self._database
        return WorkerOptions(
            url=database.plain_url,
            schema=database.schema,
            exchange=database.exchange,
            application_name=database.application_name("import"),
            source=self._options.source,
        )

    def _count(self, report: ImportReport) -> None:
        metrics, source = self._metrics, self._options.source
        if report.same:
            metrics.archive_imports.labels("same").inc()
            return
        metrics.archive_imports.labels("republished" if report.revision else "first").inc()
        metrics.rows_received.labels(source).inc(report.lines)
        metrics.rows_committed.labels(source, "inserted").inc(report.inserted)
        metrics.rows_committed.labels(source, "replaced").inc(report.replaced)
        metrics.rows_deduped.labels("file").inc(report.duplicates)
        metrics.rows_deduped.labels("database").inc(report.unchanged - report.kept_by_rank)
        for reason, rows in report.reasons.items():
            metrics.rows_rejected.labels(reason).inc(rows)
        for name, rows in report.inexact.items():
            metrics.inexact_values.labels(name).inc(rows)

    def _count_trades(self, report: ImportReport) -> None:
        """Those that differ were there too, and are counted as rejected."""
        metrics = self._metrics
        if report.same:
            metrics.archive_imports.labels("same").inc()
            return
        metrics.archive_imports.labels("republished" if report.revision else "first").inc()
        metrics.trades_received.labels("archive").inc(report.lines)
        metrics.trades_stored.labels("archive").inc(report.inserted)
        repeated = report.duplicates + report.unchanged - report.kept_by_rank
        metrics.trades_repeated.labels("archive").inc(repeated)
        for reason, rows in report.reasons.items():
            metrics.trades_rejected.labels(reason).inc(rows)
        for name, rows in report.inexact.items():
            metrics.inexact_values.labels(name).inc(rows)

    def _stay(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _rest(self) -> None:
        """Once nothing is under way, end the processes after a while."""
        self._stay()
        if not any(worker.in_flight for worker in self._workers):
            self._idle = asyncio.get_running_loop().call_later(self._options.idle_s, self._end_idle)

    def _end_idle(self) -> None:
        self._let_go(lambda worker: not worker.in_flight)

    def _let_go(self, which: Callable[[ImportProcess], bool]) -> None:
        """End those that have nothing to do, each by itself."""
        leaving = [worker for worker in self._workers if which(worker)]
        self._workers = [worker for worker in self._workers if worker not in leaving]
        for worker in leaving:
            ending = asyncio.get_running_loop().create_task(
                worker.close(), name=f"end import worker {worker.pid}"
            )
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
