from __future__ import annotations

import asyncio

import pytest

from src.clock import VenueClock
from src.collectors.running.clock_sync import ClockSync
from src.collectors.running.loop_lag import LoopLag
from src.errors import BadData, Unavailable
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH, FakeHistory, StepClock, count


class Bench:
    def __init__(self) -> None:
        self.clock, self.metrics, self.jumps = StepClock(), Metrics(), 0
        self.history = FakeHistory(self.clock)
        self.sync = ClockSync(self.history, self.clock, self.metrics, interval=0.05, on_jump=self._jumped)

    def _jumped(self) -> None:
        self.jumps += 1


async def test_the_first_answer_sets_the_clock_however_wrong_it_was() -> None:
    bench = Bench()
    bench.history.times = [EPOCH + 3600.0] * 3
    await bench.sync.sync()
    assert bench.sync.ready.is_set()
    assert bench.clock.now() == EPOCH + 3600
    assert count(bench.metrics, "exchange_clock_offset_seconds") == 3600
    assert bench.jumps == 0


async def test_one_wild_answer_moves_nothing() -> None:
    bench = Bench()
    bench.history.times = [EPOCH + 0.01, EPOCH - 9000, EPOCH + 0.02]
    await bench.sync.sync()
    assert bench.clock.now() == pytest.approx(EPOCH + 0.01)


async def test_a_venue_whose_clock_moves_is_followed_when_it_says_so_twice() -> None:
    bench = Bench()
    await bench.sync.sync()
    bench.history.times = [EPOCH - 6.0] * 3 + [EPOCH] * 3
    await bench.sync.sync()
    assert (bench.clock.now(), bench.jumps) == (EPOCH, 0)
    bench.history.times = [EPOCH - 6.0] * 6
    await bench.sync.sync()
    assert (bench.clock.now(), bench.jumps) == (EPOCH - 6, 1)
    assert count(bench.metrics, "exchange_clock_offset_seconds") == -6


async def test_a_venue_that_is_down_is_asked_until_it_answers_and_then_every_minute() -> None:
    bench = Bench()
    bench.history.errors = [Unavailable("down"), BadData("HTML", reason="html")]
    running = asyncio.create_task(bench.sync.run(), name="clock sync")
    await eventually(bench.sync.ready.is_set)
    bench.history.times = [EPOCH + 1.0] * 3
    bench.sync.poke()
    await eventually(lambda: bench.clock.now() == EPOCH + 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_the_lag_probe_beats_and_tells_a_standstill_from_a_busy_loop() -> None:
    metrics, health, suspended = Metrics(), Health(), list[bool]()
    clock = VenueClock(start=EPOCH)
    probe = LoopLag(clock, metrics, health, on_suspended=lambda: suspended.append(True), period=0.01)
    running = asyncio.create_task(probe.run(), name="lag")
    await eventually(lambda: count(metrics, "event_loop_lag_seconds_count") >= 3)
    assert EPOCH < health.loop_beat < EPOCH + 60
    assert suspended == []
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    probe.beat(4.9, 4.9)
    assert suspended == []
    probe.beat(300.0, 0.0)
    probe.beat(0.0, 3600.0)
    assert suspended == [True, True]
