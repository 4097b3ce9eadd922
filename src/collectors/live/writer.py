"""Moves candles from the buffer into the sink: one flush in flight, and a row leaves only when it is stored."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random

from ...errors import AlreadyRunning, BadData, ConfigError, Misconfigured, Retryable
from ...model import Gap
from ...ports import CandleSink, Clock
from ...telemetry.health import Health
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from ..backoff import Backoff
from ..running.turn import Turn
from .batch_size import BatchSize
from .buffer import CandleBuffer, Row
from .commits import CommitLog

_log = get_logger("writer")

WINDOW = 3.0
"""Venue seconds from the arrival of the oldest waiting row to its flush (design: no row waits longer)."""
MAX_BATCH_ROWS = 2_000
"""Rows of one transaction: half a second of COPY, small enough to bisect, large enough for 250,000 rows/s."""

_BACKOFF_BASE, _BACKOFF_CAP = 0.2, 10.0
_SLOW_RETRY = 30.0
"""Venue seconds between tries while the database refuses the statement itself."""
_GHOST_GRACE = 30.0
"""Wall seconds in which our own lost session may still hold the lock on a server that has not noticed."""
_STANDBY_POLL = 2.0
_DRAIN_TRIES = 2


class Writer:
    """Owns the sink. ``run`` until ``drain``; a row is removed from the buffer only after its commit.

    ``Retryable`` waits and reopens, with fewer rows in a batch where time was the reason; ``BadData`` bisects to the
    poison row; ``Misconfigured`` keeps the rows and tries again slowly, so that repairing the schema heals it.
    ``ConfigError`` at the first open, ``AlreadyRunning`` and anything unforeseen end ``run``, and with it the daemon.
    ``on_recovered`` is called after the first commit that follows a failure. With ``standby`` a held lock is waited for
    instead, also one that was ours before: readers end then, so the buffer does not grow, and its rows are kept and
    written when the lock is ours again.
    """

    def __init__(
        self,
        buffer: CandleBuffer,
        sink: CandleSink,
        clock: Clock,
        metrics: Metrics,
        health: Health,
        *,
        window: float = WINDOW,
        max_rows: int = MAX_BATCH_ROWS,
        standby: bool = False,
        on_recovered: Callable[[], None] | None = None,
        rng: Random | None = None,
    ) -> None:
        self.settled = Turn()
        """The readers' turn: the lock is ours, or the database is away and nobody can say."""
        self._buffer = buffer
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        for result in ("ok", "retried", "bisected", "misconfigured"):
            metrics.flush.labels(result=result)
        self._health = health
        self._window = window
        self._batch = BatchSize(max_rows)
        self._standby = standby
        self._on_recovered = on_recovered
        self._commits = CommitLog(buffer, clock, metrics, health)
        self._backoff = Backoff(_BACKOFF_BASE, _BACKOFF_CAP, rng)
        self._opened_before = False
        self._open = False
        self._write_failed = False
        self._failed = False
        self._held = False
        self._lock_lost_at: float | None = None
        self._told = ""
        self._draining = asyncio.Event()
        self._drain_failures = 0
        self._deadline = asyncio.Timeout(None)
        self._running = False
        self._ended = asyncio.Event()

    async def run(self) -> None:
        """Write until drained; returns then, with or without rows left."""
        self._running = True
        try:
            async with self._deadline:
                await self._work()
        except TimeoutError:
            if not self._deadline.expired():
                raise
            _log.error(
                "drain_timed_out", msg="the last flush did not end in time", rows_left=len(self._buffer)
            )
        finally:
            self._ended.set()

    async def drain(self, seconds: float) -> int:
        """Flush what is left within ``seconds`` wall seconds and two tries; returns the rows still buffered.

        The buffer must be closed before, or this chases what still comes. After it ``run`` has returned.
        """
        self._draining.set()
        self._buffer.woken.set()
        if self._running and not self._ended.is_set():
            self._deadline.reschedule(asyncio.get_running_loop().time() + seconds)
            await self._ended.wait()
        return len(self._buffer)

    async def _work(self) -> None:
        while not self._done():
            try:
                if not self._open:
                    await self._open_sink()
                elif await self._due():
                    await self._flush()
            except Retryable as error:
                await self._retry_later(error)
            except Misconfigured as error:
                await self._hold(error)

    def _done(self) -> bool:
        if not self._draining.is_set():
            return False
        empty = not len(self._buffer) and not self._buffer.has_gaps
        return empty or self._drain_failures >= _DRAIN_TRIES

    async def _open_sink(self) -> None:
        try:
            await self._sink.open()
        except AlreadyRunning as error:
            await self._wait_for_lock(error)
            return
        except ConfigError as error:
            if not self._opened_before:
                raise
            raise Misconfigured(str(error), reason="schema") from error
        self._open = self._opened_before = True
        self._lock_lost_at, self._told = None, ""
        self._metrics.database_up.set(1)
        self._metrics.standby.set(0)
        self._health.database_writable = not self._write_failed
        self.settled.set()
        _log.info("database_opened", msg="the database session is ready")

    async def _wait_for_lock(self, error: AlreadyRunning) -> None:
        now = time.monotonic()
        if self._opened_before:
            # A half-open connection leaves our own session behind; the server needs a moment to see it.
            self._lock_lost_at = self._lock_lost_at or now
            if now - self._lock_lost_at > _GHOST_GRACE:
                self._stand_by(error)
        elif not self._standby:
            raise error
        self._metrics.standby.set(not self._opened_before)
        if str(error) != self._told:  # once for each holder: a standby waits for months
            _log.warning("lock_held", msg=str(error), standby=self._standby)
        self._told = str(error)
        await self._pause(_STANDBY_POLL)
        if self._draining.is_set():
            self._drain_failures += 1

    def _stand_by(self, error: AlreadyRunning) -> None:
        """Another instance has the lock that was ours: a standby is again as it was before its first turn."""
        if not self._standby:
            raise error
        self._opened_before, self._lock_lost_at = False, None
        self.settled.clear()
        _log.warning("lock_lost", msg=f"standing by, readers end: {error}", rows_waiting=len(self._buffer))

    async def _due(self) -> bool:
        """Wait until a flush is due (true), or until told something changed (false)."""
        buffer = self._buffer
        if self._draining.is_set() or buffer.urgent or buffer.waiting >= self._batch.rows:
            return True
        buffer.woken.clear()
        left = self._window - buffer.age() if buffer.waiting else None
        if left is not None and left <= 0:
            return True
        try:
            async with asyncio.timeout(None if left is None else self._clock.wall(left)):
                with outside("a candle"):
                    await buffer.woken.wait()
        except TimeoutError:
            return True
        return False

    async def _flush(self) -> None:
        rows, gaps = self._buffer.take(self._batch.rows), self._buffer.take_gaps()
        started = time.perf_counter()
        try:
            bisected = await self._store([*rows, *gaps])
        except Retryable as error:
            self._batch.failed(len(rows), error.reason)
            raise
        finally:
            # Also after a cancellation: what is not known to be stored is ours again and is written again.
            self._buffer.restore()
        self._batch.committed()
        self._metrics.flush_duration.observe(time.perf_counter() - started)
        self._metrics.flush.labels(result="bisected" if bisected else "ok").inc()
        self._recovered()

    async def _store(self, items: list[Row | Gap]) -> bool:
        """Commit all items, in halves and quarters around those the database refuses; true if it had to."""
        todo, bisected = [items], False
        while todo:
            part = todo.pop()
            rows = [item for item in part if isinstance(item, Row)]
            gaps = [item for item in part if isinstance(item, Gap)]
            try:
                result = await self._sink.write([row.candle for row in rows], gaps)
            except BadData as error:
                if len(part) == 1:
                    await self._refuse(part[0], error)
                else:
                    middle = len(part) // 2
                    todo += [part[middle:], part[:middle]]
                bisected = True
            else:
                self._commits.committed(rows, gaps, result)
        return bisected

    async def _refuse(self, item: Row | Gap, error: BadData) -> None:
        _log.error("row_refused", msg=str(error), reason=error.reason, kind=type(item).__name__)
        if isinstance(item, Gap):
            self._buffer.commit([], [item])
            return
        try:
            await self._sink.quarantine(item.candle, reason=error.reason, detail=str(error))
        except BadData as worse:
            # Not even the quarantine table takes it (NUL, lone surrogate); counted and logged is all there is.
            _log.error("quarantine_refused", msg=str(worse), reason=worse.reason)
        self._buffer.reject(item, error.reason)

    def _recovered(self) -> None:
        self._backoff.reset()
        self._write_failed = False
        self._health.database_writable = True
        if self._held:
            self._held, self._health.problem = False, ""
        if self._failed:
            self._failed = False
            _log.info("writing_again", msg="the database takes rows again", rows_waiting=len(self._buffer))
            if self._on_recovered:
                self._on_recovered()

    def _note_failure(self) -> None:
        self._failed = True
        self._write_failed = self._write_failed or self._open
        self._open, self._told = False, ""
        self._lock_lost_at = None  # our ghost may be another one by the time the database is back
        self._metrics.database_up.set(0)
        self._metrics.standby.set(0)  # who has the lock cannot be asked
        self._health.database_writable = False
        if not self._standby or self._opened_before:
            self.settled.set()
        if self._draining.is_set():
            self._drain_failures += 1

    async def _retry_later(self, error: Retryable) -> None:
        if self._open:
            self._metrics.flush.labels(result="retried").inc()
        self._note_failure()
        delay = max(self._backoff.next(), error.retry_after)
        _log.warning("database_away", msg=str(error), reason=error.reason, retry_in=round(delay, 2))
        await self._pause(delay)

    async def _hold(self, error: Misconfigured) -> None:
        self._metrics.flush.labels(result="misconfigured").inc()
        self._note_failure()
        self._held = True
        self._health.problem = f"the database refuses our statements: {error}"
        _log.error("writing_stopped", msg=str(error), reason=error.reason, rows_waiting=len(self._buffer))
        await self._pause(self._clock.wall(_SLOW_RETRY, at_least=1.0))

    async def _pause(self, seconds: float) -> None:
        if self._draining.is_set():
            # Two tries in all, and both should come soon.
            await asyncio.sleep(min(seconds, 0.5))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._draining.wait()
