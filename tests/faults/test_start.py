"""G1, G5, G6: a daemon that must not start, beside one that works and must not notice. G2 to G4 are start.sh's."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from src.errors import EXIT_ALREADY_RUNNING, EXIT_CONFIG
from tests.faults.database import writers
from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_TAKE_OVER_S = 15.0


async def test_g1_two_daemons(world: World) -> None:
    await world.begin()
    await world.live_rows(1)
    second = world.another_daemon()
    second.start()
    try:
        assert await second.child.wait(within=20) == EXIT_ALREADY_RUNNING
        assert str(world.daemon.child.pid) in second.child.text(), "the holder is not named"
        assert socket.gethostname() in second.child.text()
    finally:
        await second.kill()
    second.check_logs()
    await eventually(lambda: _has_one_writer(world), message="the second daemon's session is gone")
    await world.live_rows(4)
    await world.finish()


async def test_g1_standby_takes_over(world: World) -> None:
    await world.begin()
    standby = world.another_daemon("--ws", "--standby")
    standby.start()
    try:
        await eventually(lambda: '"lock_held"' in standby.child.text(), timeout=20)
        await world.live_rows(4)
        assert standby.child.exit_code is None
        assert (await standby.metrics()).total("rows_received_total") == 0, "it collects without the lock"
        world.daemon.child.signal(signal.SIGKILL)
        killed = time.monotonic()
        await standby.wait_metric("database_up", 1, within=_TAKE_OVER_S)
        assert time.monotonic() - killed <= _TAKE_OVER_S
        await standby.wait_ready()
        world.daemon, world.before = standby, None
        await world.live_rows(2)
        await world.finish()
    finally:
        await standby.kill()


async def test_g5_port_in_use(world: World) -> None:
    """It ends before it has touched the venue or the database."""
    await world.begin()
    await world.live_rows(1)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        second = world.another_daemon(
            BINANCE_REST_URL="http://127.0.0.1:9",
            BINANCE_WS_URL="ws://127.0.0.1:9/market",
            METRICS_PORT=str(port),
        )
        second.start()
        try:
            assert await second.child.wait(within=20) == EXIT_CONFIG
        finally:
            await second.kill()
    assert str(port) in second.child.text()
    assert "in use" in second.child.text()
    second.check_logs()
    await world.live_rows(4)
    await world.finish()


async def test_g6_bad_configuration(world: World) -> None:
    """Every fault is named at once, and no secret is shown."""
    await world.begin()
    await world.live_rows(1)
    wrong = {
        "BUFFER_ROWS": "many",
        "FLUSH_INTERVAL": "-1",
        "BINANCE_WS_URL": "ws://fstream.binance.com/market",
        "HTTP_PROXY": "socks5://127.0.0.1:1",
        "METRICS_TOKEN_FILE": "/nonexistent/token",
        "DATABASE_URL": "mysql://marketd:canary-7d1f@127.0.0.1/market",
    }
    second = world.another_daemon(**wrong)
    second.start()
    try:
        assert await second.child.wait(within=20) == EXIT_CONFIG
    finally:
        await second.kill()
    text = second.child.text()
    assert [name for name in wrong if name not in text] == []
    assert "canary-7d1f" not in text
    second.check_logs()
    missing = world.another_daemon(DATABASE_URL="")
    missing.start()
    try:
        assert await missing.child.wait(within=20) == EXIT_CONFIG
    finally:
        await missing.kill()
    assert "DATABASE_URL" in missing.child.text()
    await world.live_rows(4)
    await world.finish()


async def _has_one_writer(world: World) -> bool:
    return len(await writers(world.database_url)) == 1
