"""C7, C8, C9: the limiter at the edge of its budget while dates step, requests end and the venue lowers its limit."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import LiteralString

import pytest

from tests.faults.database import ask
from tests.faults.test_process import kill
from tests.faults.weights import by_minute, next_minute, nobody_was_refused, until_second, waiting, weights
from tests.support.eventually import eventually
from tests.support.faketime import Faketime
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_OPTIONS = VenueOptions(symbols=120, history=99)
_UNREADABLE = {"mode": "truncated", "path": "klines"}
"""What REST answers costs its weight and brings nothing, so the search for holes asks for 120 symbols again and again,
16 at once: its work cannot run out. The venue's minute begins some milliseconds before or after ours, so that many may
count for the minute before the one that they waited for: less than what is left between its limit and ours."""
_LEASED: LiteralString = (
    "SELECT coalesce(sum(weight), 0)::integer FROM market_data.rate_limit_state,"
    " unnest(slots, leased) AS one (slot, weight) WHERE budget = 'fapi' AND slot = %s"
)
_ADOPTED_S = 300.0 + 5.0 * VenueOptions().speed
"""Venue seconds: the promise is five minutes, and five seconds of the wall are the machine's."""
_SEARCHING = 16
"""Requests of the search for holes that may be under way at once."""
_BUSY = 0.6
"""What is spent of a budget in a minute at least, if somebody waits: the search for holes may take 85 %."""
_TRIES = 5


@pytest.mark.skipif(not Faketime.LIBRARY.exists(), reason=Faketime.LACKING)
async def test_c7_the_computers_date_steps_at_the_edge_of_the_budget(tmp_path: Path, database: str) -> None:
    """With the date as its clock a limiter stands still after the one step, and takes a second budget after the other.

    Both come while the budget is used up, and the roll call asks for more soon after; nobody can set the clock right.
    """
    date = Faketime(tmp_path)
    limit, share = 160, 120
    # A minute lasts 6 s: what is looked for in it is to be seen in time by a slow machine, too.
    options = replace(_OPTIONS, speed=10.0)
    async with open_world(tmp_path, database, options=options, settings=date.settings) as world:
        await world.venue.control("weight_limit", limit=limit)
        await world.venue.control("rest", **_UNREADABLE)
        await world.begin()
        await world.venue.control("rest", status=503, path="/fapi/v1/time")
        await world.venue.control("drop_close", share=0.1)
        first = await next_minute(world)
        for step in ("-300", "+3600"):
            # A minute that a busy machine slept through proves nothing; a limiter that stands still does so every time.
            await eventually(partial(_goes_on_after, world, date, step, share * _BUSY), timeout=120)
        spent = await weights(world, first)
        assert max(spent) <= share + _SEARCHING, f"a second budget: {spent}"
        await nobody_was_refused(world)
        await world.venue.clear()
        await world.finish()


async def test_c8_killed_with_permits_and_leases(tmp_path: Path, database: str) -> None:
    """Requests that hold all weight of two minutes hang, more wait; given up by their round, then kill -9 ends them.

    The venue never counted what hung, so nothing but the lease of the dead one tells its successor that it is spent.
    """
    options = VenueOptions(symbols=66, history=0, speed=4.0)
    settings = {"RATE_LIMIT_PER_MINUTE": "60"}
    async with open_world(tmp_path, database, options=options, settings=settings) as world:
        await world.venue.control("weight_limit", limit=160)
        await world.begin()
        for _ in range(_TRIES):
            minute, leased, spent = await _killed_with_everything(world)
            await world.venue.clear()
            world.daemon.start()
            await eventually(lambda: waiting(world), timeout=60, message="the next one waits")
            if await world.venue.now_ms() // 60_000 == minute:
                break
            await world.daemon.wait_ready()  # too late to spend anything twice
        else:
            pytest.fail(f"none of {_TRIES} successors came within the minute")
        await until_second(world, 1)
        again = (await by_minute(world))[minute] - spent
        # A few requests for the time come before it knows which minute this is: the computer's date is another one.
        assert again <= 60 - leased + 5, f"{again} of {leased} were spent twice"
        await world.daemon.wait_ready()
        await world.finish(minimum_rows=5 * len(world.venue.symbols))
        assert max((await by_minute(world)).values()) <= 60 + _SEARCHING + 5
        await nobody_was_refused(world)


