from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from src.collectors.repair.absences import Absences
from src.errors import BadData, ConfigError, Misconfigured, RateLimited, Unavailable
from src.model import DAY_MS, MINUTE_MS, Authority, Candle
from src.ports import Priority
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH, EPOCH_MS, make_candle, make_instrument

from .world import World

AWAY = Unavailable("the database is away")


def minute(number: int) -> int:
    """The minute that opened ``number`` minutes before the beginning; 2 is the newest settled one."""
    return EPOCH_MS - number * MINUTE_MS


async def test_the_first_look_asks_for_every_settled_minute_of_the_listing() -> None:
    world = World("AUSDT", "币安人生USDT")
    await world.repair.repair()
    assert world.asked() == [("AUSDT", minute(10), 9), ("币安人生USDT", minute(10), 9)]
    await world.store()
    assert len(world.sink.rows) == 18
    assert {row.authority for row in world.sink.rows.values()} == {Authority.REST}
    assert world.count("gap_candles_found_total", reason="start") == 18
    assert world.count("gap_candles_filled_total", source="binance_rest") == 18
    assert world.count("missing_candles") == 0


async def test_looks_back_as_far_as_three_requests_reach_however_old_the_listing_is() -> None:
    world = World("AUSDT", since_ms=EPOCH_MS - 30 * DAY_MS)
    await world.repair.repair()
    assert world.asked() == [
        ("AUSDT", minute(1497), 499),
        ("AUSDT", minute(1497 - 499), 499),
        ("AUSDT", minute(1497 - 998), 498),
    ]
    assert world.finder.asked == [({"AUSDT": minute(1497)}, minute(1))]


async def test_a_long_plan_makes_way_for_the_next_look_whose_newest_minutes_go_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World("AUSDT", "BUSDT", since_ms=EPOCH_MS - 30 * DAY_MS, concurrency=1)
    asks = world.history.candles

    async def slow(symbol: str, from_ms: int, to_ms: int, *, priority: Priority) -> list[Candle]:
        world.clock.advance(40)
        return await asks(symbol, from_ms, to_ms, priority=priority)

    monkeypatch.setattr(world.history, "candles", slow)
    await world.repair.repair()
    assert len(world.history.asked) == 2
    await world.store()
    await world.repair.repair()
    await world.store()
    assert [(symbol, from_ms) for symbol, from_ms, *_ in world.history.asked][2:4] == [
        ("AUSDT", minute(1)),
        ("BUSDT", minute(1)),
    ]
    for number in range(1, 1490):
        assert ("AUSDT", minute(number)) in world.sink.rows


async def test_a_gap_of_24_hours_loses_no_minute_while_rest_is_away_and_it_is_repaired() -> None:
    world = World("AUSDT", since_ms=EPOCH_MS - 30 * DAY_MS)
    for number in range(1441, 1503):
        world.sink.rows["AUSDT", minute(number)] = make_candle("AUSDT", minute(number))
    world.history.errors = [AWAY] * 30
    for _ in range(30):
        await world.repair.repair()
        await world.store()
        world.clock.advance(60)
    assert {("AUSDT", minute(number)) for number in range(2, 1441)} <= world.sink.rows.keys()


async def test_asks_for_exactly_the_holes_and_not_for_what_waits_in_the_buffer() -> None:
    world = World("AUSDT")
    for number in (10, 9, 8, 5, 3):
        world.sink.rows["AUSDT", minute(number)] = make_candle("AUSDT", minute(number))
    world.say(minute(6), "AUSDT")
    await world.repair.repair()
    assert world.asked() == [("AUSDT", minute(7), 6)]
    await world.store()
    assert len(world.sink.rows) == 9
    assert world.count("rows_deduped_total", where="buffer") == 0
    assert world.count("gap_candles_found_total", reason="start") == 3


async def test_minutes_the_venue_does_not_have_are_asked_for_ever_more_seldom() -> None:
    world = World("AUSDT")
    for number in range(1, 11):
        world.sink.rows["AUSDT", minute(number)] = make_candle("AUSDT", minute(number))
    del world.sink.rows["AUSDT", minute(5)]
    world.universe.adopt([], EPOCH_MS)  # delisted now: nothing new becomes due, what is owed stays owed
    world.history.without = {("AUSDT", minute(5))}
    asked = []
    for _ in range(3 * 60):
        world.repair.trigger("interval")
        await world.repair.repair()
        asked += [round((world.clock.now() - EPOCH) / 60)] * len(world.asked())
        world.clock.advance(60)
    assert asked == [0, 1, 3, 7, 15, 31, 63, 123]
    assert world.count("missing_candles") == 1
    world.history.without.clear()
    world.clock.advance(3600)
    await world.repair.repair()
    await world.store()
    assert ("AUSDT", minute(5)) in world.sink.rows


