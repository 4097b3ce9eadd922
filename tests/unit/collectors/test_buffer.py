from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from src.collectors.live.buffer import CandleBuffer, Origin
from src.model import MINUTE_MS, Authority, Gap
from src.telemetry.metrics import Metrics
from src.telemetry.pulse import Pulse
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH, EPOCH_MS, StepClock, count, make_candle, total


def make_buffer(capacity: int = 100) -> tuple[CandleBuffer, StepClock, Metrics]:
    clock, metrics = StepClock(), Metrics()
    return CandleBuffer(clock, metrics, capacity=capacity), clock, metrics


def test_takes_the_oldest_rows_sorted_by_key() -> None:
    buffer, _, _ = make_buffer()
    for symbol in ("CUSDT", "BUSDT", "AUSDT"):
        buffer.put(make_candle(symbol))
    assert [row.candle.symbol for row in buffer.take(2)] == ["BUSDT", "CUSDT"]
    assert len(buffer) == 3
    with pytest.raises(RuntimeError, match="one flush at a time"):
        buffer.take(1)


@pytest.mark.parametrize("better_first", [True, False])
def test_of_two_rows_for_one_minute_the_better_stays(better_first: bool) -> None:
    buffer, _, metrics = make_buffer()
    stream = make_candle()
    rest = replace(stream, close=stream.close + 0.5, authority=Authority.REST)
    for row in (rest, stream) if better_first else (stream, rest):
        buffer.put(row)
    assert [row.candle for row in buffer.take(10)] == [rest]
    assert count(metrics, "rows_deduped_total", where="buffer") == 1


def test_a_better_row_does_not_make_its_minute_wait_longer() -> None:
    buffer, clock, _ = make_buffer()
    buffer.put(make_candle())
    clock.advance(2)
    buffer.put(replace(make_candle(), authority=Authority.REST))
    assert buffer.age() == 2


def test_a_full_buffer_drops_the_oldest_and_remembers_the_minute() -> None:
    buffer, _, metrics = make_buffer(capacity=2)
    for index in range(4):
        buffer.put(make_candle(open_ms=EPOCH_MS + index * MINUTE_MS))
    assert [row.candle.open_ms for row in buffer.take(9)] == [
        EPOCH_MS + 2 * MINUTE_MS,
        EPOCH_MS + 3 * MINUTE_MS,
    ]
    assert buffer.take_gaps() == [Gap("BTCUSDT", EPOCH_MS, EPOCH_MS + 2 * MINUTE_MS, "buffer_full")]
    assert count(metrics, "rows_dropped_total", reason="full") == 2
    assert buffer.gap_minutes == 2


def test_held_it_grows_no_further_and_let_go_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.collectors.live.buffer._LEAST_CAPACITY", 2)
    buffer, _, metrics = make_buffer(capacity=10)
    candles = [make_candle(open_ms=EPOCH_MS + index * MINUTE_MS) for index in range(9)]
    for candle in candles[:3]:
        buffer.put(candle)
    buffer.hold(True)
    assert total(metrics, "buffer_capacity_rows") == 3
    for candle in candles[3:5]:
        buffer.put(candle)
    assert (len(buffer), count(metrics, "rows_dropped_total", reason="full")) == (3, 2)
    buffer.hold(False)
    for candle in candles[5:]:
        buffer.put(candle)
    assert (len(buffer), count(metrics, "rows_dropped_total", reason="full")) == (7, 2)
    assert buffer.gap_minutes == 2, "what went is known"


@pytest.mark.parametrize("capacity", [1, 100_000])
def test_a_little_is_never_shed(capacity: int) -> None:
    buffer, _, _ = make_buffer(capacity=capacity)
    buffer.hold(True)
    assert buffer.capacity == min(capacity, 10_000)


def test_gaps_of_a_failed_flush_are_written_with_the_next() -> None:
    buffer, _, _ = make_buffer(capacity=1)
    buffer.put(make_candle("AUSDT"))
    buffer.put(make_candle("BUSDT"))
    buffer.take(9)
    first = buffer.take_gaps()
    buffer.restore()
    rows, gaps = buffer.take(9), buffer.take_gaps()
    assert gaps == first
    buffer.commit(rows, gaps)
    assert (len(buffer), buffer.has_gaps, buffer.gap_minutes) == (0, False, 0)


