"""C7, C8, C9: the limiter at the edge of its budget while dates step, requests end and the venue lowers its limit."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.faketime import Faketime
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_LOST = 0.25
"""Of the closes, each of which REST is asked for at once; the rest of the budget goes into the search for holes, which
has a day of minutes to read and always somebody who waits."""
_SLACK = 1.1
"""The venue's minute begins some milliseconds before or after ours, times the speed."""
_BUSY = 0.6
"""What is spent of a budget in every minute at least, as long as somebody waits: the search for holes may take 85 %."""


@pytest.mark.skipif(not Faketime.LIBRARY.exists(), reason=Faketime.LACKING)
async def test_c7_the_computers_date_steps_at_the_edge_of_the_budget(tmp_path: Path, database: str) -> None:
    """With the date as its clock a limiter stands still after the one step, and takes a second budget after the other.

    Back where nobody asks before the next minute; ahead where the roll call asks next, of a budget that is used up.
    """
    date = Faketime(tmp_path)
    options = VenueOptions(symbols=40, history=1100)
    async with open_world(tmp_path, database, options=options, settings=date.settings) as world:
        await world.venue.control("weight_limit", limit=60)
        await world.begin()
        await world.venue.control("drop_close", share=_LOST)
        first = await _next_minute(world)
        for step, second in (("-300", 40), ("+3600", 3)):
            await _until_second(world, second)
            assert await _waiting(world), "nobody waits for weight"
            date.step(step)
            await world.venue.minutes(1)
            await eventually(partial(_is_ahead, world, date, float(step)), message="the date steps")
        await world.venue.minutes(1)
        spent = await _spent(world, first)
        assert max(spent) <= 45 * _SLACK, f"a second budget: {spent}"
        assert min(spent) >= 45 * _BUSY, f"it stood still: {spent}"
        await _nobody_was_refused(world)
        await world.venue.clear()
        await world.finish()


async def test_c9_the_venue_lowers_its_limit(tmp_path: Path, database: str) -> None:
    """exchangeInfo tells it five minutes ahead; by the time it is kept we take three quarters of the new one."""
    options = VenueOptions(symbols=48, history=1400)
    async with open_world(tmp_path, database, options=options) as world:
        await world.venue.control("weight_limit", limit=80)
        await world.begin()
        await world.venue.control("drop_close", share=_LOST)
        first = await _next_minute(world)
        told_s = await world.venue.now_ms() / 1000
        await world.venue.control("weight_limit", limit=40, in_seconds=330)
        await eventually(lambda: _allows(world, 30), timeout=30)
        adopted_s = await world.venue.now_ms() / 1000 - told_s
        assert adopted_s <= 320
        spent = await _spent(world, first)
        assert max(spent) > 40, "it never spent more than it may now"
        await world.venue.minutes((told_s + 330 - await world.venue.now_ms() / 1000) / 60)
        first = await _next_minute(world)
        await world.venue.minutes(3)
        spent = await _spent(world, first)
        assert max(spent) <= 30 * _SLACK, spent
        assert min(spent) >= 30 * _BUSY, spent
        await _nobody_was_refused(world)
        await world.venue.clear()
        await world.finish()


def _is_ahead(world: World, date: Faketime, seconds: float) -> bool:
    return abs(date.ahead(world.daemon) - seconds) < 60


async def _until_second(world: World, second: float) -> None:
    """Wait for this second of the venue's next minute."""
    at_ms = await _next_minute(world) * 60_000 + second * 1000
    await world.venue.minutes((at_ms - await world.venue.now_ms()) / 60_000)


async def _next_minute(world: World) -> int:
    """The number of the venue's next minute."""
    return await world.venue.now_ms() // 60_000 + 1


async def _spent(world: World, first: int) -> list[int]:
    """The weight of each whole minute from ``first`` on, as the venue counted it."""
    by_minute = (await world.venue.stats())["weight_by_minute"]
    return [int(by_minute.get(str(minute), 0)) for minute in range(first, await _next_minute(world) - 1)]


async def _nobody_was_refused(world: World) -> None:
    requests = (await world.venue.stats())["requests"]
    assert [name for name in requests if name.endswith((" 429", " 418"))] == []


async def _waiting(world: World) -> bool:
    return (await world.daemon.metrics()).total("rate_limit_waiting_requests", budget="fapi") > 0


async def _allows(world: World, weight: int) -> bool:
    return (await world.daemon.metrics()).total("rate_limit_allowed", budget="fapi") == weight