async def test_a_minute_the_roll_call_gave_up_is_asked_for_once_it_is_final_without_a_scan() -> None:
    world = World("AUSDT")
    await world.repair.repair()
    await world.store()
    world.asked()
    world.clock.advance(40)
    world.repair.want("AUSDT", minute(1))
    world.repair.want("AUSDT", minute(1))
    await world.repair.repair()
    assert world.asked() == []
    world.clock.advance(22)
    await world.repair.repair()
    assert world.history.asked == [("AUSDT", minute(1), EPOCH_MS, Priority.REPAIR)]
    assert len(world.finder.asked) == 1
    assert world.count("gap_candles_found_total", reason="roll_call") == 1


async def test_a_second_look_finds_what_was_too_young_for_the_first_and_then_every_ten_minutes() -> None:
    world = World("AUSDT")
    scans = []
    for second in range(0, 800, 10):
        before = len(world.finder.asked)
        await world.repair.repair()
        await world.store()
        scans += [second] * (len(world.finder.asked) - before)
        world.clock.advance(10)
    assert scans == [0, 70, 670]
    assert ("AUSDT", minute(1)) in world.sink.rows


async def test_unanswered_questions_are_asked_again_soon() -> None:
    world = World("AUSDT", "BUSDT")
    world.history.errors = [AWAY, BadData("HTML", reason="html")]
    await world.repair.repair()
    assert len(world.buffer) == 0
    world.asked()
    world.clock.advance(20)
    await world.repair.repair()
    assert world.asked() == []
    world.clock.advance(11)
    await world.repair.repair()
    assert [symbol for symbol, _, _ in world.asked()] == ["AUSDT", "BUSDT"]


async def refused_until(seconds: float) -> World:
    """Two symbols, of which REST refused to say anything just now: minute 1 of one, which the roll call missed."""
    world = World("AUSDT", "BUSDT")
    await world.repair.repair()
    await world.store()
    world.clock.advance(62)
    world.repair.want("AUSDT", minute(1))
    world.history.errors = [RateLimited("banned", reason="banned", retry_after=seconds)]
    world.asked()
    await world.repair.repair()
    assert world.asked() == [("AUSDT", minute(1), 1)]
    return world


async def test_what_rest_refused_is_not_asked_again_before_the_time_it_told() -> None:
    world = await refused_until(300)
    asked = []
    for second in range(0, 310, 10):
        if second == 50:
            world.repair.trigger("database")  # a scan finds the minute too
        await world.repair.repair()
        await world.store()
        asked += [second for symbol, _, _ in world.asked() if symbol == "AUSDT"]
        world.clock.advance(10)
    assert len(world.finder.asked) > 1
    assert asked == [300]
    assert ("AUSDT", minute(1)) in world.sink.rows


async def test_being_refused_is_not_being_absent() -> None:
    world = await refused_until(0)
    world.history.without = {("AUSDT", minute(1))}
    asked = []
    for second in range(0, 160, 5):
        await world.repair.repair()
        asked += [second for symbol, start, _ in world.asked() if (symbol, start) == ("AUSDT", minute(1))]
        world.clock.advance(5)
    assert asked == [30, 90]


async def test_the_repair_sleeps_while_rest_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    world = await refused_until(300)
    waits: list[float] = []

    def wall(seconds: float, *, at_least: float = 0.0) -> float:
        waits.append(seconds)
        return max(seconds, at_least)

    monkeypatch.setattr(world.clock, "wall", wall)
    running = asyncio.create_task(world.repair.run(), name="repair")
    await eventually(lambda: waits)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert waits == [8.0]  # till the second look


async def test_an_unknown_symbol_does_not_stop_the_others() -> None:
    world = World("AUSDT", "GONEUSDT")
    world.history.unknown = {"GONEUSDT"}
    await world.repair.repair()
    assert {row.candle.symbol for row in world.buffer.take(99)} == {"AUSDT"}


