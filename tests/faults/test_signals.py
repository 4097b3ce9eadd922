"""F2, F3, F5: signals in the middle of work."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from src.errors import EXIT_ALREADY_RUNNING
from tests.faults.database import session, writer_waits
from tests.support.daemon import STOP_S
from tests.support.eventually import eventually
from tests.support.world import SCHEMA, World

pytestmark = pytest.mark.fault

_LOCK = f"LOCK TABLE {SCHEMA}.candles_1m IN ACCESS EXCLUSIVE MODE"


@asynccontextmanager
async def locked_table(world: World) -> AsyncIterator[None]:
    """Inside the block a flush is under way and waits for a stranger's lock."""
    async with session(world.database_url) as stranger, stranger.transaction():
        await stranger.execute(_LOCK.encode())
        await eventually(lambda: writer_waits(world.database_url), timeout=30, message="a flush waits")
        yield


async def test_f2_sigterm_during_a_flush(world: World) -> None:
    """Three times: the flush under way ends, the rest is flushed, connections end with 1000, and exit code 0."""
    await world.begin()
    connections = await world.live_connections()
    for number in range(1, 4):
        await world.live_rows(1)
        async with locked_table(world):
            received = (await world.daemon.metrics()).total("rows_received_total")
            world.daemon.child.signal(signal.SIGTERM)
            await eventually(lambda: '"stop_requested"' in world.daemon.child.text())
        assert await world.daemon.child.wait(within=STOP_S) == 0
        assert received > 0
        assert '"rows_left":0' in world.daemon.child.text(), "rows were lost that the database could have had"
        stats = await world.venue.stats()
        assert stats["disconnects"] == {"client 1000": number * connections}
        world.daemon.check_logs()
        world.daemon.start()
        await world.daemon.wait_ready()
        await world.daemon.wait_metric("symbols_subscribed", len(world.venue.symbols))
    assert (await world.daemon.metrics()).total("clean_start") == 1
    world.before = None
    await world.live_rows(1)
    await world.finish()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"]
)
async def test_f3_the_second_signal_ends_it_at_once(world: World, number: signal.Signals, code: int) -> None:
    await world.begin()
    await world.live_rows(4)
    async with locked_table(world):
        world.daemon.child.signal(number)
        await eventually(lambda: '"stop_requested"' in world.daemon.child.text())
        assert world.daemon.child.exit_code is None, "it did not wait for its flush"
        world.daemon.child.signal(number)
        assert await world.daemon.child.wait(within=2) == code
    world.daemon.start()
    await world.daemon.wait_ready()
    assert (await world.daemon.metrics()).total("clean_start") == 0
    world.before = None
    await world.live_rows(1)
    await world.finish()


async def test_f5_suspended_for_five_minutes(world: World) -> None:
    """15 s of wall time. The lock stays with the sleeper, and what it slept through is read back."""
    await world.begin()
    await world.live_rows(1)
    async with AsyncExitStack() as stack:
        world.daemon.child.signal(signal.SIGSTOP)
        stack.callback(world.daemon.child.signal, signal.SIGCONT)
        second = world.another_daemon()
        second.start()
        stack.push_async_callback(second.kill)
        assert await second.child.wait(within=15) == EXIT_ALREADY_RUNNING
        await world.venue.minutes(5)
        status, _ = await world.daemon.get("/readyz")
        assert status == 0, "it was not asleep"
    async with world.daemon.readiness():
        seen = await world.daemon.wait_metric("gap_minutes_found_total", 1, reason="suspended")
        assert seen.total("event_loop_lag_seconds_sum") >= 10
        await world.live_rows(2)
        await world.finish()
