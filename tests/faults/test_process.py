"""F1 to F3, F5, F9: the process killed, stopped, paused, and its date set. Rows of docs/faults.md."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from src.errors import EXIT_ALREADY_RUNNING
from tests.faults.database import session, writer_waits
from tests.support.daemon import STOP_S
from tests.support.eventually import eventually
from tests.support.faketime import Faketime
from tests.support.world import SCHEMA, World

pytestmark = pytest.mark.fault

_KILLS, _SEEDS = 10, range(5)
_STOPS = 5
_FILL_S = 60.0
"""Wall seconds in which a start after a kill must have read back what was lost."""
_MOVED_S = 60.0
"""Venue seconds. A step that moved the venue's clock moves it by 300 at least, a slow answer by a few."""
_FLUSHING_S = (0.10, 0.40)
"""Wall seconds after a minute's end, at speed 20, between which its rows arrive and are written."""


async def random_instant(world: World, dice: random.Random, *, flushing: bool) -> None:
    """Somewhere in a young life, or while the rows of a minute are being written."""
    # Sleeping is the point here: the fault is the instant itself, and no condition may choose it.
    if not flushing:
        await asyncio.sleep(dice.uniform(0.05, 4.0))
        return
    await world.daemon.wait_metric("rows_received_total", 1, source="binance_ws")
    to_next_minute = (60 - await world.venue.now_ms() / 1000 % 60) / world.speed
    await asyncio.sleep(to_next_minute + dice.uniform(*_FLUSHING_S))


@asynccontextmanager
async def locked_table(world: World) -> AsyncIterator[None]:
    """Inside the block a flush is under way and waits for a stranger's lock."""
    async with session(world.database_url) as stranger, stranger.transaction():
        await stranger.execute(f"LOCK TABLE {SCHEMA}.candles_1m IN ACCESS EXCLUSIVE MODE".encode())
        await eventually(lambda: writer_waits(world.database_url), timeout=60, message="a flush waits")
        yield


async def kill(world: World) -> None:
    world.daemon.child.signal(signal.SIGKILL)
    assert await world.daemon.child.wait(within=60) == -signal.SIGKILL


@pytest.mark.parametrize("seed", _SEEDS)
async def test_f1_kill_at_random_instants(world: World, seed: int) -> None:
    """Ten of the fifty; nothing but the next start mends what was lost."""
    dice = random.Random(seed)
    for number in range(_KILLS):
        world.daemon.start()
        await random_instant(world, dice, flushing=number % 2 == 0)
        await kill(world)
    await world.begin()
    assert (await world.daemon.metrics()).total("clean_start") == 0
    await world.live_rows(1)
    await world.finish(within=_FILL_S)
    assert world.daemon.starts == _KILLS + 1


async def test_f1_what_counted_as_committed_is_stored(world: World) -> None:
    """Promise G1: a scrape just before the kill, and the rows in the database after it."""
    await world.begin()
    await world.live_rows(6)
    committed = (await world.daemon.metrics()).total("rows_committed_total", result="inserted")
    assert committed >= 1000
    await kill(world)
    assert len(await world.oracle.stored()) >= committed
    await world.begin()
    await world.finish(within=_FILL_S)


async def test_f2_sigterm_at_any_instant_loses_nothing(world: World) -> None:
    dice = random.Random(20260331)
    for _ in range(_STOPS):
        world.daemon.start()
        await random_instant(world, dice, flushing=True)
        await world.daemon.stop()
        assert '"rows_left":0' in world.daemon.child.text()
    left = (await world.venue.stats())["disconnects"]
    assert sum(left.values()) >= _STOPS
    assert [reason for reason in left if "1000" not in reason] == []
    await world.begin()
    assert (await world.daemon.metrics()).total("clean_start") == 1
    await world.live_rows(1)
    await world.finish(within=_FILL_S)


async def test_f2_sigterm_while_a_flush_waits(world: World) -> None:
    """The flush under way ends, the rest follows, every connection is closed with 1000, exit code 0."""
    await world.begin()
    connections = await world.live_connections()
    for number in range(1, 3):
        await world.live_rows(1)
        async with locked_table(world):
            world.daemon.child.signal(signal.SIGTERM)
            await eventually(lambda: '"stop_requested"' in world.daemon.child.text())
            await eventually(lambda: writer_waits(world.database_url), timeout=60)
        assert await world.daemon.child.wait(within=STOP_S) == 0
        assert '"rows_left":0' in world.daemon.child.text(), "rows were left that the database could have had"
        world.daemon.check_logs()
        assert (await world.venue.stats())["disconnects"] == {"client 1000": number * connections}
        await world.begin()
    await world.live_rows(1)
    await world.finish()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["term", "int"])