async def test_a_refused_symbol_does_not_stop_the_others_and_is_asked_for_ever_more_seldom() -> None:
    world = World("AUSDT", "HALTEDUSDT", "ZUSDT")
    world.history.refused = {"HALTEDUSDT"}
    await world.repair.repair()
    assert {row.candle.symbol for row in world.buffer.take(99)} == {"AUSDT", "ZUSDT"}
    world.universe.adopt([], EPOCH_MS)  # delisted now: nothing new becomes due
    world.asked()
    asked = []
    for minutes in range(1, 8):
        world.clock.advance(60)
        await world.repair.repair()
        asked += [
            minutes for symbol, start, _ in world.asked() if (symbol, start) == ("HALTEDUSDT", minute(10))
        ]
    assert asked == [1, 3, 7]


async def test_a_setting_no_question_mends_ends_the_pass() -> None:
    world = World("AUSDT")
    world.history.errors = [ConfigError("BINANCE_REST_URL: no")]
    with pytest.raises(ExceptionGroup) as raised:
        await world.repair.repair()
    assert raised.group_contains(ConfigError)


async def test_rows_wait_for_room_and_live_rows_are_never_pushed_out() -> None:
    """However many answers wait: who is told of room may find that another one was faster."""
    world = World("AUSDT", "BUSDT", "CUSDT", "DUSDT", since_ms=EPOCH_MS - DAY_MS)
    world.buffer.capacity = 1000
    repairing = asyncio.create_task(world.repair.repair(), name="repair")
    peak = 0
    while not repairing.done():
        for _ in range(40):  # until all of them wait
            await asyncio.sleep(0)
            peak = max(peak, len(world.buffer))
        if world.buffer.waiting:
            await world.store()
    await repairing
    await world.store()
    assert len(world.sink.rows) == 4 * 1439
    assert peak <= 200
    assert world.count("rows_dropped_total", reason="full") == 0


async def test_a_database_that_is_away_is_waited_for_and_the_reason_is_kept() -> None:
    world = World("AUSDT")
    world.finder.errors = [AWAY]
    with pytest.raises(Unavailable):
        await world.repair.repair()
    await world.repair.repair()
    assert world.count("gap_candles_found_total", reason="start") == 9


async def test_a_trigger_during_a_scan_causes_another() -> None:
    world = World("AUSDT")
    scanning = asyncio.create_task(world.repair.repair(), name="repair")
    await eventually(lambda: world.finder.asked)
    world.repair.trigger("database")
    await scanning
    await world.store()
    await world.repair.repair()
    assert len(world.finder.asked) == 2


async def test_runs_at_start_on_triggers_and_through_errors_until_cancelled() -> None:
    world = World("AUSDT")
    world.finder.errors = [AWAY, Misconfigured("no such table", reason="42P01")]
    running = asyncio.create_task(world.repair.run(), name="repair")
    await eventually(lambda: len(world.buffer) == 9)
    await world.store()
    scans = len(world.finder.asked)
    world.repair.trigger("suspended")
    await eventually(lambda: len(world.finder.asked) > scans)
    world.universe.adopt([*world.history.listed, make_instrument("NEWUSDT", onboard_ms=minute(5))], EPOCH_MS)
    await eventually(lambda: ("NEWUSDT", minute(5)) in world.buffer)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_delisted_symbol_owes_nothing_after_its_delivery() -> None:
    world = World("AUSDT")
    listed = world.history.listed[0]
    world.universe.adopt([replace(listed, delivery_ms=minute(5))], EPOCH_MS)
    await world.repair.repair()
    assert world.asked() == [("AUSDT", minute(10), 5)]


def test_absences_are_bounded_and_what_is_not_remembered_may_be_asked_any_time() -> None:
    absences = Absences(limit=2)
    for number in range(4):
        absences.absent(("AUSDT", number * MINUTE_MS), 0.0)
    assert not absences.want(("AUSDT", 9 * MINUTE_MS), 0.0)
    assert len(absences) == 2
    assert (absences.due(59.0), len(absences.due(60.0)), absences.next_due()) == ([], 2, 60.0)
    absences.forget(MINUTE_MS)
    absences.settle(("AUSDT", MINUTE_MS))
    assert (len(absences), absences.next_due()) == (0, None)
