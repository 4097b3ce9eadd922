"""Live trades on their way into the database: a bounded buffer, and its one writer."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence

from ...errors import BadData, Misconfigured, Retryable
from ...model import Trade, TradeResult
from ...ports.trades import LiveTrades, TradeSink
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from ..backoff import Backoff

_log = get_logger("trades")

CAPACITY = 200_000
"""Trades in memory: half an hour of a busy symbol, 40 MB."""
_BATCH = 20_000
_WINDOW_S = 1.0
"""How long the oldest waiting trade may wait for its commit, in wall seconds."""
_MISCONFIGURED_S = 15.0
_DRAIN_TRIES, _DRAIN_PAUSE_S = 2, 0.5


class TradeBuffer:
    """In order of arrival. ``put`` never waits: when it is full the oldest goes, and its id is a gap once later ones
    are stored, which REST then fills."""

    def __init__(self, metrics: Metrics, *, capacity: int = CAPACITY) -> None:
        self._metrics = metrics
        self._capacity = capacity
        self._rows: deque[Trade] = deque()
        self._some = asyncio.Event()
        metrics.trades_dropped.labels("buffer")

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, trade: Trade) -> None:
        """The stream's handler."""
        self._rows.append(trade)
        self._trim()
        self._some.set()

    def take(self, most: int) -> list[Trade]:
        """The oldest trades; they are the caller's until it restores them."""
        taken = [self._rows.popleft() for _ in range(min(most, len(self._rows)))]
        self._show()
        return taken

    def restore(self, trades: Sequence[Trade]) -> None:
        """Put back what could not be stored, before all others."""
        self._rows.extendleft(reversed(trades))
        self._trim()

    async def wait(self) -> None:
        """Wait until there is a trade."""
        while not self._rows:
            self._some.clear()
            with outside("a trade"):
                await self._some.wait()

    def _trim(self) -> None:
        while len(self._rows) > self._capacity:
            self._rows.popleft()
            self._metrics.trades_dropped.labels("buffer").inc()
        self._show()

    def _show(self) -> None:
        self._metrics.trades_waiting.set(len(self._rows))


class TradeStoring:
    """Writes trades and counts what became of them. Used by whoever has some; ``source`` is the label of the counts."""

    def __init__(self, sink: TradeSink, metrics: Metrics, source: str) -> None:
        self._sink, self._metrics, self._source = sink, metrics, source
        self.rows = 0
        """Trades stored so far; the supervisor's measure of progress."""
        for counter in (metrics.trades_stored, metrics.trades_repeated):
            counter.labels(source)

    async def store(self, trades: Sequence[Trade]) -> None:
        """One transaction, or several where a trade among them is unusable: that one is left out and counted.

        Raises ``Retryable`` or ``Misconfigured``; what was stored by then is found again by its ids.
        """
        todo = [list(trades)]
        while todo:
            batch = todo.pop()
            try:
                self._count(await self._sink.write(batch))
            except BadData as error:
                if len(batch) > 1:
                    half = len(batch) // 2
                    todo += [batch[half:], batch[:half]]
                    continue
                self._metrics.trades_rejected.labels(error.reason).inc()
                _log.warning("trade_refused", msg=f"{batch[0]}: {error}", reason=error.reason)

    def _count(self, result: TradeResult) -> None:
        metrics = self._metrics
        metrics.trades_stored.labels(self._source).inc(result.inserted)
        metrics.trades_repeated.labels(self._source).inc(result.unchanged - len(result.differing))
        metrics.trade_gap_ids.inc(result.gaps)
        if result.differing:
            metrics.trades_rejected.labels("trade_differs").inc(len(result.differing))
            _log.warning(
                "trades_differ",
                msg=f"{len(result.differing)} trades were stored otherwise, {result.differing[0]} among them",
            )
        self.rows += result.inserted


class TradeWriter:
    """Stores what waits in the buffer, until cancelled; ``drain`` then stores what is left.

    A database that is away is waited for, while the buffer takes what it can. What is in memory when the process is
    killed comes back over REST: its ids are a gap.
    """

    def __init__(self, buffer: TradeBuffer, storing: TradeStoring, *, window_s: float = _WINDOW_S) -> None:
        self._buffer, self._storing, self._window_s = buffer, storing, window_s
        self._backoff = Backoff(0.2, 10.0)

    async def run(self) -> None:
        while True:
            await self._buffer.wait()
            if len(self._buffer) < _BATCH:
                await asyncio.sleep(self._window_s)
            await self._write()

    async def drain(self, seconds: float) -> int:
        """Store what is left within ``seconds`` wall seconds and two tries; returns the trades that still wait.

        Nothing may come in any more. What is left then comes back over REST.
        """
        failures = 0
        try:
            async with asyncio.timeout(seconds):
                while len(self._buffer) and failures < _DRAIN_TRIES:
                    pause = await self._attempt()
                    if pause is not None:
                        failures += 1
                        await asyncio.sleep(min(pause, _DRAIN_PAUSE_S))
        except TimeoutError:
            _log.error("trades_drain_timed_out", msg="the last trades were not stored in time")
        if len(self._buffer):
            _log.warning(
                "trades_left",
                msg=f"{len(self._buffer)} trades are left, to be asked for over REST at the next start",
                waiting=len(self._buffer),
            )
        return len(self._buffer)

    async def _write(self) -> None:
        pause = await self._attempt()
        if pause is not None:
            await asyncio.sleep(pause)

    async def _attempt(self) -> float | None:
        """Store a batch. How long to wait where it is to be tried again; it is back in the buffer then."""
        batch = self._buffer.take(_BATCH)
        try:
            await self._storing.store(batch)
        except Retryable as error:
            self._buffer.restore(batch)
            _log.warning("trades_not_stored", msg=str(error), reason=error.reason, waiting=len(self._buffer))
            return max(self._backoff.next(), error.retry_after)
        except Misconfigured as error:
            self._buffer.restore(batch)
            _log.error("trades_refused", msg=str(error), waiting=len(self._buffer))
            return _MISCONFIGURED_S
        except BaseException:
            # Cancelled, or unforeseen: nobody knows whether it is stored, and what is stored is not taken twice.
            self._buffer.restore(batch)
            raise
        self._backoff.reset()
        return None


class LiveTradeCollector:
    """Runs the stream of chosen symbols. Its trades arrive at ``TradeBuffer.put``."""

    def __init__(self, stream: LiveTrades, symbols: Collection[str], *, ready: asyncio.Event) -> None:
        self._stream, self._symbols, self._ready = stream, symbols, ready

    async def run(self) -> None:
        """Stream until cancelled; a failure of the stream is the supervisor's."""
        await self._ready.wait()
        self._stream.set_symbols(self._symbols)
        await self._stream.run()
