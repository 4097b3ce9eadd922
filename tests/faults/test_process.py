"""F1 to F3, F5, F9, G1, G5, G6: the process killed, stopped, paused, started twice. Rows of docs/faults.md."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

KILLS = 50
STOPS = 10
_FILL_S = 60.0
"""Wall seconds in which a start after a kill must have read back what was lost."""
_TAKEOVER_S = 15.0
_FLUSHING_S = (0.10, 0.40)
"""Wall seconds after a minute's end, at speed 20, between which its rows arrive and are written."""
_FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


async def _random_instant(world: World, rng: random.Random, number: int) -> None:
    """Every other time anywhere in a young life, else while the rows of a minute are being written."""
    # Sleeping is the point here: the fault is the instant itself, and no condition may choose it.
    if number % 2:
        await asyncio.sleep(rng.uniform(0.05, 4.0))
        return
    await world.daemon.wait_metric("rows_received_total", 1, source="binance_ws")
    to_next_minute = (60 - await world.venue.now_ms() / 1000 % 60) / world.speed
    await asyncio.sleep(to_next_minute + rng.uniform(*_FLUSHING_S))


@pytest.mark.timeout(900)
async def test_f1_kill_at_fifty_random_instants(world: World) -> None:
    rng = random.Random(20260331)
    for number in range(KILLS):
        world.daemon.start()
        await _random_instant(world, rng, number)
        world.daemon.child.signal(signal.SIGKILL)
        assert await world.daemon.child.wait(within=10) == -signal.SIGKILL
    await world.begin()
    assert (await world.daemon.metrics()).total("clean_start") == 0
    await world.live_rows(1)
    await world.finish(within=_FILL_S)
    assert world.daemon.starts == KILLS + 1


async def test_f2_sigterm_at_any_instant_loses_nothing(world: World) -> None:
    rng = random.Random(20260331)
    for number in range(STOPS):
        world.daemon.start()
        await _random_instant(world, rng, 2 * number)
        await world.daemon.stop()
        assert '"rows_left":0' in world.daemon.child.text()
        # What was received is stored, before the next start could have read it back.
        await world.oracle.check_all()
    left = (await world.venue.stats())["disconnects"]
    assert sum(left.values()) >= STOPS
    assert {reason for reason in left if "1000" not in reason} == set(), left
    await world.begin()
    assert (await world.daemon.metrics()).total("clean_start") == 1
    await world.live_rows(1)
    await world.finish(within=_FILL_S)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_f3_the_second_signal_ends_it_at_once(world: World, second: signal.Signals) -> None:
    await world.begin()
    await world.live_rows(1)
    # With the database out of reach the drain takes its 20 s: time for the second signal.
    world.database.up.blackhole = world.database.down.blackhole = True
    await world.live_rows(1)
    daemon = world.daemon.child
    daemon.signal(signal.SIGTERM)
    await eventually(lambda: '"stop_requested"' in daemon.text())
    await asyncio.to_thread(_is_still_alive, daemon.pid)
    daemon.signal(second)
    assert await daemon.wait(within=2) == 128 + second
    world.database.heal()
    await world.begin()
    await world.live_rows(2)
    await world.finish(within=_FILL_S)


def _is_still_alive(pid: int) -> None:
    os.kill(pid, 0)


async def test_f5_paused_for_five_minutes(world: World) -> None:
    """Five minutes of the exchange; the lock stays held while the process sleeps, and nobody else writes."""
    await world.begin()
    await world.live_rows(1)
    async with world.daemon.readiness() as readiness:
        before = len(await world.oracle.stored())
        world.daemon.child.signal(signal.SIGSTOP)
        other = world.another_daemon()
        other.start()
        assert await other.child.wait(within=30) == 75, other.child.tail()
        await world.venue.minutes(5)
        assert len(await world.oracle.stored()) == before
        world.daemon.child.signal(signal.SIGCONT)
        await eventually(lambda: readiness.went_away, timeout=30, message="it noticed")
        await world.live_rows(2)
        await world.finish(readiness=readiness)


