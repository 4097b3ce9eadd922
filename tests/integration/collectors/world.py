"""The collectors over a real database and the sandbox's REST side, at speed 20; no stream unless a test feeds one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from src.adapters.binance.rest.client import BinanceRest, RestOptions
from src.adapters.rate_limiter import RateLimiter
from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.ledger.holes import HoleSearch
from src.adapters.timescale.options import DatabaseOptions
from src.clock import VenueClock
from src.collectors.listings.selection import Selection
from src.collectors.listings.universe import Universe
from src.collectors.live.attendance import Attendance
from src.collectors.live.buffer import CandleBuffer
from src.collectors.live.gate import CandleGate
from src.collectors.live.roll_call import RollCall
from src.collectors.live.writer import Writer
from src.collectors.live.ws import LiveCollector
from src.collectors.repair.gaps import HoleRepair
from src.collectors.running.clock_sync import ClockSync
from src.collectors.running.daemon import Closer, Daemon, Part, Summary
from src.collectors.running.supervisor import Supervisor
from src.sandbox.server import Sandbox
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.support.fakes import FakeStream, count, total

SPEED = 20.0


class World:
    """All parts as ``wiring`` joins them, with a stream that says only what a test makes it say."""

    def __init__(self, sandbox: Sandbox, database: str, *, capacity: int = 200_000, lookback_ms: int) -> None:
        self.sandbox = sandbox
        self.clock, self.metrics, self.health = VenueClock(speed=SPEED), Metrics(), Health()
        limiter = RateLimiter(self.clock, self.metrics, limit=1800)
        self.rest = BinanceRest(RestOptions(sandbox.rest_url), limiter, self.clock, self.metrics)
        options = DatabaseOptions(database)
        self.store, self.holes = CandleStore(options, self.metrics), HoleSearch(options, self.metrics)
        self.stream = FakeStream()
        self.buffer = CandleBuffer(self.clock, self.metrics, capacity=capacity)
        self.attendance = Attendance(self.clock)
        self.clock_sync = ClockSync(self.rest, self.clock, self.metrics)
        self.universe = Universe(
            self.rest, self.clock, self.metrics, Selection(), after=self.clock_sync.ready
        )
        self.gate = CandleGate(self.universe, self.attendance, self.buffer, self.clock, self.metrics)
        self.repair = HoleRepair(
            self.holes, self.rest, self.gate, self.buffer, self.universe, self.clock, self.metrics,
            lookback_ms=lookback_ms,
        )  # fmt: skip
        self.roll_call = RollCall(
            self.rest, self.stream, self.gate, self.attendance, self.universe, self.repair, self.clock, self.metrics
        )  # fmt: skip
        self.writer = Writer(
            self.buffer, self.store, self.clock, self.metrics, self.health,
            on_recovered=lambda: self.repair.trigger("database"),
        )  # fmt: skip
        self.stop = asyncio.Event()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[Summary]]:
        """The daemon, stopped and drained at the end of the block."""
        await self.rest.open()
        live = LiveCollector(self.stream, self.universe)
        daemon = Daemon(
            self.buffer, self.writer, self.health,
            collectors=[
                self._supervised("clock", self.clock_sync.run),
                self._supervised("universe", self.universe.run),
                self._supervised("ws", live.run),
                self._supervised("roll_call", self.roll_call.run),
                self._supervised("repair", self.repair.run),
            ],
            closers=[
                Closer("store", self.store.close), Closer("holes", self.holes.close), Closer("rest", self.rest.close),
            ],
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            task = group.create_task(daemon.run(self.stop), name="daemon")
            try:
                yield task
            finally:
                self.stop.set()

    def _supervised(self, name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> Part:
        return Part(name, Supervisor(name, run, self.metrics).run)

    def count(self, name: str, **labels: str) -> float:
        return count(self.metrics, name, **labels)

    def balance(self) -> float:
        """Rows received less all that became of them; 0 at any moment."""
        outcomes = ("rows_committed_total", "rows_deduped_total", "rows_rejected_total", "rows_dropped_total")
        return (
            total(self.metrics, "rows_received_total")
            - sum(total(self.metrics, name) for name in outcomes)
            - len(self.buffer)
        )
