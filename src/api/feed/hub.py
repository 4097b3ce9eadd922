"""Tells everybody who listens, in one message a flush, without ever waiting for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any, Protocol

from ...model import Candle
from ...ports import Clock
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from .frames import Bundle, Subscription, TaskNews
from .protocol import text_frame

YOUNG_MS = 15 * 60_000
"""Candles that closed longer ago were filled late; they are told as a span. A day of all symbols is a million rows."""
_MOST_CANDLES = 50_000
_MOST_ALERTS = 1_000
_SLICE_S = 0.004
"""How long the loop is kept before others have their turn: candles come in on it."""


class Listener(Protocol):
    """Somebody who listens. ``push`` takes a whole frame at once, or says that it is over."""

    def push(self, frame: bytes) -> bool: ...


class Hub:
    """``ports.feed.Feed``. What it is told waits in memory, in a bounded number, until ``run`` has its turn."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._listeners: dict[Listener, Subscription] = {}
        self._candles: list[Sequence[Candle]] = []
        self._rows = 0
        self._filled: dict[str, tuple[int, int]] = {}
        self._tasks: dict[str, TaskNews] = {}
        self._alerts: list[Mapping[str, Any]] = []
        self._oldest: float | None = None
        self._woken = asyncio.Event()

    # --- who tells ---

    def candles(self, candles: Sequence[Candle]) -> None:
        """Candles that are committed. They are looked at later: the writer is who calls."""
        if not self._listeners:
            return
        if self._rows + len(candles) > _MOST_CANDLES:
            for candle in candles:
                self._fill(candle)
        else:
            self._candles.append(candles)
            self._rows += len(candles)
        self._wake()

    def task(self, task_id: str, news: TaskNews) -> None:
        """What is new of a task."""
        before = self._tasks.get(task_id)
        lines = (*before.lines, *news.lines) if before else news.lines
        self._tasks[task_id] = TaskNews(news.state, news.share, lines)
        self._wake()

    def alert(self, event: Mapping[str, Any]) -> None:
        """An alert that fired."""
        if not self._listeners:
            return
        if len(self._alerts) >= _MOST_ALERTS:
            self._metrics.feed_dropped.inc()
            return
        self._alerts.append(event)
        self._wake()

    # --- who listens ---

    def hear(self, listener: Listener, subscription: Subscription) -> None:
        """From now on ``listener`` hears this, and nothing else."""
        self._listeners[listener] = subscription

    def leave(self, listener: Listener) -> None:
        self._listeners.pop(listener, None)

    @property
    def wanted_tasks(self) -> frozenset[str]:
        """The tasks that somebody wants to hear of."""
        return frozenset(name for wanted in set(self._listeners.values()) for name in wanted.tasks)

    @property
    def wants_candles(self) -> bool:
        return any(wanted.symbols is None or wanted.symbols for wanted in self._listeners.values())

    @property
    def wants_alerts(self) -> bool:
        return any(wanted.alerts for wanted in self._listeners.values())

    # --- telling ---

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            with outside("something to tell"):
                await self._woken.wait()
            self._woken.clear()
            oldest, self._oldest = self._oldest, None
            await self._tell(await self._bundle())
            if oldest is not None:
                self._metrics.feed_delay.observe(perf_counter() - oldest)

    async def _bundle(self) -> Bundle:
        """All that waits, candles encoded in slices like the telling."""
        now_ms = self._clock.now_ms()
        told, self._candles, self._rows = self._candles, [], 0
        young = []
        for candle in (candle for candles in told for candle in candles):
            if candle.close_ms >= now_ms - YOUNG_MS:
                young.append(candle)
            else:
                self._fill(candle)
        bundle = Bundle(now_ms, filled=self._filled, tasks=self._tasks, alerts=self._alerts)
        self._filled, self._tasks, self._alerts = {}, {}, []
        turn = _Slices()
        for candle in young:
            bundle.add(candle)
            await turn.end()
        return bundle

    async def _tell(self, bundle: Bundle) -> None:
        """To everybody, in slices between which others have their turn."""
        frames: dict[Subscription, bytes | None] = {}
        turn = _Slices()
        for listener, wanted in list(self._listeners.items()):
            if wanted not in frames:
                text = bundle.text(wanted)
                frames[wanted] = None if text is None else text_frame(text)
            frame = frames[wanted]
            if frame is not None and listener in self._listeners:
                if listener.push(frame):
                    self._metrics.feed_frames.inc()
                else:
                    self.leave(listener)
            await turn.end()

    def _fill(self, candle: Candle) -> None:
        first, last = self._filled.get(candle.symbol, (candle.open_ms, candle.open_ms))
        self._filled[candle.symbol] = (min(first, candle.open_ms), max(last, candle.open_ms))

    def _wake(self) -> None:
        if self._oldest is None:
            self._oldest = perf_counter()
        self._woken.set()


class _Slices:
    """Lets others on the loop have their turn after each ``_SLICE_S`` of work."""

    def __init__(self) -> None:
        self._until = perf_counter() + _SLICE_S

    async def end(self) -> None:
        """Called after each small piece."""
        if perf_counter() >= self._until:
            await asyncio.sleep(0)
            self._until = perf_counter() + _SLICE_S