@pytest.mark.skipif(not _FAKETIME.exists(), reason="libfaketime is not installed (Debian package faketime)")
async def test_f9_the_computers_date_steps_and_drifts(world: World, tmp_path: Path) -> None:
    offset = tmp_path / "faketime"
    offset.write_text("+0\n")
    world.daemon_with(
        LD_PRELOAD=str(_FAKETIME),
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    await world.begin()
    for step in ("+3600", "-300", "+0 x1.05", "+86400"):
        offset.write_text(f"{step}\n")
        await world.live_rows(1)
        assert abs(await world.clock_error()) < 0.2 * world.speed, f"after {step} the venue's clock moved"
        assert await world.daemon.is_ready()
    assert _date_in_log(world.daemon) > 80_000, "the date of the process never stepped"
    metrics = await world.daemon.metrics()
    assert metrics.total("rows_rejected_total") == 0
    assert metrics.total("buffer_oldest_timestamp_seconds") <= await world.venue.now_ms() / 1000 + 60
    await world.finish()


def _date_in_log(daemon: Daemon) -> float:
    """Seconds by which the newest line's date is ahead of this computer's."""
    line = json.loads(daemon.child.text().splitlines()[-1])
    return (datetime.fromisoformat(line["ts"]) - datetime.now(UTC)).total_seconds()


async def test_g1_two_daemons_one_writes(world: World) -> None:
    await world.begin()
    await world.live_rows(1)
    second = world.another_daemon()
    second.start()
    assert await second.child.wait(within=30) == 75
    assert str(world.daemon.child.pid) in second.child.tail(), "the holder's pid must be named"
    standby = world.another_daemon("--ws", "--standby")
    standby.start()
    try:
        await eventually(lambda: "lock_held" in standby.child.text(), timeout=30)
        await world.live_rows(1)
        assert (await standby.metrics()).total("rows_received_total") == 0
        world.daemon.child.signal(signal.SIGKILL)
        await world.daemon.child.wait(within=10)
        await eventually(standby.is_ready, timeout=_TAKEOVER_S, message="the standby took over")
        world.daemon, world.before = standby, None
        await world.live_rows(2)
        await world.finish()
    finally:
        await standby.kill()


async def test_g5_a_port_in_use_ends_it_before_anything_is_touched(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        world.daemon_with(METRICS_PORT=str(port)).daemon.start()
        assert await world.daemon.child.wait(within=20) == 78
    assert str(port) in world.daemon.child.tail()
    assert "Traceback" not in world.daemon.child.text()
    assert not any("/fapi/" in path for path in (await world.venue.stats())["requests"])
    assert (await world.venue.stats())["attempts"] == []
    assert world.database.fired["connections"] == 0
    with psycopg.connect(world.database_url) as connection:
        row = connection.execute("SELECT count(*) FROM market_data.daemon_runs").fetchone()
    assert row == (0,)


async def test_g6_every_mistake_is_listed_at_once(world: World, tmp_path: Path) -> None:
    world.daemon_with(
        FLUSH_INTERVAL="soon",
        BINANCE_WS_URL="ws://example.com",
        DATABASE_URL_FILE=str(tmp_path / "absent"),
        RATE_LIMIT_PER_MINUTE="99999",
    )
    del world.daemon.settings["DATABASE_URL"]
    world.daemon.start()
    assert await world.daemon.child.wait(within=20) == 78
    text = world.daemon.child.text()
    for name in ("FLUSH_INTERVAL", "BINANCE_WS_URL", "DATABASE_URL_FILE", "RATE_LIMIT_PER_MINUTE"):
        assert sum(name in line for line in text.splitlines()) >= 1, text
    assert "Traceback" not in text
    assert (await world.venue.stats())["attempts"] == []
