"""E5, F13: what a service manager hears while the database is away for hours, and while the event loop hangs."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import pytest

from tests.support.daemon import STOP_S
from tests.support.eventually import eventually
from tests.support.notify_socket import NotifySocket
from tests.support.venue import VenueOptions
from tests.support.world import open_world

pytestmark = pytest.mark.fault

_VARIANT = "tests.support.variant"
_WATCHDOG_S = 30.0
"""A sign every 15 s of an outage of 40 s; a shorter one is missed by a slow machine alone."""
_STUCK_S = 15.0
_HOURS = 4


def _manager(heard: NotifySocket, watchdog_s: float) -> dict[str, str]:
    return {"NOTIFY_SOCKET": heard.name, "WATCHDOG_USEC": str(int(watchdog_s * 1e6))}


async def test_e5_hours_without_the_database_cost_no_sign_of_life(tmp_path: Path, database: str) -> None:
    """Every role at once, and a watchdog that takes a collector for stuck after a fraction of the outage."""
    options = VenueOptions(symbols=20, speed=360)
    async with NotifySocket.open(str(tmp_path / "notify")) as heard:
        settings = {
            **_manager(heard, _WATCHDOG_S),
            "FAULT_STUCK_S": f"{_STUCK_S:g}",
            "ARCHIVE_FOLDER": str(tmp_path / "archive"),
        }
        roles = ("--ws", "--metrics", "--backfill", "--jobs", "--api")
        async with open_world(
            tmp_path, database, options=options, settings=settings, arguments=roles, module=_VARIANT
        ) as world:
            await world.begin()
            await heard.wait_for("READY=1")
            await world.live_rows(5)
            began = time.monotonic()
            await world.database.refuse()
            assert world.database.reset_all() >= 1
            await world.venue.minutes(_HOURS * 60)
            ended = time.monotonic()
            assert ended - began > 2 * _STUCK_S, "too short to tell"
            assert any("database not writable" in status for status in heard.statuses())
            assert (await world.daemon.metrics()).total("collectors_stuck") == 0
            assert heard.longest_silence("WATCHDOG=1", began, ended) < _WATCHDOG_S
            assert len(heard.times("READY=1")) == 1
            await world.database.listen()
            await eventually(world.daemon.is_ready, timeout=60, message="ready again")
            # Not ``stop``: the queue's library logs the outage with tracebacks.
            world.daemon.child.signal(signal.SIGTERM)
            assert await world.daemon.child.wait(within=STOP_S) == 0
            await heard.wait_for("STOPPING=1")


async def test_f13_a_hung_loop_is_silent_and_leaves_its_place_in_the_log(
    tmp_path: Path, database: str
) -> None:
    """The manager hears nothing for so long as it waits at most, and does what systemd does then."""
    watchdog_s = 2.0
    async with NotifySocket.open(f"@marketd-f13-{tmp_path.name}-{time.monotonic_ns()}") as heard:
        settings = {**_manager(heard, watchdog_s), "FAULT_BLOCK_S": "600"}
        async with open_world(tmp_path, database, settings=settings, module=_VARIANT) as world:
            await world.begin()
            await heard.wait_for("READY=1")
            await world.live_rows(1)
            began = time.monotonic()
            world.daemon.child.signal(signal.SIGUSR1)

            async def no_sign() -> bool:
                beats = len(heard.times("WATCHDOG=1"))
                await asyncio.sleep(3 * watchdog_s)
                return len(heard.times("WATCHDOG=1")) == beats

            # Some may have come before the loop took the signal; after that there is none.
            await eventually(no_sign, timeout=60)
            assert heard.longest_silence("WATCHDOG=1", began, time.monotonic()) > watchdog_s
            assert (await world.daemon.get("/healthz"))[0] == 0, "it says that the loop turns"
            world.daemon.child.signal(signal.SIGABRT)
            assert await world.daemon.child.wait(within=30) == -signal.SIGABRT
            log = world.daemon.child.text()
            assert "Fatal Python error: Aborted" in log
            assert "(most recent call first)" in log
            world.before = None
            world.daemon.start()
            await world.daemon.wait_ready()
            await heard.wait_for("READY=1", times=2)
            await world.live_rows(2)
            await world.finish()
