"""The role ``ws``: every closed candle from the stream, the roll call, the repair of the last day, and the writer."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from ..adapters.binance.stream.client import BinanceStream
from ..adapters.timescale.candles.store import CandleStore
from ..adapters.timescale.ledger.holes import HoleSearch
from ..collectors.live.attendance import Attendance
from ..collectors.live.buffer import CandleBuffer
from ..collectors.live.commit_tap import CommitTap
from ..collectors.live.gate import CandleGate
from ..collectors.live.roll_call import RollCall
from ..collectors.live.symbol_gauge import SymbolGauge
from ..collectors.live.writer import Writer
from ..collectors.live.ws import LiveCollector
from ..collectors.repair.gaps import HoleRepair
from ..collectors.running.daemon import Closer, Keeper, Part
from ..ports import CandleSink
from . import options
from .core import Core
from .roles import WS, Role


class LiveRole(Role):
    """Handlers are joined late, because stream, gate and repair know each other."""

    name = WS

    def __init__(self, core: Core, buffer: CandleBuffer, *, standby: bool) -> None:
        self._core = core
        settings, metrics, clock, universe = core.settings, core.metrics, core.clock, core.universe
        database = core.database(WS)
        self.store = CandleStore(database, metrics)
        self.holes = HoleSearch(database, metrics)
        self.buffer = buffer
        self.attendance = Attendance(clock)
        self.gate = CandleGate(
            universe, self.attendance, buffer, clock, metrics, on_early=core.clock_sync.poke
        )
        self.repair = HoleRepair(
            self.holes,
            core.rest,
            self.gate,
            buffer,
            universe,
            clock,
            metrics,
            interval=settings.binance_ws_gap_interval,
        )
        self.stream = BinanceStream(
            options.stream_options(settings),
            clock,
            metrics,
            on_candle=self.gate.live,
            on_contract=universe.on_change,
        )
        self.roll_call = RollCall(
            core.rest, self.stream, self.gate, self.attendance, universe, self.repair, clock, metrics
        )
        self.keeper: Keeper = Writer(
            buffer,
            self._sink(),
            clock,
            metrics,
            core.health,
            window=settings.flush_interval,
            standby=standby,
            on_recovered=lambda: self.repair.trigger("database"),
        )
        core.interrupted.append(self.repair.trigger)

    def collectors(self) -> list[Part]:
        live = LiveCollector(self.stream, self._core.universe)
        supervised = self._core.supervised
        return [
            supervised("ws", live.run, progress=lambda: self.attendance.live_rows),
            supervised("roll_call", self.roll_call.run),
            supervised("repair", self.repair.run),
        ]

    def closers(self) -> list[Closer]:
        return [Closer("database", self.store.close), Closer("holes", self.holes.close)]

    async def finish_run(self) -> None:
        if self.store.is_open:
            await self.store.finish_run()

    def listening(self) -> AbstractContextManager[object]:
        if self._symbol_gauge is None:
            return nullcontext()
        return self._core.universe.telling(self._symbol_gauge.keep)

    def _sink(self) -> CandleSink:
        self._symbol_gauge: SymbolGauge | None = None
        sink = CommitTap(self.store, self._core.committed)
        if not self._core.settings.symbol_metric:
            return sink
        self._symbol_gauge = SymbolGauge(sink, self._core.metrics.enable_symbol_gauge())
        return self._symbol_gauge
