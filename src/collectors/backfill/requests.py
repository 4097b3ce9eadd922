"""Asks REST for missing minutes, stores what comes, and notes what nobody has."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ...errors import BadData, Permanent, Retryable, UnknownSymbol
from ...model import Candle, WriteResult
from ...ports import Clock, CoverageNotes, History, RepairSink
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..repair.ranges import Request
from ..workers import for_each
from .days import day_of
from .job import Job, Outcome

_log = get_logger("backfill")


class RequestWork:
    """Works through REST requests, ``concurrency`` at a time, one transaction each."""

    def __init__(
        self,
        history: History,
        sink: RepairSink,
        notes: CoverageNotes,
        clock: Clock,
        metrics: Metrics,
        *,
        concurrency: int = 16,
    ) -> None:
        self._history = history
        self._sink = sink
        self._notes = notes
        self._clock = clock
        self._metrics = metrics
        self._concurrency = concurrency

    async def run(self, requests: Sequence[Request], job: Job, outcome: Outcome) -> None:
        """Ask all. Raises ``Misconfigured``."""

        async def work(request: Request) -> None:
            if job.stop():
                outcome.stopped = True
                return
            result = "unanswered"
            try:
                result = await self._do(request, job, outcome)
            except Retryable as error:
                outcome.unanswered += 1
                outcome.retry_after = max(outcome.retry_after, error.retry_after)
                _log.info("history_unanswered", msg=str(error), reason=error.reason)
            self._metrics.backfill_tasks.labels(kind="rest", result=result).inc()

        await for_each(requests, work, limit=self._concurrency, name="history")

    async def _do(self, request: Request, job: Job, outcome: Outcome) -> str:
        minutes = list(request.minutes())
        asked_ms = self._clock.now_ms()
        rows, answered = await self._ask(request, job)
        wanted = set(minutes)
        rows = [row for row in rows if row.open_ms in wanted]
        refused = await self._store(rows, job) if rows else set()
        came = {row.open_ms for row in rows}
        lacking = [open_ms for open_ms in minutes if open_ms not in came]
        # A row that cannot be stored would come again: its day is done with like one that REST does not have.
        outcome.lacking |= {(request.symbol, day_of(open_ms)) for open_ms in (*lacking, *refused)}
        if answered:
            await self._note_absent(request.symbol, lacking, asked_ms, job)
        outcome.settled += 1
        job.progress.task_done(len(came) - len(refused))
        job.progress.show(self._metrics)
        return "ok" if answered else "refused"

    async def _note_absent(self, symbol: str, lacking: Sequence[int], asked_ms: int, job: Job) -> None:
        """Minutes of days whose verified file was read before REST was asked exist nowhere."""
        by_day: dict[date, list[int]] = {}
        for open_ms in lacking:
            by_day.setdefault(day_of(open_ms), []).append(open_ms)
        for day, minutes in by_day.items():
            if proof := job.proofs.get((symbol, day)):
                await self._notes.mark_absent(proof.file, proof.sha256, minutes, asked_ms)
                self._metrics.absent_candles.inc(len(minutes))
                job.progress.absent += len(minutes)

    async def _ask(self, request: Request, job: Job) -> tuple[list[Candle], bool]:
        """The rows, and whether that is the venue's word on what it has."""
        try:
            rows = await self._history.candles(
                request.symbol, request.from_ms, request.to_ms, priority=job.priority
            )
        except UnknownSymbol:
            # A contract that is gone from REST: it has none of its rows, and says so.
            return [], True
        except Permanent as error:
            _log.warning("history_refused", msg=str(error), reason=error.reason, symbol=request.symbol)
            return [], False
        return rows, True

    async def _store(self, rows: Sequence[Candle], job: Job) -> set[int]:
        """Write them and return the minutes that were refused: a batch with an unusable row is halved until that row
        stands alone and can be put aside."""
        try:
            self._count(rows[0].source, await self._sink.write(rows), job)
        except BadData as error:
            if len(rows) == 1:
                await self._sink.quarantine(rows[0], reason=error.reason, detail=str(error))
                self._metrics.rows_received.labels(source=rows[0].source).inc()
                self._metrics.rows_rejected.labels(reason=error.reason).inc()
                return {rows[0].open_ms}
            half = len(rows) // 2
            return await self._store(rows[:half], job) | await self._store(rows[half:], job)
        return set()

    def _count(self, source: str, result: WriteResult, job: Job) -> None:
        # In one go, when the rows are stored: whoever reads the metrics sees sums that add up.
        self._metrics.rows_received.labels(source=source).inc(result.rows)
        self._metrics.rows_committed.labels(source=source, result="inserted").inc(result.inserted)
        self._metrics.rows_committed.labels(source=source, result="replaced").inc(result.replaced)
        self._metrics.rows_deduped.labels(where="database").inc(result.unchanged)
        job.progress.rows_inserted += result.inserted
        job.progress.rows_replaced += result.replaced
        job.progress.rows_unchanged += result.unchanged
