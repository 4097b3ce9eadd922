"""E9, E11, E15, E16, E19: what happens to one session of the writer in the middle of its work."""

from __future__ import annotations

import asyncio

import pytest

from src.model import floor_minute
from tests.faults.database import session, writer_waits, writers
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.templates import with_database
from tests.support.world import SCHEMA, World

pytestmark = pytest.mark.fault

_INSERT = (
    f"INSERT INTO {SCHEMA}.candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, source,"
    " authority, revision) VALUES ('binance_futures_um', %s, to_timestamp(%s::double precision / 1000),"
    " 1, 1, 1, 1, 1, 'fault run', 1, 0)"
)
_LOCK = f"LOCK TABLE {SCHEMA}.candles_1m IN ACCESS EXCLUSIVE MODE"


async def test_e9_deadlock(world_on_cluster: World, cluster: Cluster) -> None:
    """A stranger holds the key of a coming row, then wants the table that the waiting writer works on.

    The stranger looks for deadlocks only after a minute, so the writer is the one that is ended.
    """
    world = world_on_cluster
    await world.begin()
    database = world.database_url.rpartition("/")[2]
    for number in range(1, 3):
        await world.live_rows(1)
        async with session(with_database(cluster.admin_url, database)) as stranger:
            await stranger.execute("SET deadlock_timeout = '60s'")
            async with stranger.transaction(force_rollback=True):
                open_ms = floor_minute(await world.venue.now_ms())
                await stranger.execute(_INSERT.encode(), [world.venue.symbols[-1], open_ms])
                await eventually(lambda: writer_waits(world.database_url), timeout=30)
                await stranger.execute(_LOCK.encode())
        seen = await world.daemon.wait_metric("database_errors_total", number, sqlstate_class="40")
        assert seen.total("flush_total", result="retried") >= number
    await world.live_rows(2)
    await world.finish()


async def test_e11_table_locked(world: World) -> None:
    """The buffer takes what comes while lock_timeout ends one flush after the other; never two at once."""
    await world.begin()
    await world.live_rows(1)
    most = 0
    async with world.daemon.readiness() as readiness:
        async with session(world.database_url) as stranger, stranger.transaction():
            await stranger.execute(_LOCK.encode())
            deadline = asyncio.get_running_loop().time() + 60
            while (seen := await world.daemon.metrics()).total(
                "database_errors_total", sqlstate_class="55"
            ) < 2:
                assert asyncio.get_running_loop().time() < deadline, "lock_timeout never fired"
                most = max(most, len(await writers(world.database_url)))
                await asyncio.sleep(0.1)
            assert seen.total("buffer_rows") > len(world.venue.symbols), "the buffer took nothing"
            assert seen.total("rows_dropped_total") == 0
        assert most == 1, "flushes stacked"
        await world.live_rows(1)
        await world.finish(readiness=readiness)


async def test_e15_copy_cut_half_way(world: World) -> None:
    """The connection ends in the middle of a COPY: nothing of that batch may stay, and all of it must come."""
    await world.begin()
    for number in range(1, 4):
        await world.live_rows(1)
        # The statements round a flush are some 3 kB; only the rows of a whole minute (20 kB) reach this far.
        world.database.up.limit = 9_000
        await eventually(lambda: world.database.fired["cut"] >= number, timeout=30)  # noqa: B023
        await world.daemon.wait_metric("database_errors_total", number, sqlstate_class="none")
    assert world.database.fired["cut"] == 3
    await world.live_rows(2)
    await world.finish()


async def test_e16_commit_without_an_answer(world: World) -> None:
    """COMMIT arrives, its answer does not: the rows are written again and are all there once."""
    await world.begin()
    for number in range(1, 6):
        await world.live_rows(0.5)
        before = (await world.daemon.metrics()).total("rows_deduped_total", where="database")
        world.database.cut_reply_after(b"COMMIT")
        await world.daemon.wait_metric("flush_total", number, result="retried")
        await world.daemon.wait_metric("rows_deduped_total", before + 1, where="database")
        assert world.database.fired["reply_cut"] == number
    await world.live_rows(1)
    await world.finish()


async def test_e19_half_open_link(world: World) -> None:
    """Bytes vanish both ways and nothing ever says so: the client's own deadline must end it."""
    await world.begin()
    await world.live_rows(1)
    async with world.daemon.readiness() as readiness:
        world.database.up.blackhole = world.database.down.blackhole = True
        await eventually(lambda: readiness.went_away, timeout=30)
        await world.daemon.wait_metric("flush_total", 1, result="retried", within=40)
        assert world.database.fired["blackholed_bytes"] > 0
        world.database.heal()
        await world.live_rows(1)
        await world.finish(readiness=readiness)
