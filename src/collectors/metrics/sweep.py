"""The rolling sweep over five series of futures metrics: every row of every symbol once, within the venue's budget."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Protocol

from ...errors import BadData, MarketdError, Permanent, RateLimited, Retryable, UnknownSymbol
from ...model import FIVE_MINUTES_MS, FuturesMetric
from ...ports import Clock
from ...ports.metrics import MetricSeries, MetricSink, MetricSource
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import OutsideEvent
from ..unwrap import first_error
from .plan import MOST_ROWS, Breaker, Known, in_order, lacking, newest_due, next_due

_log = get_logger("metrics")

_AT_ONCE = 3
"""Symbols asked side by side, five requests each: one slow answer never holds up the budget."""
_SHORT_HOLD_S, _EMPTY_HOLD_S = 60.0, 240.0
"""Venue seconds before a symbol is asked again of which something, or nothing at all, came of what was lacking."""
_UNKNOWN_HOLD_S = 3600.0
_BEHIND_MS = 25 * 60_000
_LOOP_FLOOR_S = 0.05
"""Wall seconds at least between two sweeps."""


class Universe(Protocol):
    """The symbols that trade now."""

    @property
    def symbols(self) -> Collection[str]: ...


class MetricsSweep:
    """Asks for what each series of each symbol lacks, the largest open interest first, round and round.

    A series that fails costs its own columns only: they stay NULL, the sweep goes on, and the next round asks for
    all that is lacking by then. What is lacking is known from what is stored, so nothing is asked for twice, after
    a restart neither. ``ready`` holds the first round back until the venue's time and universe are known.
    """

    def __init__(
        self,
        source: MetricSource,
        sink: MetricSink,
        universe: Universe,
        clock: Clock,
        metrics: Metrics,
        *,
        ready: asyncio.Event | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._universe = universe
        self._clock = clock
        self._metrics = metrics
        self._ready = ready
        self._known: dict[str, Known] = {}
        self._breakers = {series: Breaker() for series in MetricSeries}
        self._paused_until = 0.0
        self.rows = 0
        """Rows stored so far; the supervisor's measure of progress."""
        self.valued = OutsideEvent("the first sweep")
        """Set once somebody's open interest is stored: who is largest is known, and can be compared elsewhere."""
        for series in MetricSeries:
            resting = metrics.metric_series_resting.labels(series.value)
            resting.set_function(partial(self._is_resting, series))

    async def run(self) -> None:
        """Sweep until cancelled. Raises ``Retryable`` or ``Misconfigured`` of the database."""
        if self._ready:
            await self._ready.wait()
        await self.load()
        while True:
            if not await self.sweep():
                await self._rest()
            else:
                await asyncio.sleep(_LOOP_FLOOR_S)

    async def load(self) -> None:
        """Read how far every series goes."""
        since_ms = newest_due(self._clock.now_ms()) - MOST_ROWS * FIVE_MINUTES_MS
        found = await self._sink.reach(since_ms)
        self._known = {symbol: Known.of(reach) for symbol, reach in found.items()}
        if any(known.value for known in self._known.values()):
            self.valued.set()

    async def sweep(self) -> int:
        """One round; how many symbols were asked. Raises what the database raises.

        What a symbol lacks, and whether it is held back, is looked at when its turn comes: a round takes 20 min, and
        who lacked nothing at its start would otherwise wait for the end of the next one.
        """
        began = self._clock.now()
        symbols = list(self._universe.symbols)
        self._known = {symbol: self._known.get(symbol, Known()) for symbol in symbols}
        queue = iter(in_order(symbols, self._known))
        asked: list[str] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(min(_AT_ONCE, len(symbols))):
                    tasks.create_task(self._work(queue, asked), name=f"metrics sweep {number}")
        except ExceptionGroup as group:
            raise first_error(group) from group
        if asked:
            self._metrics.metric_sweep_duration.set(self._clock.now() - began)
        self._metrics.metric_symbols_behind.set(self._behind())
        return len(asked)

    async def _work(self, queue: Iterator[str], asked: list[str]) -> None:
        for symbol in queue:
            now = self._clock.now()
            if now < self._paused_until:
                return
            known = self._known[symbol]
            if known.hold_until <= now and (wanted := self._wanted(known)):
                asked.append(symbol)
                await self._ask(symbol, wanted)

    async def _ask(self, symbol: str, wanted: Mapping[MetricSeries, tuple[int, int]]) -> None:
        known = self._known[symbol]
        async with asyncio.TaskGroup() as tasks:
            asked = [
                tasks.create_task(self._series(series, symbol, span), name=f"metrics {series.value}")
                for series, span in wanted.items()
            ]
        rows: list[FuturesMetric] = []
        ends: dict[MetricSeries, int] = {}
        for series, task in zip(wanted, asked, strict=True):
            have_ms = known.ends.get(series, 0)
            answer = task.result()
            new = [row for row in answer if row.end_ms > have_ms]
            self._metrics.metric_rows_repeated.inc(len(answer) - len(new))
            rows += new
            if new:
                ends[series] = new[-1].end_ms
        if rows:
            await self._store(rows)
        known.ends |= ends
        if any(known.ends.get(series, 0) < until_ms for series, (_, until_ms) in wanted.items()):
            hold = _SHORT_HOLD_S if rows else _EMPTY_HOLD_S
            known.hold_until = max(known.hold_until, self._clock.now() + hold)
        values = [row.sum_open_interest_value for row in rows if row.sum_open_interest_value is not None]
        if values:
            known.value = values[-1]
            self.valued.set()

    async def _series(self, series: MetricSeries, symbol: str, span: tuple[int, int]) -> list[FuturesMetric]:
        """The rows of ``span``, none when the venue does not say. Never raises what a venue does."""
        breaker = self._breakers[series]
        try:
            found = await self._source.between(series, symbol, *span)
        except RateLimited as error:
            self._paused_until = max(self._paused_until, self._clock.now() + error.retry_after)
            self._failed(series, symbol, error)
            return []
        except UnknownSymbol as error:
            self._known[symbol].hold_until = self._clock.now() + _UNKNOWN_HOLD_S
            self._failed(series, symbol, error)
            return []
        except (Retryable, Permanent) as error:
            breaker.failed(self._clock.now())
            self._failed(series, symbol, error)
            return []
        breaker.answered()
        return found

    async def _store(self, rows: Sequence[FuturesMetric]) -> None:
        """All of them, or, where the table refuses one, each of the others."""
        try:
            results = [await self._sink.write(rows)]
        except BadData:
            results = []
            for row in rows:
                try:
                    results.append(await self._sink.write([row]))
                except BadData as error:
                    self._metrics.metric_rows_rejected.labels("metrics_5m", error.reason).inc()
                    _log.warning("metric_row_refused", msg=str(error), reason=error.reason)
        count = self._metrics.metric_rows
        for result in results:
            count.labels(rows[0].source, "inserted").inc(result.inserted)
            count.labels(rows[0].source, "replaced").inc(result.replaced)
            self.rows += result.inserted + result.replaced

    def _wanted(self, known: Known) -> dict[MetricSeries, tuple[int, int]]:
        """What the symbol lacks of the series that answer."""
        now = self._clock.now()
        return {
            series: span
            for series, span in lacking(known, self._clock.now_ms()).items()
            if not self._breakers[series].is_open(now)
        }

    def _failed(self, series: MetricSeries, symbol: str, error: MarketdError) -> None:
        reason = str(getattr(error, "reason", "unavailable"))
        self._metrics.metric_requests_failed.labels(series.value, reason).inc()
        _log.warning(
            "metric_request_failed", msg=str(error), series=series.value, symbol=symbol, reason=reason
        )

    def _is_resting(self, series: MetricSeries) -> float:
        return float(self._breakers[series].is_open(self._clock.now()))

    def _behind(self) -> int:
        due_ms = newest_due(self._clock.now_ms())
        return sum(
            any(due_ms - known.ends.get(series, 0) > _BEHIND_MS for series in MetricSeries)
            for known in self._known.values()
        )

    async def _rest(self) -> None:
        """Until the next row is due, a symbol or series may be asked again, or the venue's pause ends."""
        now, now_ms = self._clock.now(), self._clock.now_ms()
        if now < self._paused_until:
            await self._clock.sleep(self._paused_until - now)
            return
        holds = [known.hold_until - now for known in self._known.values() if known.hold_until > now]
        due = (next_due(now_ms) - now_ms) / 1000
        await self._clock.sleep(max(min([due, *holds, 30.0]), 0.5))
