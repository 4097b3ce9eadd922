"""E1, E2, E4, E7, E9, E11: the database restarted, killed, away, full or locked."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack

import psycopg
import pytest

from src.model import floor_minute
from tests.faults.database import other_writer, session, writer, writer_waits, writers
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.templates import with_database
from tests.support.world import SCHEMA, World

pytestmark = pytest.mark.fault

_FULL = r"too many|reserved"
_INSERT = (
    f"INSERT INTO {SCHEMA}.candles_1m (exchange, symbol, bucket_ts, open, high, low, close, volume, source,"
    " authority, revision) VALUES ('binance_futures_um', %s, to_timestamp(%s::double precision / 1000),"
    " 1, 1, 1, 1, 1, 'fault run', 1, 0)"
)
_END_SEARCH = (
    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
    " WHERE application_name LIKE 'marketd/repair/%' AND datname = current_database()"
)
_LOCK = f"LOCK TABLE {SCHEMA}.candles_1m IN ACCESS EXCLUSIVE MODE"


async def test_e1_fast_restart(world_on_cluster: World, cluster: Cluster) -> None:
    world = world_on_cluster
    await world.begin()
    await world.live_rows(1)
    async with world.daemon.readiness() as readiness:
        await asyncio.to_thread(cluster.stop)
        await eventually(lambda: readiness.went_away, timeout=60)
        await asyncio.to_thread(cluster.start)
        seen = await world.daemon.metrics()
        assert seen.total("database_errors_total") >= 1
        assert seen.total("flush_total", result="retried") >= 1
        await world.live_rows(4)
        await world.finish(readiness=readiness)


async def test_e1_session_terminated(world: World) -> None:
    """Ten times in a row, wherever the writer and the search for holes are: 57P01 or a connection that is closed."""
    await world.begin()
    searches = 0
    for _ in range(10):
        await world.live_rows(0.5)
        pid = await writer(world.database_url)
        async with session(world.database_url) as admin:
            searches += len(await (await admin.execute(_END_SEARCH)).fetchall())
            await admin.execute("SELECT pg_terminate_backend(%s, 30000)", [pid])
        await eventually(other_writer(world, pid), timeout=60)
    assert searches >= 1, "the search for holes was never ended"
    seen = await world.daemon.metrics()
    assert seen.total("database_errors_total", sqlstate_class="57") >= 1
    assert 1 <= seen.total("flush_total", result="retried") <= 10, "one flush each time"
    assert seen.total("supervisor_restarts_total") == 0
    await world.live_rows(1)
    await world.finish()


async def test_e2_backend_killed(world_on_cluster: World, cluster: Cluster) -> None:
    """kill -9 of one session's process ends every other session too, and the server recovers by itself."""
    world = world_on_cluster
    await world.begin()
    for _ in range(2):
        await world.live_rows(1)
        pid = await writer(world.database_url)
        assert pid in set(cluster.processes()), "the fault would hit a stranger"
        os.kill(pid, signal.SIGKILL)
        await eventually(other_writer(world, pid), timeout=60)
        assert f"(PID {pid}) was terminated by signal 9" in cluster.log()
    seen = await world.daemon.metrics()
    assert seen.total("database_errors_total", sqlstate_class="none") >= 1
    await world.live_rows(3)
    await world.finish()


async def test_e4_away_at_start(world_on_cluster: World, cluster: Cluster) -> None:
    """The daemon stays up and says what is wrong, and keeps every row until the server comes."""
    world = world_on_cluster
    await asyncio.to_thread(cluster.stop)
    world.daemon.start()
    # What other processes spend of the address's budget is written in the database: without it the first requests
    # wait a minute of wall time, and then spend a tenth of the budget.
    await world.daemon.wait_metric("buffer_rows", 1000, within=150)
    assert (await world.daemon.get("/healthz"))[0] == 200
    status, text = await world.daemon.get("/readyz")
    assert status == 503
    assert "database" in text
    assert (await world.daemon.metrics()).total("database_errors_total") >= 1
    async with world.daemon.readiness() as readiness:
        await eventually(lambda: readiness.went_away)
        await asyncio.to_thread(cluster.start)
        await world.daemon.wait_ready()
        await world.live_rows(2)
        verdict = await world.finish(readiness=readiness)
    assert verdict.stored > 1000


async def test_e7_too_many_clients(world_on_cluster: World, cluster: Cluster) -> None:
    """Strangers take every free place. Who has a session goes on; thrown out, it waits for a place."""
    world = world_on_cluster
    await asyncio.to_thread(cluster.restart, {"max_connections": "12"})
    await world.begin()
    async with (
        session(cluster.admin_url) as admin,
        AsyncExitStack() as strangers,
        world.daemon.readiness() as readiness,
    ):
        with pytest.raises(psycopg.OperationalError, match=_FULL):
            while True:
                await strangers.enter_async_context(session(cluster.url))
        errors = (await world.daemon.metrics()).total("database_errors_total")
        await world.live_rows(2)
        await eventually(world.daemon.is_ready, message="who has a session goes on")
        await eventually(lambda: _take_writers_place(admin, strangers, cluster.url), timeout=60)
        await world.daemon.wait_metric("database_errors_total", errors + 2)
        await eventually(lambda: readiness.went_away, timeout=60)
        await strangers.aclose()
        await eventually(lambda: writers(world.database_url), timeout=60)
        await world.live_rows(2)
        await world.finish(readiness=readiness)


async def _take_writers_place(admin: psycopg.AsyncConnection, strangers: AsyncExitStack, url: str) -> bool:
    """Throw the writer out and be faster than it is; False if it was faster."""
    await admin.execute(
        "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
        " WHERE application_name LIKE 'marketd/ws/%'"
    )
    try:
        await strangers.enter_async_context(session(url))
    except psycopg.OperationalError:
        return False
    return True


async def test_e9_deadlock(world_on_cluster: World, cluster: Cluster) -> None:
    """A stranger holds the key of a coming row, then wants the table that the waiting writer works on.

    The stranger looks for deadlocks only after a minute, so the writer, which does after 3 s, is the one that is ended.
    """
    world = world_on_cluster
    await asyncio.to_thread(cluster.restart, {"deadlock_timeout": "3s"})
    await world.begin()
    database = world.database_url.rpartition("/")[2]
    for number in range(1, 3):
        await world.live_rows(1)
        async with session(with_database(cluster.admin_url, database)) as stranger:
            await stranger.execute("SET deadlock_timeout = '60s'")
            async with stranger.transaction(force_rollback=True):
                open_ms = floor_minute(await world.venue.now_ms())
                await stranger.execute(_INSERT.encode(), [world.venue.symbols[-1], open_ms])
                await eventually(lambda: writer_waits(world.database_url), timeout=60)
                await stranger.execute(_LOCK.encode())
                seen = await world.daemon.wait_metric("database_errors_total", number, sqlstate_class="40")
                assert seen.total("flush_total", result="retried") >= number
                assert not await world.daemon.is_ready()
        await eventually(world.daemon.is_ready, timeout=60)
        assert cluster.log().count("deadlock detected") >= number
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
            assert seen.total("flush_total", result="retried") >= 1
        assert most == 1, "flushes stacked"
        await world.live_rows(1)
        await world.finish(readiness=readiness)
