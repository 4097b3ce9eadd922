"""E3, E15, E16, E19: the database is lost in the middle of a flush, and what was counted is what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.faults.database import ask, check_books, copying, other_writer, writer, writers
from tests.support.cluster import Cluster
from tests.support.daemon import Samples
from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_DEADLINE_S = 30.0
"""Wall seconds after which the client must give up a call that is not answered."""
_SLOW_S = 15.0


async def test_e3_server_killed(world_on_cluster: World, cluster: Cluster) -> None:
    """kill -9 in the middle of a COPY. What the daemon counted is there after the restart, and not a row more."""
    world = world_on_cluster
    await world.begin()
    async with world.daemon.readiness() as readiness:
        for number in (1, 2):
            await world.live_rows(1)
            await copying(world)
            await world.database.refuse()
            await asyncio.to_thread(cluster.kill)
            await world.daemon.wait_metric("flush_total", number, result="retried")
            await eventually(lambda: not readiness.now, timeout=60)
            await asyncio.to_thread(cluster.start)
            await check_books(world)
            world.database.heal()
            await world.database.listen()
            await eventually(lambda: readiness.now, timeout=30)
        await world.live_rows(2)
        await world.finish(readiness=readiness)


async def _terminate(world: World, pid: int) -> None:
    assert await ask(world.database_url, "SELECT pg_terminate_backend(%s, 30000)", pid) == [(True,)]


async def _cut(world: World, pid: int) -> None:
    """Cut links half-way through what they say until the COPY's was one: others may spend the bytes first."""

    async def copy_is_cut() -> bool:
        if pid not in await writers(world.database_url):
            return world.database.fired["cut"] > 0
        if world.database.up.limit is None:
            world.database.up.limit = 1000
        return False

    await eventually(copy_is_cut, timeout=60, message=f"the COPY of {pid} was cut")


async def _reset(world: World, pid: int) -> None:
    assert world.database.reset_all() >= 1, f"{pid} had no connection"


@pytest.mark.parametrize("end", [_terminate, _cut, _reset], ids=lambda end: end.__name__[1:])
async def test_e15_copy_ends_half_way(world: World, end: Callable[[World, int], Awaitable[None]]) -> None:
    """Nothing of the batch may stay, and all of it must come with the next try."""
    await world.begin()
    async with world.daemon.readiness() as readiness:
        for number in range(1, 4):
            await world.live_rows(1)
            world.database.fired["cut"] = 0
            pid = await copying(world)
            await world.database.refuse()
            await end(world, pid)
            seen = await world.daemon.wait_metric("flush_total", number, result="retried")
            assert seen.total("flush_total", result="retried") == number
            await eventually(lambda: _nobody_writes(world), timeout=60)
            await check_books(world)
            await eventually(lambda: not readiness.now)
            world.database.heal()
            await world.database.listen()
            await eventually(lambda: readiness.now, timeout=30)
        await world.live_rows(1)
        await world.finish(readiness=readiness)


async def test_e16_commit_without_an_answer(world: World) -> None:
    """COMMIT arrives, its answer does not: the rows are written again and are all there once."""
    await world.begin()
    # On a busy machine a close is late, REST is asked for it too, and the row comes twice: not what is counted here.
    await world.venue.control("rest", mode="error", status=503, path="klines")
    await world.live_rows(1)
    seen, stored = await _between_flushes(world)
    more = stored - _written(seen)
    for number in range(1, 6):
        await world.live_rows(0.5)
        before = (await world.daemon.metrics()).total("rows_deduped_total", where="database")
        # The limiter's leases are committed over a link of their own.
        world.database.cut_reply_after(b"COMMIT", of=b"marketd/ws/")
        await world.daemon.wait_metric("flush_total", number, result="retried")
        await world.daemon.wait_metric("rows_deduped_total", before + 1, where="database")
        assert world.database.fired["reply_cut"] == number
    await world.live_rows(1)
    seen, stored = await _between_flushes(world)
    assert seen.total("flush_total", result="retried") == 5
    # Each row is counted once: as inserted, or, when the answer to its COMMIT was lost, as there already.
    assert stored == _written(seen) + more
    await world.venue.clear()
    await world.finish()


def _written(seen: Samples) -> int:
    """Rows that came to the database, those that were there already among them."""
    inserted = seen.total("rows_committed_total", result="inserted")
    return int(inserted + seen.total("rows_deduped_total", where="database"))


async def test_e19_half_open_link(world: World) -> None:
    """Bytes vanish both ways, and so does the end: the server keeps a session that nobody has, and its lock."""
    await world.begin()
    await world.live_rows(1)
    # In the middle of a transaction the server would end the session itself (idle_in_transaction_session_timeout).
    await _between_flushes(world)
    ghost = await writer(world.database_url)
    async with world.daemon.readiness() as readiness:
        links = world.database.fired["connections"]
        for path in (world.database.up, world.database.down):
            path.blackhole = path.ghosts = True
        # The flush begins within a minute of the venue, a call of it is given up in time; the rest is the machine's.
        within = 2 * 60 / world.speed + _DEADLINE_S + _SLOW_S
        await world.daemon.wait_metric("flush_total", 1, result="retried", within=within)
        await eventually(lambda: readiness.went_away)
        await eventually(lambda: world.database.fired["connections"] > links, timeout=60)
        assert world.database.fired["blackholed_bytes"] > 0
        assert await writers(world.database_url) == [ghost], "the server noticed: the fault did not fire"
        world.database.heal()
        await eventually(other_writer(world, ghost), timeout=60, message="its successor ended the ghost")
        assert world.database.fired["ghosts"] >= 1
        await world.live_rows(1)
        await world.finish(readiness=readiness)


async def _nobody_writes(world: World) -> bool:
    return not await writers(world.database_url)


async def _between_flushes(world: World) -> tuple[Samples, int]:
    """A scrape, and how many rows were stored at that very moment: nothing came before, while or after."""

    async def still() -> tuple[Samples, int]:
        before = await world.daemon.metrics()
        stored = len(await world.oracle.stored())
        after = await world.daemon.metrics()
        received = [seen.total("rows_received_total") for seen in (before, after)]
        buffered = before.total("buffer_rows") + after.total("buffer_rows")
        assert not buffered and received[0] == received[1], "a flush came between"
        return after, stored

    return await eventually(still, timeout=60, message="a moment without a flush")
