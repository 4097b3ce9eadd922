from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest

from src.clock import VenueClock
from src.collectors.live import writer as writer_module
from src.collectors.live.buffer import CandleBuffer, Origin
from src.collectors.live.writer import Writer
from src.errors import AlreadyRunning, ConfigError, Misconfigured, Unavailable
from src.model import MINUTE_MS, Gap
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH, EPOCH_MS, FakeSink, count, make_candle, total

AWAY = Unavailable("the database is away")
SLOW = 0.05
"""The window lasts a wall minute: whoever waits for it is told from a machine that is busy for some seconds."""


class Bench:
    """A writer over a fake sink; time runs fast, so a window of 3 s is 30 ms."""

    def __init__(
        self, *, capacity: int = 1000, standby: bool = False, max_rows: int = 100, speed: float = 100
    ) -> None:
        self.clock = VenueClock(speed=speed, start=EPOCH)
        self.metrics, self.health, self.sink = Metrics(), Health(), FakeSink()
        self.buffer = CandleBuffer(self.clock, self.metrics, capacity=capacity)
        self.recoveries = 0
        self.writer = Writer(
            self.buffer, self.sink, self.clock, self.metrics, self.health,
            standby=standby, max_rows=max_rows, on_recovered=self._recovered, rng=Random(1),
        )  # fmt: skip

    def _recovered(self) -> None:
        self.recoveries += 1

    def put(self, number: int, origin: Origin = Origin.LIVE) -> None:
        for index in range(number):
            self.buffer.put(make_candle(f"S{index:03}USDT"), origin)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(self.writer.run(), name="writer")
        try:
            yield task
        finally:
            await self.writer.drain(5)
            await task

    async def stored(self, number: int) -> None:
        await eventually(lambda: len(self.sink.rows) == number, message=f"{number} rows stored")


async def test_stores_rows_once_their_oldest_is_three_seconds_old() -> None:
    bench = Bench(speed=10)
    async with bench.running():
        bench.put(5)
        await bench.stored(5)
        assert 3.0 <= bench.clock.monotonic() < 60
        await eventually(lambda: not len(bench.buffer))
    assert bench.sink.batches == [5]
    assert count(bench.metrics, "rows_committed_total", source="binance_ws", result="inserted") == 5
    assert count(bench.metrics, "close_to_commit_seconds_count") == 5
    assert bench.health.database_writable
    assert bench.health.newest_candle_close == EPOCH
    assert bench.health.last_commit == count(bench.metrics, "last_commit_timestamp_seconds") > EPOCH


@pytest.mark.parametrize(("origin", "counted"), [(Origin.ROLL_CALL, 1), (Origin.CATCH_UP, 0)])
async def test_roll_call_rows_do_not_wait_for_the_window(origin: Origin, counted: int) -> None:
    bench = Bench(speed=SLOW)
    async with bench.running():
        bench.put(1, origin)
        await bench.stored(1)
        assert bench.clock.monotonic() < 2
    assert count(bench.metrics, "close_to_commit_seconds_count") == counted


async def test_a_full_batch_does_not_wait_and_repairs_do_not_count_as_live() -> None:
    bench = Bench(speed=SLOW)
    async with bench.running():
        bench.put(250, Origin.REPAIR)
        await bench.stored(200)
        assert bench.clock.monotonic() < 2
    assert bench.sink.batches == [100, 100, 50]
    assert count(bench.metrics, "close_to_commit_seconds_count") == 0


async def test_rows_stay_until_the_database_is_back_and_the_recovery_is_told() -> None:
    bench = Bench()
    bench.sink.open_errors = [AWAY, AWAY]
    bench.sink.write_errors = [AWAY]
    async with bench.running():
        await eventually(bench.writer.settled.is_set)
        assert not bench.health.database_writable
        bench.put(3)
        await bench.stored(3)
        await eventually(lambda: bench.recoveries)
    assert (bench.recoveries, bench.sink.opened) == (1, 2)
    assert count(bench.metrics, "flush_total", result="retried") == 1
    assert count(bench.metrics, "database_up") == 1
    assert bench.health.database_writable


async def test_a_failing_database_never_duplicates_or_loses_a_row() -> None:
    bench = Bench()
    bench.sink.write_errors = [AWAY, Misconfigured("no such column", reason="42703")]
    async with bench.running():
        bench.put(40)
        await bench.stored(40)
        bench.put(40)
        await eventually(lambda: total(bench.metrics, "rows_deduped_total") == 40)
    assert total(bench.metrics, "rows_committed_total") == 40


