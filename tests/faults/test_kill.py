"""F1: kill -9 at 50 random instants, each followed by a start that reads back what was lost."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from tests.support.world import World

pytestmark = pytest.mark.fault

_KILLS = 10
_READ_BACK_S = 60.0
"""Wall seconds from a start until nothing is missing (facts/faults.md F1)."""


@pytest.mark.parametrize("seed", range(5))
async def test_f1_killed_at_any_instant(world: World, seed: int) -> None:
    """Five runs of ten kills: up to three seconds after the start, so also before, in and after the reading back."""
    dice = random.Random(seed)
    await world.begin()
    for _ in range(_KILLS):
        await asyncio.sleep(dice.uniform(0, 3))
        assert await _kill(world) == -signal.SIGKILL
        world.daemon.start()
        if dice.random() < 0.5:
            await world.daemon.wait_ready()
    await world.daemon.wait_ready()
    assert (await world.daemon.metrics()).total("clean_start") == 0
    assert len(world.daemon.children) == _KILLS + 1
    world.before = None
    await world.finish(within=_READ_BACK_S)


async def test_f1_nothing_is_lost_that_counted_as_committed(world: World) -> None:
    """What a scrape called committed just before the kill is in the database, and the next start is not clean."""
    await world.begin()
    await world.live_rows(6)
    committed = (await world.daemon.metrics()).total("rows_committed_total", result="inserted")
    assert committed >= 1000
    assert await _kill(world) == -signal.SIGKILL
    assert len(await world.oracle.stored()) >= committed
    world.daemon.start()
    await world.daemon.wait_ready()
    assert (await world.daemon.metrics()).total("clean_start") == 0
    await world.daemon.stop()
    world.daemon.start()
    await world.daemon.wait_ready()
    assert (await world.daemon.metrics()).total("clean_start") == 1
    world.before = None
    await world.finish(within=_READ_BACK_S)


async def _kill(world: World) -> int:
    world.daemon.child.signal(signal.SIGKILL)
    return await world.daemon.child.wait(within=10)
