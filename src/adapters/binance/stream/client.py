"""The live streams of closed 1m candles and of trades, over several connections (docs/adr/0002-stream-transport.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from random import Random

from prometheus_client import Gauge

from ....ports import CandleHandler, Clock, ContractHandler
from ....ports.trades import TradeHandler
from ....telemetry.log import get_logger
from ....telemetry.metrics import Metrics
from ....telemetry.pulse import current
from .dial import Dialer
from .feed import BinanceFeed, CandleIntake, FrameHandler
from .options import StreamOptions
from .plan import ConnectionPlan
from .shared import AttemptGate, FrameTaker, Shared
from .slot import Slot
from .trade_frames import TradeFrames

__all__ = ["BinanceStream", "StreamOptions", "TradeStream"]
_log = get_logger("stream")

_DAY_S = 86_400.0


class SymbolStreams:
    """Keeps one stream of each symbol subscribed; what comes goes to ``frames``, on the loop.

    The same may come twice (two connections overlap when one takes over) and in any order. Handlers must not raise:
    what they raise ends ``run``. ``gauge`` shows how many symbols are subscribed.
    """

    def __init__(
        self,
        options: StreamOptions,
        clock: Clock,
        metrics: Metrics,
        frames: FrameTaker,
        gauge: Gauge,
        *,
        rng: Random | None = None,
    ) -> None:
        self._options = options
        self._clock = clock
        self._metrics = metrics
        self._gauge = gauge
        self._plan = ConnectionPlan(options.symbols_per_connection)
        self._slots: dict[int, tuple[Slot, asyncio.Task[None]]] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._pulse = current()
        self._asked_again: dict[str, float] = {}
        self._shared = Shared(
            options,
            clock,
            metrics,
            Dialer(options),
            AttemptGate(options, clock),
            frames,
            rng or Random(),
            self._update_subscribed,
        )

    def set_symbols(self, symbols: Collection[str]) -> None:
        """Subscribe exactly these from now on. May be called before and during ``run``."""
        self._plan.set(symbols)
        wanted = set(symbols)
        self._asked_again = {symbol: when for symbol, when in self._asked_again.items() if symbol in wanted}
        self._apply()

    def resubscribe(self, symbol: str) -> None:
        """Ask for a silent symbol anew, on another connection if that was tried within ten minutes.

        Nothing is done while the symbol's whole connection is away: it comes back with all its symbols.
        """
        number = self._plan.slot_of(symbol)
        if number is None or number not in self._slots or not self._slots[number][0].delivers:
            return
        now = self._clock.monotonic()
        before = self._asked_again.pop(symbol, None)
        if before is not None and now - before < self._options.move_within_s:
            self._plan.move(symbol)
            self._apply()
            action = "moved"
        else:
            self._asked_again[symbol] = now
            self._slots[number][0].again(symbol)
            action = "same_connection"
        self._metrics.ws_resubscribes.labels(action=action).inc()
        _log.info("stream_resubscribe", msg=f"{symbol} is silent, asked anew", symbol=symbol, action=action)

    async def run(self) -> None:
        """Keep every symbol subscribed until cancelled; then every connection says goodbye."""
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks, self._pulse = tasks, current()
                self._apply()
                # Only a cancellation or a failed task ends it. Asleep, it is not taken for stuck when it has no symbol.
                while True:  # noqa: ASYNC110
                    await asyncio.sleep(_DAY_S)
        finally:
            self._tasks = None
            self._slots.clear()
            self._update_subscribed()

    def _apply(self) -> None:
        """Make the running slots those of the plan."""
        if self._tasks is None:
            return
        wanted = self._plan.slots
        for number in self._slots.keys() - wanted.keys():
            self._slots.pop(number)[1].cancel()
        for number, symbols in wanted.items():
            if number in self._slots:
                self._slots[number][0].want(symbols)
            else:
                slot, name = Slot(number, self._shared, symbols), f"stream-slot-{number}"
                # Of ours, whoever told us the symbols; and one that hangs is not excused by the others.
                with self._pulse.part(name):
                    self._slots[number] = (slot, self._tasks.create_task(slot.run(), name=name))
        self._update_subscribed()

    def _update_subscribed(self) -> None:
        self._gauge.set(sum(slot.symbols_confirmed for slot, _ in self._slots.values()))


class BinanceStream(SymbolStreams):
    """Satisfies ``ports.CandleStream``: handlers are called once for every closed candle and event that comes."""

    def __init__(
        self,
        options: StreamOptions,
        clock: Clock,
        metrics: Metrics,
        on_candle: CandleHandler,
        on_contract: ContractHandler,
        *,
        rng: Random | None = None,
    ) -> None:
        self._feed = BinanceFeed(options.url, CandleIntake(on_candle, clock, metrics, options.source))
        frames = FrameHandler(self._feed, on_contract, metrics, source=options.source)
        super().__init__(options, clock, metrics, frames, metrics.symbols_subscribed, rng=rng)

    def set_symbols(self, symbols: Collection[str]) -> None:
        """Subscribe exactly these from now on. May be called before and during ``run``."""
        self._feed.know(symbols)
        super().set_symbols(symbols)


class TradeStream(SymbolStreams):
    """Satisfies ``ports.trades.LiveTrades``: ``on_trade`` is called once for every trade that comes."""

    def __init__(
        self,
        options: StreamOptions,
        clock: Clock,
        metrics: Metrics,
        on_trade: TradeHandler,
        *,
        rng: Random | None = None,
    ) -> None:
        frames = TradeFrames(on_trade, clock, metrics)
        super().__init__(options, clock, metrics, frames, metrics.trade_symbols_subscribed, rng=rng)