async def test_f3_the_second_signal_ends_it_at_once(world: World, number: signal.Signals) -> None:
    await world.begin()
    await world.live_rows(4)
    async with locked_table(world):
        world.daemon.child.signal(number)
        await eventually(lambda: '"stop_requested"' in world.daemon.child.text())
        assert world.daemon.child.exit_code is None, "it did not wait for its flush"
        world.daemon.child.signal(number)
        # Were it to drain, the lock would hold it up, and its code would be another one.
        assert await world.daemon.child.wait(within=STOP_S) == 128 + number
    await world.begin()
    assert (await world.daemon.metrics()).total("clean_start") == 0
    await world.live_rows(1)
    await world.finish(within=_FILL_S)


@pytest.mark.parametrize("cut", [False, True], ids=["connected", "cut"])
async def test_f5_paused_for_five_minutes(world: World, *, cut: bool) -> None:
    """Of the exchange. The lock stays with the sleeper, nobody else writes, and what it missed is read back.

    Connections that stand keep every frame for the sleeper; those that the venue cuts meanwhile keep nothing.
    """
    await world.begin()
    await world.live_rows(1)
    async with AsyncExitStack() as stack, world.daemon.readiness() as readiness:
        seen = await world.daemon.metrics()
        found, rows = (
            seen.total("gap_candles_found_total"),
            seen.total("rows_received_total", source="binance_ws"),
        )
        looks = _looks(world, "suspended", "roll_call")
        world.daemon.child.signal(signal.SIGSTOP)
        stack.callback(world.daemon.child.signal, signal.SIGCONT)
        # What the server was told before may still be stored: a minute.
        before = len(await world.oracle.stored())
        if cut:
            assert await world.venue.control("reset") > 0
        second = world.another_daemon()
        second.start()
        stack.push_async_callback(second.kill)
        assert await second.child.wait(within=90) == EXIT_ALREADY_RUNNING, second.child.tail()
        await world.venue.minutes(5)
        assert len(await world.oracle.stored()) <= before + len(world.venue.symbols)
        world.daemon.child.signal(signal.SIGCONT)
        # Whoever notices first, the loop or the roll call, has the holes looked for.
        await eventually(lambda: _looks(world, "suspended", "roll_call") > looks, timeout=60)
        if cut:
            await world.daemon.wait_metric("gap_candles_found_total", found + 3 * len(world.venue.symbols))
        else:
            await world.daemon.wait_metric(
                "rows_received_total", rows + 4 * len(world.venue.symbols), source="binance_ws"
            )
        assert (await world.daemon.metrics()).total("event_loop_lag_seconds_sum") >= 10
        await world.live_rows(2)
        await world.finish(readiness=readiness)
        stack.pop_all()


def _looks(world: World, *reasons: str) -> int:
    """How often holes were looked for because of one of ``reasons``."""
    lines = [line for line in world.daemon.child.text().splitlines() if '"event":"holes_scanned"' in line]
    return sum(f'"reason":"{reason}"' in line for line in lines for reason in reasons)


@pytest.mark.skipif(not Faketime.LIBRARY.exists(), reason=Faketime.LACKING)
async def test_f9_the_computers_date_steps_and_drifts(world: World, tmp_path: Path) -> None:
    date = Faketime(tmp_path)
    world.daemon_with(**date.settings)
    await world.begin()
    for step in ("+3600", "-300", "+0 x1.05", "+86400"):
        date.step(step)
        await world.live_rows(1)
        assert abs(await world.clock_error()) < _MOVED_S, f"after {step} the venue's clock moved"
        await eventually(world.daemon.is_ready, message=f"ready after {step}")
    assert date.ahead(world.daemon) > 80_000, "the date of the process never stepped"
    seen = await world.daemon.metrics()
    assert seen.total("rows_rejected_total") == 0
    assert seen.total("buffer_oldest_timestamp_seconds") <= await world.venue.now_ms() / 1000 + 60
    await world.finish()
