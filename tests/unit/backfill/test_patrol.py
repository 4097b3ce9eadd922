"""The patrol: the whole reach is kept complete, and nothing is asked more often than it makes sense."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from src.collectors.backfill.absent import AbsentWork
from src.collectors.backfill.announce import Announcement
from src.collectors.backfill.patrol import Patrol, wait_minutes
from src.collectors.backfill.scope import Scope
from src.collectors.listings.selection import Selection
from src.errors import Permanent, Unavailable
from src.model import DAY_MS, MINUTE_MS, Gap, Listing
from src.ports import Priority
from src.telemetry.pulse import Pulse
from tests.support.eventually import eventually
from tests.support.fakes import count
from tests.support.history_world import start_of
from tests.unit.backfill.world import NOW_MS, TODAY, Parts, make_parts

FIRST = date(2026, 3, 10)
OLD = date(2026, 3, 12)
LIVE = Listing("BTCUSDT", start_of(date(2026, 3, 5)), 10**14)
RECENT_MS = 1497 * MINUTE_MS


def _patrol(
    parts: Parts, *, recent_ms: int = RECENT_MS, interval: float = 600.0, announced: bool = False
) -> Patrol:
    world = parts.world
    return Patrol(
        parts.campaign,
        world,
        world,
        AbsentWork(world, world, parts.engine),
        Selection(),
        world.clock,
        parts.metrics,
        since=lambda _: start_of(FIRST),
        recent_ms=recent_ms,
        interval=interval,
        announcement=Announcement(parts.campaign, weight_per_minute=1200, workers=2) if announced else None,
    )


async def test_a_pass_fills_its_reach_and_nothing_beyond(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    assert not await _patrol(parts).look()
    stored = sorted(ms for _, ms in parts.world.stored)
    assert stored == list(range(start_of(FIRST), NOW_MS - RECENT_MS, MINUTE_MS))
    assert {request[3] for request in parts.world.requests} == {Priority.REPAIR}
    assert parts.world.priorities == {Priority.REPAIR}
    assert parts.world.audits == 1


async def test_the_first_pass_says_what_it_will_cost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    parts = make_parts(tmp_path, [LIVE])
    patrol = _patrol(parts, announced=True)
    with caplog.at_level("INFO"):
        await patrol.look()
        await patrol.look()
    said = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    [plan] = [line for line in said if line["event"] == "filling_planned"]
    assert plan["rows"] == len(parts.world.stored)
    assert plan["files"] == len(parts.world.fetched)
    assert plan["requests"] == len(parts.world.requests)
    assert plan["weight"] > 0
    assert plan["stored_bytes"] > plan["download_bytes"] > 0


async def test_a_plan_that_takes_longer_than_a_pass_does_not_cost_the_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts(tmp_path, [LIVE])
    patrol = _patrol(parts, announced=True)
    tell = Announcement.tell

    async def slowly(self: Announcement, scope: Scope) -> None:
        await tell(self, scope)
        parts.world.clock.set(parts.world.clock.now() + 700)

    monkeypatch.setattr(Announcement, "tell", slowly)
    assert not await patrol.look()
    assert parts.world.stored


async def test_a_complete_history_costs_no_request(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    patrol = _patrol(parts)
    await patrol.look()
    fetched, asked = len(parts.world.fetched), len(parts.world.requests)
    await patrol.look()
    assert (len(parts.world.fetched), len(parts.world.requests)) == (fetched, asked)


async def test_days_that_cannot_be_completed_are_looked_at_ever_more_seldom(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    key = ("BTCUSDT", start_of(OLD) + 5 * MINUTE_MS)
    parts.world.rest_lacks.add(key)
    parts.world.unpublished.add(f"data/futures/um/daily/klines/BTCUSDT/1m/BTCUSDT-1m-{OLD}.zip")
    patrol = _patrol(parts)
    asked = []
    for _ in range(130):
        parts.world.requests.clear()
        await patrol.look()
        if any(from_ms <= key[1] < to_ms for _, from_ms, to_ms, _ in parts.world.requests):
            asked.append(parts.world.clock.now_ms())
        parts.world.clock.advance(60)
    waits = [(after - before) // MINUTE_MS for before, after in pairwise(asked)]
    assert waits == [1, 2, 4, 8, 16, 32, 60]
    assert count(parts.metrics, "history_incomplete") == 1
    assert parts.world.attempts["BTCUSDT", OLD] == len(asked)


def test_the_wait_doubles_up_to_an_hour() -> None:
    assert [wait_minutes(attempts) for attempts in (0, 1, 2, 5, 6, 7, 10**6)] == [1, 2, 4, 32, 60, 60, 60]


async def test_absent_rows_are_asked_again_when_due(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    patrol = _patrol(parts)
    came, still = (start_of(OLD) + n * MINUTE_MS for n in (5, 6))
    parts.world.file_lacks |= {("BTCUSDT", came), ("BTCUSDT", still)}
    parts.world.rest_lacks |= {("BTCUSDT", came), ("BTCUSDT", still)}
    await patrol.look()
    assert len(parts.world.absent) == 2
    parts.world.rest_lacks.discard(("BTCUSDT", came))
    parts.world.requests.clear()
    parts.world.due = [Gap("BTCUSDT", came, still + MINUTE_MS, "absent")]
    await patrol.look()
    assert [request[1:3] for request in parts.world.requests] == [(came, still + MINUTE_MS)]
    assert ("BTCUSDT", came) in parts.world.stored


async def test_absent_rows_that_rest_refuses_do_not_keep_others_from_being_asked(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    work = AbsentWork(parts.world, parts.world, parts.engine)
    parts.world.due = [Gap("BTCUSDT", start_of(OLD), start_of(OLD) + MINUTE_MS, "absent")]
    parts.world.errors = {"candles": [Unavailable("away")]}
    assert await work.run(NOW_MS) == 1
    assert parts.world.due, "nobody answered"
    parts.world.errors = {"candles": [Permanent("400", reason="refused")]}
    assert await work.run(NOW_MS) == 1
    assert parts.world.due == []


async def test_absent_rows_that_retention_does_not_keep_are_not_asked_again(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    work = AbsentWork(parts.world, parts.world, parts.engine, floor=lambda _: start_of(OLD) + DAY_MS)
    parts.world.due = [Gap("BTCUSDT", start_of(OLD), start_of(OLD) + MINUTE_MS, "absent")]
    assert await work.run(NOW_MS) == 0
    assert parts.world.requests == []


async def test_a_pass_gives_way_to_whoever_wants_to_fill(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    patrol = _patrol(parts)
    looking = asyncio.create_task(patrol.look(), name="look")
    await eventually(lambda: len(parts.world.fetched) >= 2)
    async with parts.campaign.turn():
        assert looking.done() or len(parts.world.imported) < 8
    assert await looking
    while await patrol.look():
        pass
    assert len(parts.world.stored) == (NOW_MS - RECENT_MS - start_of(FIRST)) // MINUTE_MS


async def test_a_pass_ends_when_its_time_is_over(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    patrol = _patrol(parts, interval=0.0)
    assert not await patrol.look()
    assert not parts.world.stored


async def test_the_loop_outlives_a_database_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = make_parts(tmp_path, [LIVE])
    parts.world.errors = {"listings": [Unavailable("away")], "open_days": [Unavailable("away")]}
    monkeypatch.setattr("src.collectors.backfill.patrol.Backoff.next", lambda self: 0.001)
    patrol = _patrol(parts)
    running = asyncio.create_task(patrol.run(), name="patrol")
    await eventually(lambda: parts.world.audits)
    del parts.world.stored["BTCUSDT", start_of(OLD)]
    patrol.trigger()
    await eventually(lambda: ("BTCUSDT", start_of(OLD)) in parts.world.stored)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_nothing_is_filled_before_the_venues_time_is_known(tmp_path: Path) -> None:
    parts = make_parts(tmp_path, [LIVE])
    ready = asyncio.Event()
    world = parts.world
    patrol = Patrol(
        parts.campaign, world, world, AbsentWork(world, world, parts.engine), Selection(), world.clock,
        parts.metrics, since=lambda _: start_of(TODAY - timedelta(days=3)), recent_ms=DAY_MS, ready=ready,
    )  # fmt: skip
    running = asyncio.create_task(patrol.run(), name="patrol")
    await asyncio.sleep(0.01)
    assert not world.followed
    ready.set()
    await eventually(lambda: world.followed)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_patrol_that_waits_a_day_for_its_next_pass_is_not_stuck(tmp_path: Path) -> None:
    parts, pulse = make_parts(tmp_path, [LIVE]), Pulse("patrol")
    patrol = _patrol(parts, interval=86_400.0)

    async def run() -> None:
        with pulse.watched():
            await patrol._wait(86_400.0)

    waiting = asyncio.create_task(run(), name="patrol")
    await eventually(lambda: pulse.runs)
    assert [pulse.still_for(now) for now in (1.0, 3_600.0, 7_200.0)] == [0, 0, 0]
    patrol.trigger()
    await waiting