def test_a_restored_row_yields_to_a_better_one_that_came_meanwhile() -> None:
    buffer, clock, metrics = make_buffer()
    buffer.put(make_candle())
    buffer.take(1)
    clock.advance(5)
    better = replace(make_candle(), authority=Authority.REST)
    buffer.put(better)
    buffer.put(make_candle())
    assert (len(buffer), count(metrics, "rows_deduped_total", where="buffer")) == (2, 1)
    buffer.restore()
    assert (len(buffer), buffer.age(), count(metrics, "rows_deduped_total", where="buffer")) == (1, 5, 2)
    assert [row.candle for row in buffer.take(9)] == [better]


def test_restored_rows_are_first_again() -> None:
    buffer, _, _ = make_buffer()
    for symbol in ("CUSDT", "BUSDT", "AUSDT"):
        buffer.put(make_candle(symbol))
    buffer.take(2)
    buffer.restore()
    assert [row.candle.symbol for row in buffer.take(2)] == ["BUSDT", "CUSDT"]


def test_only_the_roll_call_makes_a_flush_urgent() -> None:
    buffer, _, _ = make_buffer()
    urgent = []
    for origin in Origin:
        buffer.put(make_candle(f"{origin.name}USDT"), origin)
        urgent.append((origin, buffer.urgent))
        buffer.commit(buffer.take(9))
    urgent.append((origin, buffer.urgent))
    assert [origin for origin, is_urgent in urgent if is_urgent] == [Origin.ROLL_CALL, Origin.CATCH_UP]


def test_an_urgent_row_left_behind_keeps_it_urgent() -> None:
    buffer, _, _ = make_buffer()
    buffer.put(make_candle("AUSDT"), Origin.ROLL_CALL)
    buffer.put(make_candle("BUSDT"), Origin.ROLL_CALL)
    buffer.commit(buffer.take(1))
    assert buffer.urgent


async def test_repairs_wait_for_room_and_live_rows_never_do() -> None:
    buffer, _, _ = make_buffer(capacity=100)
    for index in range(20):
        buffer.put(make_candle(open_ms=EPOCH_MS + index * MINUTE_MS))
    waiting = asyncio.create_task(buffer.wait_for_room(5), name="repair")
    buffer.put(make_candle("BUSDT"))
    await asyncio.sleep(0)
    assert not waiting.done()
    buffer.commit(buffer.take(10))
    await eventually(waiting.done)
    await waiting


async def test_a_repair_that_waits_for_room_is_not_stuck() -> None:
    buffer, _, _ = make_buffer(capacity=100)
    for index in range(20):
        buffer.put(make_candle(open_ms=EPOCH_MS + index * MINUTE_MS))
    pulse = Pulse("repair")

    async def repair() -> None:
        with pulse.watched():
            await buffer.wait_for_room(5)

    waiting = asyncio.create_task(repair(), name="repair")
    await eventually(lambda: pulse.runs)
    assert [pulse.still_for(now) for now in (1.0, 3_600.0, 7_200.0)] == [0, 0, 0]
    buffer.commit(buffer.take(20))
    await waiting


async def test_a_repair_larger_than_its_share_gets_through_an_empty_buffer() -> None:
    buffer, _, _ = make_buffer(capacity=10)
    async with asyncio.timeout(60):
        await buffer.wait_for_room(499)


def test_a_closed_buffer_counts_what_still_comes() -> None:
    buffer, _, metrics = make_buffer()
    buffer.close()
    buffer.put(make_candle())
    assert (len(buffer), count(metrics, "rows_dropped_total", reason="closing")) == (0, 1)


def test_gauges_tell_size_and_oldest_arrival_rows_in_flight_included() -> None:
    buffer, clock, metrics = make_buffer()
    assert count(metrics, "buffer_oldest_timestamp_seconds") == 0
    buffer.put(make_candle("AUSDT"))
    clock.advance(4)
    buffer.put(make_candle("BUSDT"))
    buffer.take(1)
    assert count(metrics, "buffer_rows") == 2
    assert count(metrics, "buffer_oldest_timestamp_seconds") == pytest.approx(EPOCH)
    assert total(metrics, "buffer_capacity_rows") == 100
