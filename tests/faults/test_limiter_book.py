"""C14: the table of the shared budgets holds nonsense, may not be read, or is gone."""

from __future__ import annotations

from pathlib import Path
from typing import LiteralString

import pytest

from tests.faults.database import drifted, session
from tests.faults.weights import by_minute, next_minute, nobody_was_refused, until_second, weights
from tests.support.eventually import eventually
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_LIMIT, _TENTH = 300, 30
_SETTINGS = {"RATE_LIMIT_PER_MINUTE": str(_LIMIT)}
_AT_ONCE = 64
"""Requests that may be under way as a minute begins, which is some milliseconds before or after ours at the venue."""
_NONSENSE: LiteralString = (
    "UPDATE market_data.rate_limit_state SET slots = '{7,7}', leased = '{-1,NULL}', strangers = '{0}'"
)
_LEASES: LiteralString = (
    "SELECT slots, leased FROM market_data.rate_limit_state WHERE budget = 'fapi' FOR UPDATE"
)
_GONE: tuple[LiteralString, LiteralString] = (
    "ALTER TABLE market_data.rate_limit_state RENAME TO gone",
    "ALTER TABLE market_data.gone RENAME TO rate_limit_state",
)
_CLOSED: tuple[LiteralString, LiteralString] = (
    "REVOKE ALL ON market_data.rate_limit_state FROM CURRENT_USER",
    "GRANT ALL ON market_data.rate_limit_state TO CURRENT_USER",
)
"""The tables belong to the daemon's role here, which may shut itself out."""


async def test_c14_the_book_fails_while_it_runs(world: World) -> None:
    """All closes need REST: a tenth of the budget is spent, which is said once, and all of it after that."""
    world.daemon_with(**_SETTINGS)
    await world.begin()
    await world.venue.control("drop_close")
    await world.venue.minutes(1)
    leased = dict([await _spoil(world) for _ in range(2)])
    await world.daemon.wait_metric("rate_limit_leases_total", 2, budget="fapi", result="corrupt")
    after = max(leased) + 1
    await eventually(
        lambda: _spends(world, after, 2 * _TENTH + 1), timeout=60, message="it goes on in later minutes"
    )
    assert _told(world, "rate_limit_state_corrupt", '"budget":"fapi"') == 1
    spent = await by_minute(world)
    for minute, before in leased.items():
        assert spent.get(minute, 0) <= before + _TENTH + _AT_ONCE, (leased, spent)
    for times, (damage, mend) in enumerate((_CLOSED, _GONE), start=1):
        async with drifted(world, damage, mend):
            await eventually(lambda: _shared(world, 0), timeout=60, message="the book is lost")
            first = await next_minute(world)
            await world.venue.minutes(2)
            await _spends_a_tenth(world, first)
        await eventually(lambda: _shared(world, 1), timeout=60, message="the book is found")
        assert _told(world, "rate_limits_alone") == _told(world, "rate_limits_shared") == times
    await world.venue.clear()
    await nobody_was_refused(world)
    await world.finish()


async def test_c14_a_start_without_the_book(tmp_path: Path, database: str) -> None:
    """Nothing is asked while a ban might stand in it (15 s here for 60), then a tenth; all of it once it is there."""
    settings = {**_SETTINGS, "FAULT_START_PATIENCE_S": "15"}
    async with open_world(tmp_path, database, settings=settings, module="tests.support.variant") as world:
        async with drifted(world, *_GONE):
            world.daemon.start()
            await world.daemon.wait_metric("rate_limit_leases_total", 2, budget="fapi", result="failed")
            assert await by_minute(world) == {}
            await world.daemon.wait_ready()
            await until_second(world, 1)
            first = await next_minute(world)
            await world.venue.minutes(3)
            await _spends_a_tenth(world, first)
            assert _told(world, "rate_limits_alone") == 1
        await eventually(lambda: _shared(world, 1), timeout=60, message="the book is found")
        await nobody_was_refused(world)
        await world.finish()


async def _spoil(world: World) -> tuple[int, int]:
    """Make the book nonsense as the venue's next minute begins: the minute, and what was leased for it by then."""
    async with session(world.database_url) as owner:
        await until_second(world, 1)
        async with owner.transaction():
            [(slots, leased)] = await (await owner.execute(_LEASES)).fetchall()
            minute = await world.venue.now_ms() // 60_000
            await owner.execute(_NONSENSE)
    return minute, int(dict(zip(slots, leased, strict=True)).get(minute, 0))


async def _spends_a_tenth(world: World, first: int) -> None:
    """Something in a minute from ``first`` on, and a tenth in each: of ours, of which one more has a part in them."""
    await eventually(lambda: _spends(world, first, 1), timeout=60, message="somebody asks")
    spent = await weights(world, first)
    assert sum(spent) <= _TENTH * (len(spent) + 1), spent
    assert max(spent) <= 2 * _TENTH, spent


async def _spends(world: World, first: int, least: int) -> bool:
    """Whether in some whole minute from ``first`` on so much was spent."""
    return max(await weights(world, first), default=0) >= least


def _told(world: World, *words: str) -> int:
    """Lines of the daemon's log that have all of these words."""
    return sum(all(word in line for word in words) for line in world.daemon.child.text().splitlines())


async def _shared(world: World, wanted: float) -> bool:
    return (await world.daemon.metrics()).total("rate_limit_shared", budget="fapi") == wanted
