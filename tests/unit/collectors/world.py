"""Everything between the venue and the buffer, joined over fakes, on a clock that moves only when slept on."""

from __future__ import annotations

from src.collectors.listings.selection import Selection
from src.collectors.listings.universe import Universe
from src.collectors.live.attendance import Attendance
from src.collectors.live.buffer import CandleBuffer
from src.collectors.live.gate import CandleGate
from src.collectors.live.roll_call import RollCall
from src.collectors.repair.gaps import HoleRepair
from src.model import MINUTE_MS
from src.telemetry.metrics import Metrics
from tests.support.fakes import (
    EPOCH_MS,
    FakeFinder,
    FakeHistory,
    FakeSink,
    FakeStream,
    StepClock,
    count,
    make_candle,
    make_instrument,
)


class World:
    """``symbols`` trade since ``since_ms``. ``say`` is the stream delivering, ``store`` the writer committing."""

    def __init__(
        self, *symbols: str, since_ms: int = EPOCH_MS - 10 * MINUTE_MS, concurrency: int = 16
    ) -> None:
        self.clock, self.metrics = StepClock(), Metrics()
        self.history = FakeHistory(
            self.clock, [make_instrument(name, onboard_ms=since_ms) for name in symbols]
        )
        self.sink, self.stream = FakeSink(), FakeStream()
        self.finder = FakeFinder(self.sink)
        self.universe = Universe(self.history, self.clock, self.metrics, Selection())
        self.universe.adopt(self.history.listed, self.clock.now_ms())
        self.attendance = Attendance(self.clock)
        self.buffer = CandleBuffer(self.clock, self.metrics)
        self.gate = CandleGate(self.universe, self.attendance, self.buffer, self.clock, self.metrics)
        self.repair = HoleRepair(
            self.finder,
            self.history,
            self.gate,
            self.buffer,
            self.universe,
            self.clock,
            self.metrics,
            concurrency=concurrency,
        )
        self.roll_call = RollCall(
            self.history, self.stream, self.gate, self.attendance, self.universe, self.repair, self.clock, self.metrics
        )  # fmt: skip

    def say(self, open_ms: int, *symbols: str) -> None:
        for symbol in symbols:
            self.gate.live(make_candle(symbol, open_ms))

    async def store(self) -> None:
        rows = self.buffer.take(1_000_000)
        await self.sink.write([row.candle for row in rows], self.buffer.take_gaps())
        self.buffer.commit(rows)

    def asked(self) -> list[tuple[str, int, int]]:
        """What REST was asked since the last call: symbol, first minute and number of minutes."""
        asked = [(symbol, start, (to - start) // MINUTE_MS) for symbol, start, to, _ in self.history.asked]
        self.history.asked.clear()
        return sorted(asked)

    def count(self, name: str, **labels: str) -> float:
        return count(self.metrics, name, **labels)
