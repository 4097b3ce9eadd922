from __future__ import annotations

import asyncio
from random import Random

import pytest

from src.clock import VenueClock
from src.collectors.listings.selection import Selection
from src.collectors.listings.universe import Universe
from src.collectors.live.buffer import CandleBuffer
from src.collectors.live.writer import Writer
from src.collectors.live.ws import LiveCollector
from src.collectors.running.daemon import Closer, Daemon, Part, Summary
from src.collectors.running.turn import Turn
from src.errors import AlreadyRunning, ConfigError, Unavailable
from src.model import MINUTE_MS
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import (
    EPOCH,
    EPOCH_MS,
    FakeHistory,
    FakeSink,
    FakeStream,
    StepClock,
    make_candle,
    make_instrument,
    total,
)


class Bench:
    """A daemon whose collector puts a row into the buffer every loop turn, as fast as it can."""

    def __init__(self) -> None:
        self.clock, self.metrics, self.health = VenueClock(start=EPOCH), Metrics(), Health()
        self.sink = FakeSink()
        self.buffer = CandleBuffer(self.clock, self.metrics, capacity=100_000)
        self.writer = Writer(self.buffer, self.sink, self.clock, self.metrics, self.health, rng=Random(1))
        self.stop = asyncio.Event()
        self.put = 0
        self.order: list[str] = []

    def daemon(self, *collectors: Part, drain_seconds: float = 5.0) -> Daemon:
        return Daemon(
            self.buffer,
            self.writer,
            self.health,
            collectors=collectors or [Part("ws", self.collect)],
            services=[Part("http", self.serve)],
            closers=[Closer("sink", self.close_badly), Closer("rest", self.close)],
            drain_seconds=drain_seconds,
        )

    async def collect(self) -> None:
        self.order.append("collector starts")
        try:
            while True:
                self.buffer.put(make_candle(open_ms=EPOCH_MS + self.put * MINUTE_MS))
                self.put += 1
                await asyncio.sleep(0.001)
        finally:
            self.order.append("collector ends")

    async def serve(self) -> None:
        self.order.append("service starts")
        try:
            await asyncio.Event().wait()
        finally:
            self.order.append("service ends")

    async def close_badly(self) -> None:
        self.order.append("sink closes")
        raise OSError("already gone")

    async def close(self) -> None:
        self.order.append("rest closes")

    async def stopped_after(self, rows: int, daemon: Daemon) -> Summary:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(daemon.run(self.stop), name="daemon")
            await eventually(lambda: self.put >= rows)
            self.stop.set()
        return running.result()


async def test_stopping_loses_no_row_and_ends_readers_before_the_writer() -> None:
    bench = Bench()
    assert await bench.stopped_after(30, bench.daemon()) == Summary(0, 0)
    assert len(bench.sink.rows) == bench.put == total(bench.metrics, "rows_committed_total")
    assert bench.order == [
        "service starts", "collector starts", "collector ends", "service ends", "sink closes", "rest closes",
    ]  # fmt: skip
    assert bench.health.stopping


async def test_stopping_with_the_database_away_says_how_many_rows_are_left() -> None:
    bench = Bench()
    bench.sink.open_errors = [Unavailable("away")] * 1000
    summary = await bench.stopped_after(30, bench.daemon())
    assert summary == Summary(bench.put, 0)


async def test_stopping_before_the_lock_is_ours_starts_no_reader() -> None:
    bench = Bench()
    bench.writer = Writer(
        bench.buffer, bench.sink, bench.clock, bench.metrics, bench.health, standby=True, rng=Random(1)
    )
    bench.sink.open_errors = [AlreadyRunning("pid 7")] * 1000
    daemon = bench.daemon()
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(daemon.run(bench.stop), name="daemon")
        await eventually(lambda: len(bench.sink.open_errors) < 1000)
        bench.stop.set()
    assert "collector starts" not in bench.order


async def test_readers_end_with_the_turn_and_start_with_the_next() -> None:
    bench = Bench()
    daemon = bench.daemon()
    async with asyncio.timeout(120), asyncio.TaskGroup() as group:
        group.create_task(daemon.run(bench.stop), name="daemon")
        await eventually(lambda: bench.put)
        bench.writer.settled.clear()
        await eventually(lambda: bench.order[-1] == "collector ends")
        put = bench.put
        bench.writer.settled.set()
        await eventually(lambda: bench.put > put)
        bench.stop.set()
    assert bench.order[1:6] == [
        "collector starts", "collector ends", "collector starts", "collector ends", "service ends",
    ]  # fmt: skip


async def test_a_timeout_of_a_reader_is_not_taken_for_the_end_of_its_turn() -> None:
    async def fail() -> None:
        raise TimeoutError("its own")

    turn = Turn()
    turn.set()
    with pytest.raises(TimeoutError, match="its own"):
        await turn.run(fail)


@pytest.mark.parametrize(
    "error", [ConfigError("pending"), AlreadyRunning("pid 7"), ZeroDivisionError("a bug")]
)
async def test_a_failing_writer_stops_everything_with_its_own_error(error: Exception) -> None:
    bench = Bench()
    bench.sink.open_errors = [error]
    with pytest.raises(type(error)):
        await bench.daemon().run(bench.stop)
    assert bench.order[-2:] == ["sink closes", "rest closes"]


async def test_a_setting_no_restart_mends_is_raised_after_the_rows_are_stored() -> None:
    bench = Bench()

    async def collect() -> None:
        bench.buffer.put(make_candle())
        raise ConfigError("BINANCE_WS_URL: no")

    with pytest.raises(ConfigError):
        await bench.daemon(Part("ws", collect)).run(bench.stop)
    assert len(bench.sink.rows) == 1


async def test_a_collector_that_hangs_in_its_goodbye_does_not_keep_the_rows() -> None:
    bench, released = Bench(), asyncio.Event()

    async def stubborn() -> None:
        bench.buffer.put(make_candle())
        bench.put += 1
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    async def release() -> None:
        await eventually(lambda: bench.sink.rows)
        released.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(release(), name="release")
        summary = await bench.stopped_after(1, bench.daemon(Part("stubborn", stubborn)))
    assert summary == Summary(0, 0)


async def test_the_live_collector_follows_the_universe_as_long_as_it_runs() -> None:
    clock, stream = StepClock(), FakeStream()
    stream.errors = [Unavailable("reset")]
    universe = Universe(FakeHistory(clock), clock, Metrics(), Selection())
    live = LiveCollector(stream, universe)
    first = asyncio.create_task(live.run(), name="live")
    await asyncio.sleep(0)
    assert stream.runs == 0
    universe.adopt([make_instrument("AUSDT")], EPOCH_MS)
    with pytest.raises(Unavailable):
        await first
    again = asyncio.create_task(live.run(), name="live")
    await eventually(lambda: stream.runs == 2)
    universe.adopt([make_instrument("AUSDT"), make_instrument("币安人生USDT")], EPOCH_MS)
    assert stream.symbols == {"AUSDT", "币安人生USDT"}
    again.cancel()
    with pytest.raises(asyncio.CancelledError):
        await again
    universe.adopt([make_instrument("AUSDT")], EPOCH_MS)
    assert stream.symbols == {"AUSDT", "币安人生USDT"}
