"""What is counted and remembered when a transaction has committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ...model import Gap, WriteResult
from ...ports import Clock
from ...telemetry.health import Health
from ...telemetry.metrics import Metrics
from .buffer import CandleBuffer, Origin, Row


class CommitLog:
    """Takes stored rows out of the buffer and keeps metrics and health in step, all in one go.

    Nothing is awaited in between, so whoever reads the metrics sees sums that add up.
    """

    def __init__(self, buffer: CandleBuffer, clock: Clock, metrics: Metrics, health: Health) -> None:
        self._buffer = buffer
        self._clock = clock
        self._metrics = metrics
        self._health = health
        metrics.rows_deduped.labels(where="database")

    def committed(self, rows: Sequence[Row], gaps: Sequence[Gap], result: WriteResult) -> None:
        self._buffer.commit(rows, gaps)
        if not rows:
            return
        now = self._clock.now()
        self._count(rows, result)
        self._metrics.last_commit.set(now)
        self._health.last_commit = now
        newest = max(row.candle.close_ms for row in rows) / 1000
        self._health.newest_candle_close = max(self._health.newest_candle_close, newest)
        observe = self._metrics.close_to_commit.observe
        for row in rows:
            if row.origin in (Origin.LIVE, Origin.ROLL_CALL):
                # A venue whose clock is behind its own frames would make this negative.
                observe(max(now - row.candle.close_ms / 1000, 0.0))

    def _count(self, rows: Sequence[Row], result: WriteResult) -> None:
        count = self._metrics.rows_committed.labels
        sources = Counter(row.candle.source for row in rows)
        if result.inserted == len(rows):
            for source, number in sources.items():
                count(source=source, result="inserted").inc(number)
            return
        # The sink says how many of a batch were new, not which; a batch of one source can still name it.
        source = next(iter(sources)) if len(sources) == 1 else "mixed"
        count(source=source, result="inserted").inc(result.inserted)
        count(source=source, result="replaced").inc(result.replaced)
        self._metrics.rows_deduped.labels(where="database").inc(result.unchanged)
