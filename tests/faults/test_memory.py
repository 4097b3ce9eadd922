"""F6: another process takes the memory of the daemon's control group. Work is shed in order, and comes back."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.faults.filling import day_before, finish, open_past
from tests.faults.test_limits import grouped
from tests.support.cgroups import Group
from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = [pytest.mark.fault, pytest.mark.root]

_LIMIT_MB = 4096
_BALLAST = """
import sys
sys.stdin.readline()
taken = bytearray(int(sys.argv[1]) << 20)
for page in range(0, len(taken), 4096):
    taken[page] = 1
print("taken", flush=True)
sys.stdin.read()
"""


async def test_f6_work_is_shed_before_memory_ends(database: str, tmp_path: Path) -> None:
    """Files wait, callers are sent away and the buffer may not grow; live candles come all the same."""
    if os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") < (_LIMIT_MB + 1024) << 20:
        pytest.skip("needs 5 GB of free memory")
    async with open_past(tmp_path, database, arguments=("--ws", "--backfill", "--api")) as world:
        await world.begin()
        # What imports then runs already, and is not in the group.
        await eventually(lambda: _filled(world), timeout=120, message="the history is filled")
        asked = world.another_daemon("backfill", "--force", "--from", str(day_before(world, 3)))
        with grouped(world, "memory") as group:
            group.limit(_LIMIT_MB << 20)
            async with _taken(group, 0.89):
                await _sheds(world, {"history"})
                assert await _status(world) == 200
            async with _taken(group, 0.935):
                await _sheds(world, {"history", "api"})
                assert await _status(world) == 503
            async with _taken(group, 0.98):
                await _sheds(world, {"history", "api", "buffer"})
                assert (await world.daemon.metrics()).total("buffer_capacity_rows") == 10_000
                asked.start()
                await eventually(lambda: _paused(world), timeout=60, message="files wait")
                await world.live_rows(2)
                assert (await world.daemon.get("/healthz"))[0] == 200
            await _sheds(world, set())
            assert await _status(world) == 200
            assert await asked.child.wait(within=120) == 0, asked.child.tail()
            assert group.killed() == 0
        seen = await world.daemon.metrics()
        assert seen.total("buffer_capacity_rows") == 200_000
        assert seen.total("rows_dropped_total") == 0
        await finish(world)


@asynccontextmanager
async def _taken(group: Group, share: float) -> AsyncIterator[None]:
    """So much of the limit is taken by somebody else in the group."""
    ballast = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _BALLAST,
        str(int(share * _LIMIT_MB)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert ballast.stdin is not None
    assert ballast.stdout is not None
    try:
        group.join(ballast.pid)
        ballast.stdin.write(b"go\n")
        assert await ballast.stdout.readline() == b"taken\n"
        yield
    finally:
        ballast.kill()
        await ballast.wait()


async def _filled(world: World) -> bool:
    seen = await world.daemon.metrics()
    return seen.total("backfill_tasks_total", result="ok") > 0 and seen.total("backfill_tasks_left") == 0


async def _sheds(world: World, loads: set[str]) -> None:
    async def condition() -> bool:
        return (await world.daemon.metrics()).labels("memory_shedding", "load").keys() == loads

    await eventually(condition, timeout=60, message=f"it sheds {loads or 'nothing'}")


async def _paused(world: World) -> bool:
    return (await world.daemon.metrics()).labels("backfill_paused", "reason") == {"memory": 1.0}


async def _status(world: World) -> int:
    url = await world.daemon.api_url()
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/v1/symbols?limit=1") as answer:
        return answer.status