async def test_a_poison_row_is_quarantined_and_the_others_are_stored() -> None:
    bench = Bench(max_rows=650)
    bad = make_candle("S333USDT")
    bench.sink.poison = {bad.key}
    async with bench.running():
        bench.put(650)
        await bench.stored(649)
        await eventually(lambda: not len(bench.buffer))
    assert bench.sink.quarantined == [(bad, "check_violation")]
    assert count(bench.metrics, "rows_rejected_total", reason="check_violation") == 1
    assert count(bench.metrics, "flush_total", result="bisected") == 1
    assert total(bench.metrics, "rows_committed_total") == 649


async def test_a_row_that_not_even_the_quarantine_takes_does_not_block_the_others() -> None:
    bench = Bench()
    bench.sink.poison, bench.sink.vile = {make_candle("S001USDT").key}, True
    async with bench.running():
        bench.put(3)
        await bench.stored(2)
        await eventually(lambda: not len(bench.buffer))
    assert count(bench.metrics, "rows_rejected_total", reason="check_violation") == 1


async def test_a_poison_gap_costs_no_row() -> None:
    bench = Bench(capacity=2)
    bench.put(4)
    bench.sink.poison = {make_candle("S000USDT").key}
    async with bench.running():
        await bench.stored(2)
        await eventually(lambda: not bench.buffer.has_gaps)
    assert [gap.symbol for gap in bench.sink.gaps] == ["S001USDT"]
    assert total(bench.metrics, "rows_rejected_total") == 0


async def test_a_refused_statement_keeps_the_rows_and_heals_by_itself() -> None:
    bench = Bench()
    bench.sink.write_errors = [Misconfigured("no such table", reason="42P01")]
    async with bench.running():
        bench.put(2)
        await eventually(lambda: bench.health.problem)
        assert len(bench.buffer) == 2
        assert bench.health.not_ready_reasons(bench.clock.now())[0] == "database not writable"
        await bench.stored(2)
    assert bench.health.problem == ""
    assert count(bench.metrics, "flush_total", result="misconfigured") == 1


async def test_minutes_of_dropped_rows_are_written_with_the_next_commit() -> None:
    bench = Bench(capacity=2)
    bench.sink.open_errors = [AWAY]
    async with bench.running():
        for index in range(5):
            bench.buffer.put(make_candle(open_ms=EPOCH_MS - (10 - index) * MINUTE_MS))
        await bench.stored(2)
    assert bench.sink.gaps == [
        Gap("BTCUSDT", EPOCH_MS - 10 * MINUTE_MS, EPOCH_MS - 7 * MINUTE_MS, "buffer_full")
    ]
    assert count(bench.metrics, "rows_dropped_total", reason="full") == 3


async def test_draining_stores_what_is_left_at_once() -> None:
    bench = Bench(speed=SLOW)
    task = asyncio.create_task(bench.writer.run(), name="writer")
    await eventually(bench.writer.settled.is_set)
    bench.put(250)
    assert await bench.writer.drain(5) == 0
    await task
    assert len(bench.sink.rows) == 250
    assert bench.clock.monotonic() < 2


async def test_draining_with_the_database_away_gives_up_after_two_tries_and_says_what_is_left() -> None:
    bench = Bench(speed=SLOW)
    bench.sink.open_errors = [AWAY] * 100
    task = asyncio.create_task(bench.writer.run(), name="writer")
    await eventually(bench.writer.settled.is_set)
    bench.put(7)
    async with asyncio.timeout(60):
        assert await bench.writer.drain(1000) == 7
    await task


async def test_a_flush_that_hangs_is_cut_at_the_deadline_and_its_rows_stay_ours() -> None:
    bench = Bench()
    bench.sink.hold = asyncio.Event()
    task = asyncio.create_task(bench.writer.run(), name="writer")
    bench.put(3)
    await bench.stored(3)
    assert await bench.writer.drain(0.2) == 3
    await task
    assert bench.buffer.waiting == 3


async def test_a_cancelled_flush_leaves_every_row_owned() -> None:
    bench = Bench()
    bench.sink.hold = asyncio.Event()
    task = asyncio.create_task(bench.writer.run(), name="writer")
    bench.put(3)
    await bench.stored(3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.buffer.waiting == 3
    assert total(bench.metrics, "rows_committed_total") == 0


@pytest.mark.parametrize("error", [ConfigError("pending migrations"), AlreadyRunning("pid 7 holds the lock")])
async def test_what_no_waiting_mends_ends_the_first_open(error: Exception) -> None:
    bench = Bench()
    bench.sink.open_errors = [AWAY, error]
    with pytest.raises(type(error)):
        await bench.writer.run()


async def test_a_schema_that_breaks_later_is_held_not_fatal() -> None:
    bench = Bench()
    bench.sink.write_errors = [AWAY]
    async with bench.running():
        await eventually(bench.writer.settled.is_set)
        bench.sink.open_errors = [ConfigError("migration 7 is pending")]
        bench.put(1)
        await eventually(lambda: "migration 7" in bench.health.problem)
        await bench.stored(1)


async def test_our_own_ghost_may_hold_the_lock_for_a_moment() -> None:
    bench = Bench()
    bench.sink.write_errors = [AWAY]
    async with bench.running():
        await eventually(bench.writer.settled.is_set)
        bench.sink.open_errors = [AlreadyRunning("pid 7 holds the lock")]
        bench.put(1)
        await bench.stored(1)


async def test_a_ghost_that_is_met_after_the_database_was_away_again_has_its_moment_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "_GHOST_GRACE", 0.0)
    monkeypatch.setattr(writer_module, "_STANDBY_POLL", 0.01)
    bench = Bench()
    async with bench.running():
        await eventually(bench.writer.settled.is_set)
        ghost = AlreadyRunning("our own session holds the lock")
        bench.sink.write_errors = [AWAY]
        bench.sink.open_errors = [ghost, AWAY, ghost]
        bench.put(1)
        await bench.stored(1)


