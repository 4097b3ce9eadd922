from __future__ import annotations

import asyncio

import pytest

from src.collectors.live.buffer import Origin
from src.errors import BadData, Unavailable
from src.model import MINUTE_MS, Authority
from src.ports import Priority
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH, EPOCH_MS

from .world import World

AWAY = Unavailable("no answer")
MINUTE = [EPOCH_MS + index * MINUTE_MS for index in range(20)]


async def at_first_round(world: World, open_ms: int) -> None:
    await world.clock.sleep_until(open_ms / 1000 + 66)


async def call(world: World, open_ms: int) -> None:
    await at_first_round(world, open_ms)
    await world.roll_call.call(open_ms)


async def test_asks_nobody_when_all_are_present() -> None:
    world = World("AUSDT", "BUSDT")
    await at_first_round(world, MINUTE[0])
    world.say(MINUTE[0], "AUSDT", "BUSDT")
    await world.roll_call.call(MINUTE[0])
    assert world.asked() == []
    assert world.stream.resubscribed == []
    assert world.count("roll_call_misses_total", round="first") == 0


async def test_asks_for_who_is_missing_at_once_and_flushes_it_at_once() -> None:
    world = World("AUSDT", "BUSDT")
    await at_first_round(world, MINUTE[0])
    world.say(MINUTE[0], "AUSDT")
    await world.roll_call.call(MINUTE[0])
    assert world.history.asked == [("BUSDT", MINUTE[0], MINUTE[1], Priority.ROLL_CALL)]
    assert world.buffer.urgent
    rows = {row.candle.symbol: row for row in world.buffer.take(9)}
    assert (rows["BUSDT"].origin, rows["BUSDT"].candle.authority) == (Origin.ROLL_CALL, Authority.STREAM)
    assert world.count("roll_call_misses_total", round="first") == 1
    assert world.count("roll_call_filled_total", round="first") == 1


async def test_an_early_answer_is_asked_for_once_more_when_it_is_final() -> None:
    world = World("AUSDT")
    await call(world, MINUTE[0])
    world.asked()
    await at_first_round(world, MINUTE[1])
    world.say(MINUTE[1], "AUSDT")
    await world.roll_call.call(MINUTE[1])
    assert world.history.asked == [("AUSDT", MINUTE[0], MINUTE[1], Priority.REPAIR)]
    assert {row.candle.open_ms: row.candle.authority for row in world.buffer.take(9)} == {
        MINUTE[0]: Authority.REST,
        MINUTE[1]: Authority.STREAM,
    }
    world.asked()
    await call(world, MINUTE[2])
    assert world.asked() == [("AUSDT", MINUTE[2], 1)]


async def test_a_frame_that_came_very_late_is_checked_against_rest() -> None:
    world = World("AUSDT")
    world.clock.at(MINUTE[1] / 1000 + 46, lambda: world.say(MINUTE[0], "AUSDT"))
    await at_first_round(world, MINUTE[1])
    world.say(MINUTE[1], "AUSDT")
    await world.roll_call.call(MINUTE[1])
    assert world.history.asked == [("AUSDT", MINUTE[0], MINUTE[1], Priority.REPAIR)]


async def test_a_silent_venue_costs_one_request_a_symbol_and_minute_never_more_than_64_at_a_time() -> None:
    symbols = [f"S{index:03}USDT" for index in range(740)]
    world = World(*symbols)
    with world.universe.telling(world.roll_call.follow):
        for open_ms in MINUTE[1:4]:
            await call(world, open_ms)
    asked = world.asked()
    assert len(asked) == 3 * 740
    assert {minutes for _, start, minutes in asked if start == MINUTE[1]} == {1, 2}
    assert world.history.most_in_flight == 64
    assert len(world.buffer) == 3 * 740
    assert world.stream.resubscribed == symbols[:100]


async def test_a_symbol_silent_in_the_stream_but_trading_is_subscribed_anew() -> None:
    world = World("AUSDT", "BUSDT")
    with world.universe.telling(world.roll_call.follow):
        await at_first_round(world, MINUTE[1])
        world.say(MINUTE[1], "AUSDT")
        await world.roll_call.call(MINUTE[1])
    assert world.stream.resubscribed == ["BUSDT"]


async def test_a_quiet_symbol_is_normal_and_so_is_a_late_frame() -> None:
    world = World("QUIETUSDT", "LATEUSDT")
    world.history.quiet = {"QUIETUSDT"}
    with world.universe.telling(world.roll_call.follow):
        world.clock.at(MINUTE[2] / 1000 + 24, lambda: world.say(MINUTE[1], "LATEUSDT"))
        await call(world, MINUTE[1])
    assert world.attendance.heard(MINUTE[1]) == 1
    assert world.stream.resubscribed == []
    assert world.count("symbols_quiet") == 1


