"""E6, E8, E23: the server recovers, another one takes its place, or its disk hangs."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import LiteralString
from urllib.parse import urlsplit

import pytest

from tests.faults.database import ask, check_books, copying, session, writer, writers
from tests.support.chaosproxy import ChaosProxy
from tests.support.cluster import Cluster
from tests.support.daemon import Samples
from tests.support.eventually import eventually
from tests.support.oracle import Oracle
from tests.support.world import SCHEMA, World, open_world

pytestmark = pytest.mark.fault

_STALL_S = 10.0
_RECOVERING = "the database system is in recovery mode"
_RECOVERED = "database system is ready to accept connections"
_PROCESS: LiteralString = "SELECT pid FROM pg_stat_activity WHERE backend_type = ANY(%s)"
_COMMITTED: LiteralString = "SELECT count(*)::int FROM market_data.candles_1m"


async def test_e6_the_server_recovers(world_on_cluster: World, cluster: Cluster) -> None:
    """57P03 for seconds: a server waits for a hanging process of its own before it can recover from a crash."""
    world = world_on_cluster
    await world.begin()
    async with world.daemon.readiness() as readiness:
        for _ in range(5):  # however slow the machine, one of the times somebody asks while it recovers
            await world.live_rows(1)
            recovered = _count(cluster, _RECOVERED)
            hanging = await _processes(cluster, "checkpointer")
            pid = await writer(world.database_url)
            for process in hanging:
                os.kill(process, signal.SIGSTOP)  # the server kills it after five seconds
            os.kill(pid, signal.SIGKILL)
            await eventually(partial(_has_recovered, cluster, recovered), timeout=120)
            await eventually(world.daemon.is_ready, timeout=120)
            if _count(cluster, _RECOVERING) >= 2:
                break
        assert _count(cluster, _RECOVERING) >= 2, "nobody asked while it recovered"
        seen = await world.daemon.metrics()
        assert seen.total("database_errors_total", sqlstate_class="none") >= 2
        assert seen.total("rows_dropped_total") == seen.total("rows_rejected_total") == 0
        assert seen.total("supervisor_restarts_total") == 0
        await world.live_rows(4)
        await world.finish(readiness=readiness)


async def test_e8_failover(tmp_path: Path, cluster: Cluster) -> None:
    """The server takes no writes any more and another one does: its address is the second one in DATABASE_URL."""
    there = urlsplit(cluster.url)
    async with open_world(tmp_path, cluster.url) as world, ChaosProxy(("127.0.0.1", 1)) as second:
        await second.refuse()
        both = there._replace(
            netloc=f"{there.netloc.rpartition('@')[0]}@127.0.0.1:{world.database.port},127.0.0.1:{second.port}"
        )
        world.daemon_with(DATABASE_URL=both.geturl())
        await world.begin()
        await world.live_rows(2)
        async with world.daemon.readiness() as readiness:
            await _forbid_writes(cluster)
            await world.daemon.wait_metric("flush_total", 1, result="retried")
            await world.daemon.wait_metric("database_errors_total", 1, sqlstate_class="25")
            await eventually(lambda: not readiness.now, timeout=120)
            await world.live_rows(2)
            seen = await world.daemon.metrics()
            assert seen.total("buffer_rows") >= 2 * len(world.venue.symbols), "the buffer took nothing"
            assert seen.total("flush_total", result="bisected") == 0, "taken for a bad row"
            assert seen.total("rows_dropped_total") == seen.total("rows_rejected_total") == 0
            await check_books(world)
            async with successor(cluster) as other:
                left = await ask(cluster.url, _COMMITTED)
                world.oracle, world.database_url = Oracle(world.venue, other.url, schema=SCHEMA), other.url
                second.target = ("127.0.0.1", urlsplit(other.url).port or 0)
                await second.listen()
                await eventually(lambda: readiness.now, timeout=120, message="it writes to the other one")
                await world.live_rows(3)
                await world.finish(readiness=readiness)
                assert second.fired["connections"] >= 1
                assert await ask(cluster.url, _COMMITTED) == left, "the old one was written to"


async def test_e23_the_disk_hangs(world_on_cluster: World, cluster: Cluster) -> None:
    """In the middle of a flush nothing of the server goes on for ten seconds, as when its disk takes no byte."""
    world = world_on_cluster
    await world.begin()
    await world.live_rows(1)
    pid = await copying(world)
    os.kill(pid, signal.SIGSTOP)
    others = await _processes(cluster, "walwriter", "checkpointer", "background writer")
    stopped = [pid, *others]
    for process in others:
        os.kill(process, signal.SIGSTOP)
    world.database.heal()
    flushes = _flushes(await world.daemon.metrics())
    most = 0
    try:
        ends = asyncio.get_running_loop().time() + _STALL_S
        while asyncio.get_running_loop().time() < ends:
            most = max(most, len(await writers(world.database_url)))
            await asyncio.sleep(0.1)
        seen = await world.daemon.metrics()
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
    assert most == 1, "flushes stacked"
    assert _flushes(seen) <= flushes + 1, "more than one flush was under way"
    assert seen.total("buffer_rows") > len(world.venue.symbols), "the buffer took nothing"
    assert seen.total("rows_dropped_total") == seen.total("rows_rejected_total") == 0
    await world.live_rows(2)
    await world.finish()


def _count(cluster: Cluster, words: str) -> int:
    """How often the server's log says that."""
    return cluster.log().count(words)


def _has_recovered(cluster: Cluster, before: int) -> bool:
    return _count(cluster, _RECOVERED) > before


async def _processes(cluster: Cluster, *kinds: str) -> list[int]:
    """The server's own processes of those kinds."""
    found = [int(str(pid)) for (pid,) in await ask(cluster.admin_url, _PROCESS, list(kinds))]
    assert set(found) <= set(cluster.processes()), "the fault would hit a stranger"
    assert len(found) == len(kinds)
    return found


def _flushes(seen: Samples) -> float:
    """How many flushes have ended, whichever way."""
    return seen.total("flush_total")


@asynccontextmanager
async def successor(cluster: Cluster) -> AsyncIterator[Cluster]:
    """The server takes no writes from now on; another one has all that it had, and does."""
    async with session(cluster.admin_url) as admin:
        await admin.execute("ALTER SYSTEM RESET default_transaction_read_only")
    other = Cluster(cluster.folder.with_name(f"{cluster.folder.name}-successor"))

    def part() -> None:
        cluster.stop()
        subprocess.run(["cp", "-a", "--reflink=auto", str(cluster.folder), str(other.folder)], check=True)
        (other.folder / "port").unlink()
        cluster.start({"default_transaction_read_only": "on"})
        other.start()

    try:
        await asyncio.to_thread(part)
        yield other
    finally:
        await asyncio.to_thread(other.destroy)


async def _forbid_writes(cluster: Cluster) -> None:
    """From the next transaction on, in sessions that are there as in new ones."""
    async with session(cluster.admin_url) as admin:
        await admin.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await admin.execute("SELECT pg_reload_conf()")
