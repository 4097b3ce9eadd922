"""C7, C8, C9: the limiter at the edge of its budget while dates step, requests end and the venue lowers its limit."""

from __future__ import annotations

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

_LOST = 0.25
"""Of the closes, each of which REST is asked for at once; the rest of the budget goes into the search for holes, which
has a day of minutes to read and always somebody who waits."""
_SLACK = 1.1
"""The venue's minute begins some milliseconds before or after ours, times the speed."""
_LEASED: LiteralString = (
    "SELECT coalesce(sum(weight), 0)::integer FROM market_data.rate_limit_state,"
    " unnest(slots, leased) AS one (slot, weight) WHERE budget = 'fapi' AND slot = %s"
)
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
        first = await next_minute(world)
        for step, second in (("-300", 40), ("+3600", 3)):
            await until_second(world, second)
            assert await waiting(world), "nobody waits for weight"
            date.step(step)
            await world.venue.minutes(1)
            await eventually(partial(_is_ahead, world, date, float(step)), message="the date steps")
        await world.venue.minutes(1)
        spent = await weights(world, first)
        assert max(spent) <= 45 * _SLACK, f"a second budget: {spent}"
        assert min(spent) >= 45 * _BUSY, f"it stood still: {spent}"
        await nobody_was_refused(world)
        await world.venue.clear()
        await world.finish()


async def test_c8_killed_with_permits_and_leases(tmp_path: Path, database: str) -> None:
    """Requests that hold all weight of two minutes hang, more wait; given up by their round, then kill -9 ends them.

    The venue never counted what hung, so nothing but the lease of the dead one tells its successor that it is spent.
    """
    options = VenueOptions(symbols=66, history=0, speed=6.0)
    settings = {"RATE_LIMIT_PER_MINUTE": "60"}
    async with open_world(tmp_path, database, options=options, settings=settings) as world:
        await world.venue.control("weight_limit", limit=80)
        await world.begin()
        await world.venue.control("drop_close")
        await world.venue.control("rest", mode="hang", path="klines")
        await eventually(lambda: waiting(world), timeout=60, message="requests wait for weight")
        await eventually(lambda: _gave_up(world), timeout=60, message="a round ends")
        await until_second(world, 6)
        await world.daemon.wait_metric("rate_limit_used", 58, within=5, budget="fapi")
        assert await waiting(world)
        minute = await world.venue.now_ms() // 60_000
        await kill(world)
        [(leased,)] = await ask(database, _LEASED, minute)
        spent = (await by_minute(world)).get(minute, 0)
        await world.venue.clear()
        world.daemon.start()
        await eventually(lambda: waiting(world), timeout=60, message="the next one waits")
        assert await world.venue.now_ms() // 60_000 == minute, "it came too late to spend anything twice"
        assert int(str(leased)) >= 58
        await until_second(world, 1)
        again = (await by_minute(world))[minute] - spent
        # A few requests for the time come before it knows which minute this is: the computer's date is another one.
        assert again <= 60 - int(str(leased)) + 5, f"{again} of {leased} were spent twice"
        await world.daemon.wait_ready()
        await world.finish(minimum_rows=5 * len(world.venue.symbols))
        assert max((await by_minute(world)).values()) <= 60 * _SLACK
        await nobody_was_refused(world)


async def test_c9_the_venue_lowers_its_limit(tmp_path: Path, database: str) -> None:
    """exchangeInfo tells it five minutes ahead; by the time it is kept we take three quarters of the new one."""
    options = VenueOptions(symbols=48, history=1400)
    async with open_world(tmp_path, database, options=options) as world:
        await world.venue.control("weight_limit", limit=80)
        await world.begin()
        await world.venue.control("drop_close", share=_LOST)
        first = await next_minute(world)
        told_s = await world.venue.now_ms() / 1000
        await world.venue.control("weight_limit", limit=40, in_seconds=330)
        await eventually(lambda: _allows(world, 30), timeout=60)
        adopted_s = await world.venue.now_ms() / 1000 - told_s
        assert adopted_s <= 320
        spent = await weights(world, first)
        assert max(spent) > 40, "it never spent more than it may now"
        await world.venue.minutes((told_s + 330 - await world.venue.now_ms() / 1000) / 60)
        first = await next_minute(world)
        await world.venue.minutes(3)
        spent = await weights(world, first)
        assert max(spent) <= 30 * _SLACK, spent
        assert min(spent) >= 30 * _BUSY, spent
        await nobody_was_refused(world)
        await world.venue.clear()
        await world.finish()


def _is_ahead(world: World, date: Faketime, seconds: float) -> bool:
    return abs(date.ahead(world.daemon) - seconds) < 60


async def _gave_up(world: World) -> bool:
    """Whether those who waited are gone, though nobody was served."""
    return not await waiting(world)


async def _allows(world: World, weight: int) -> bool:
    return (await world.daemon.metrics()).total("rate_limit_allowed", budget="fapi") == weight