async def test_who_did_not_trade_in_the_minute_before_is_asked_before_the_others() -> None:
    world = World("QUIETUSDT", "AUSDT")
    world.history.quiet = {"QUIETUSDT"}
    world.clock.at(MINUTE[1] / 1000 + 1, lambda: world.say(MINUTE[0], "AUSDT"))
    await call(world, MINUTE[0])
    world.asked()
    await world.clock.sleep_until(MINUTE[2] / 1000 + 2.6)
    times = list[float]()
    world.clock.at(MINUTE[2] / 1000 + 5.5, lambda: times.append(len(world.history.asked)))
    await world.roll_call.call(MINUTE[1])
    assert times == [1]
    assert world.asked() == [("AUSDT", MINUTE[1], 1), ("QUIETUSDT", MINUTE[0], 2)]
    assert world.count("roll_call_filled_total", round="quiet") == 1


async def test_what_stays_missing_is_asked_twice_and_then_left_to_the_repair() -> None:
    world = World("AUSDT")
    world.history.without = {("AUSDT", MINUTE[0])}
    await call(world, MINUTE[0])
    assert world.asked() == [("AUSDT", MINUTE[0], 1)] * 2
    assert world.count("roll_call_misses_total", round="second") == 1
    assert world.count("gap_candles_found_total", reason="roll_call") == 1
    assert world.count("missing_candles") == 1


async def test_an_error_of_one_answer_costs_only_that_answer() -> None:
    world = World("AUSDT", "BUSDT", "CUSDT", "DUSDT")
    world.history.errors = [AWAY, BadData("HTML", reason="html")]
    world.history.unknown = {"DUSDT"}
    await call(world, MINUTE[0])
    assert {row.candle.symbol for row in world.buffer.take(9)} == {"AUSDT", "BUSDT", "CUSDT"}
    assert world.count("roll_call_filled_total", round="first") == 1
    assert world.count("roll_call_filled_total", round="second") == 2


async def test_a_refused_symbol_costs_only_its_own_row() -> None:
    world = World("AUSDT", "HALTEDUSDT", "ZUSDT")
    world.history.refused = {"HALTEDUSDT"}
    await call(world, MINUTE[0])
    assert {row.candle.symbol for row in world.buffer.take(9)} == {"AUSDT", "ZUSDT"}
    assert world.count("roll_call_filled_total", round="first") == 2
    assert world.count("gap_candles_found_total", reason="roll_call") == 1


async def test_a_minute_outside_the_listing_is_not_expected() -> None:
    world = World("AUSDT", since_ms=MINUTE[1])
    await call(world, MINUTE[0])
    assert world.asked() == []


async def test_stale_symbols_are_counted() -> None:
    world = World("AUSDT", "BUSDT")
    world.history.without = {("BUSDT", open_ms) for open_ms in MINUTE}
    for open_ms in MINUTE[:3]:
        await call(world, open_ms)
    assert world.count("symbols_stale") == 1


async def test_the_minute_just_over_at_the_start_is_called_too() -> None:
    world = World("AUSDT")
    world.clock.advance(20)
    running = asyncio.create_task(world.roll_call.run(), name="roll call")
    await eventually(lambda: world.buffer.waiting)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert world.asked()[0] == ("AUSDT", EPOCH_MS - MINUTE_MS, 1)


async def test_only_the_minute_that_was_over_before_anybody_listened_is_caught_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World("AUSDT")
    world.clock.advance(20)
    origins: dict[int, list[Origin]] = {}
    # What lies in the buffer may have been replaced by the final answer a minute later.
    monkeypatch.setattr(
        world.buffer, "put", lambda row, origin: origins.setdefault(row.open_ms, []).append(origin)
    )
    running = asyncio.create_task(world.roll_call.run(), name="roll call")
    await eventually(lambda: MINUTE[0] in origins)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert origins[EPOCH_MS - MINUTE_MS][0] is Origin.CATCH_UP
    assert origins[MINUTE[0]][0] is Origin.ROLL_CALL


async def test_runs_minute_by_minute_from_the_open_one_and_skips_what_is_long_past() -> None:
    world = World("AUSDT")
    world.clock.advance(-3)
    running = asyncio.create_task(world.roll_call.run(), name="roll call")
    await eventually(lambda: world.clock.now() > EPOCH + 400)
    minutes = [start + (length - 1) * MINUTE_MS for _, start, length in world.asked()]
    assert minutes[:4] == [EPOCH_MS - MINUTE_MS, MINUTE[0], MINUTE[1], MINUTE[2]]
    world.clock.advance(3600)
    seen = world.clock.now_ms()
    await eventually(lambda: world.clock.now_ms() > seen + 120_000)
    later = [start for _, start, _ in world.asked()]
    assert not [start for start in later if seen - 50 * MINUTE_MS < start < seen - 4 * MINUTE_MS]
    assert [start for start in later if start > seen - 4 * MINUTE_MS]
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