async def test_a_standby_starts_no_reader_before_the_lock_is_ours() -> None:
    bench = Bench(standby=True)
    bench.sink.open_errors = [AWAY, AlreadyRunning("pid 7 holds the lock")]
    async with bench.running():
        await eventually(lambda: len(bench.sink.open_errors) == 0)
        assert not bench.writer.settled.is_set()
        await eventually(bench.writer.settled.is_set)
        assert bench.sink.opened == 1


async def test_a_standby_says_that_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Alerts about live candles leave it alone by this, and only while somebody else is known to write them."""
    monkeypatch.setattr(writer_module, "_STANDBY_POLL", 0.01)
    bench = Bench(standby=True)
    held = AlreadyRunning("pid 7 holds the lock")
    bench.sink.open_errors = [held] * 100_000
    async with bench.running():
        await eventually(lambda: total(bench.metrics, "standby") == 1)
        bench.sink.open_errors[:] = [AWAY] * 100_000
        await eventually(lambda: total(bench.metrics, "standby") == 0)
        assert not bench.writer.settled.is_set()
        bench.sink.open_errors[:] = [held] * 100_000
        await eventually(lambda: total(bench.metrics, "standby") == 1)
        bench.sink.open_errors.clear()
        await eventually(bench.writer.settled.is_set)
        assert total(bench.metrics, "standby") == 0


async def test_a_standby_that_lost_the_lock_waits_for_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_GHOST_GRACE", 0.0)
    monkeypatch.setattr(writer_module, "_STANDBY_POLL", 0.01)
    bench = Bench(standby=True)
    async with bench.running():
        await eventually(bench.writer.settled.is_set)
        bench.sink.write_errors = [AWAY]
        bench.sink.open_errors = [
            *[AlreadyRunning("pid 7 holds the lock")] * 2,
            AWAY,  # who then cannot be asked must not be taken for gone
            *[AlreadyRunning("pid 7 holds the lock")] * 500,
        ]
        bench.put(3)
        await eventually(lambda: 0 < len(bench.sink.open_errors) < 490)
        assert not bench.writer.settled.is_set()
        assert len(bench.buffer) == 3
        assert "database not writable" in bench.health.not_ready_reasons(bench.clock.now())
        bench.sink.open_errors.clear()
        await bench.stored(3)
        await eventually(lambda: bench.recoveries)
        assert bench.writer.settled.is_set()


@pytest.mark.parametrize("standby", [False, True])
async def test_only_a_standby_outlives_the_loss_of_the_lock(
    standby: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer_module, "_GHOST_GRACE", 0.0)
    monkeypatch.setattr(writer_module, "_STANDBY_POLL", 0.01)
    bench = Bench(standby=standby)
    bench.sink.write_errors = [AWAY]
    bench.put(1)
    task = asyncio.create_task(bench.writer.run(), name="writer")
    await eventually(lambda: bench.sink.opened)
    bench.sink.open_errors = [AlreadyRunning("pid 7 holds the lock")] * 5
    if standby:
        await bench.stored(1)
        await bench.writer.drain(5)
        await task
    else:
        with pytest.raises(AlreadyRunning):
            await task


async def test_a_bug_in_the_sink_ends_the_writer() -> None:
    bench = Bench()
    bench.sink.write_errors = [ZeroDivisionError("a bug")]
    bench.put(1)
    with pytest.raises(ZeroDivisionError):
        await bench.writer.run()
    assert bench.buffer.waiting == 1


async def test_a_batch_that_takes_too_long_is_tried_again_in_smaller_ones() -> None:
    """E12: the same 100 rows would time out for ever."""
    bench = Bench()
    bench.sink.write_errors = [Unavailable("too slow", reason="statement_timeout")] * 2
    async with bench.running():
        bench.put(100)
        await bench.stored(100)
    assert bench.sink.batches[:2] == [25, 29]
    assert count(bench.metrics, "flush_total", result="retried") == 2