async def _killed_with_everything(world: World) -> tuple[int, int, int]:
    """Kill the daemon while requests that hang hold the budget: the minute, the weight leased in it and counted."""
    await world.venue.control("drop_close")
    await world.venue.control("rest", mode="hang", path="klines")
    await eventually(lambda: waiting(world), timeout=60, message="requests wait for weight")
    await eventually(lambda: _gave_up(world), timeout=60, message="a round ends")
    await until_second(world, 6)
    minute = await eventually(lambda: _minute_used_up(world, 58), message="all weight is held")
    await kill(world)
    [(leased,)] = await ask(world.database_url, _LEASED, minute)
    assert int(str(leased)) >= 58
    return minute, int(str(leased)), (await by_minute(world)).get(minute, 0)


async def test_c9_the_venue_lowers_its_limit(tmp_path: Path, database: str) -> None:
    """exchangeInfo tells it ahead; by the time it is kept we take three quarters of the new one."""
    async with open_world(tmp_path, database, options=_OPTIONS) as world:
        await world.venue.control("weight_limit", limit=160)
        await world.venue.control("rest", **_UNREADABLE)
        await world.begin()
        await eventually(
            partial(_spends, world, await next_minute(world), 81), message="more is spent than it may later"
        )
        told_s = await world.venue.now_ms() / 1000
        await world.venue.control("weight_limit", limit=80, in_seconds=_ADOPTED_S)
        await eventually(lambda: _allows(world, 60), timeout=60)
        assert await world.venue.now_ms() / 1000 - told_s <= _ADOPTED_S
        await world.venue.minutes((told_s + _ADOPTED_S - await world.venue.now_ms() / 1000) / 60)
        first = await next_minute(world)
        await world.venue.minutes(3)
        await eventually(partial(_spends, world, first, 60 * _BUSY), message="it goes on")
        spent = await weights(world, first)
        assert max(spent) <= 60 + _SEARCHING, spent
        await nobody_was_refused(world)
        assert await _allows(world, 60)
        await world.venue.clear()
        await world.finish()


async def _goes_on_after(world: World, date: Faketime, step: str, least: float) -> bool:
    """Let the date step while the budget is used up; so much must be spent of the next whole minute."""
    for at in ("+0", step):
        # The roll call's second round is yet to come.
        await eventually(lambda: _minute_used_up(world, least, before=25), message="the budget is used up")
        date.step(at)
        await eventually(partial(_is_ahead, world, date, float(at)), message="the date steps")
    await until_second(world, 0)
    after = await world.venue.now_ms() // 60_000
    await until_second(world, 0)
    return (await by_minute(world)).get(after, 0) >= least


async def _minute_used_up(world: World, least: float, *, before: float = 60) -> int:
    """The minute, if so much of its budget is used before that second and somebody waits for more; else 0."""
    minute = await world.venue.now_ms() // 60_000
    seen = await world.daemon.metrics()
    waits = seen.total("rate_limit_waiting_requests", budget="fapi") > 0
    is_it = waits and seen.total("rate_limit_used", budget="fapi") >= least
    return minute if is_it and await world.venue.now_ms() < minute * 60_000 + before * 1000 else 0


async def _spends(world: World, first: int, least: float) -> bool:
    """Whether in some whole minute from ``first`` on so much was spent."""
    spent = await weights(world, first)
    assert max(spent, default=0) >= least, spent
    return True


def _is_ahead(world: World, date: Faketime, seconds: float) -> bool:
    return abs(date.ahead(world.daemon) - seconds) < 60


async def _gave_up(world: World) -> bool:
    """Whether those who waited are gone, though nobody was served."""
    return not await waiting(world)


async def _allows(world: World, weight: int) -> bool:
    return (await world.daemon.metrics()).total("rate_limit_allowed", budget="fapi") == weight
