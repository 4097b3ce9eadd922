"""G1, G5, G6: daemons that must not start. G2 to G4 are those of start.sh, see tests/acceptance."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from src.errors import EXIT_ALREADY_RUNNING, EXIT_CONFIG
from tests.faults.database import writers
from tests.support.eventually import eventually
from tests.support.notify_socket import NotifySocket
from tests.support.world import World

pytestmark = pytest.mark.fault

_TAKE_OVER_S = 15.0


async def test_g1_two_daemons(world: World) -> None:
    await world.begin()
    await world.live_rows(1)
    second = world.another_daemon()
    second.start()
    try:
        assert await second.child.wait(within=90) == EXIT_ALREADY_RUNNING
        assert str(world.daemon.child.pid) in second.child.text(), "the holder is not named"
        assert socket.gethostname() in second.child.text()
    finally:
        await second.kill()
    second.check_logs()
    await eventually(lambda: _has_one_writer(world), message="the second daemon's session is gone")
    await world.live_rows(4)
    await world.finish()


@pytest.fixture
async def heard(tmp_path: Path) -> AsyncIterator[NotifySocket]:
    async with NotifySocket.open(str(tmp_path / "notify")) as opened:
        yield opened


async def test_g1_standby_takes_over(world: World, heard: NotifySocket) -> None:
    await world.begin()
    standby = world.another_daemon("--ws", "--standby", NOTIFY_SOCKET=heard.name)
    standby.start()
    try:
        await eventually(lambda: '"lock_held"' in standby.child.text(), timeout=60)
        # Up for whoever started it, which would end it otherwise, and not ready for whoever asks it for data.
        await heard.wait_for("READY=1")
        assert heard.statuses()[-1].startswith("standby for ws: ")
        assert not await standby.is_ready()
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


async def test_g1_two_daemons_with_the_same_settings(world: World) -> None:
    """The port is taken before the lock is asked: who has it is asked first."""
    await world.begin()
    second = world.another_daemon(METRICS_PORT=str(world.daemon.port))
    second.start()
    try:
        assert await second.child.wait(within=90) == EXIT_ALREADY_RUNNING, second.child.text()
        assert f"pid {world.daemon.child.pid}" in second.child.text(), "the holder is not named"
    finally:
        await second.kill()
    second.check_logs()
    await world.live_rows(2)
    await world.finish()


async def test_g1_standby_with_the_same_settings_takes_over_lock_and_port(world: World) -> None:
    await world.begin()
    run_file = world.daemon.folder / "announced"
    port = world.daemon.port
    standby = world.another_daemon(
        "--ws", "--standby", METRICS_PORT=str(port), MARKETD_RUN_FILE=str(run_file)
    )
    standby.port = port
    standby.start()
    pid = standby.child.pid
    try:
        await eventually(lambda: '"lock_held"' in standby.child.text(), timeout=60)
        await eventually(lambda: run_file.is_file() and run_file.read_text() == f"{pid} 0\n", timeout=60)
        await world.live_rows(2)
        world.daemon.child.signal(signal.SIGKILL)
        await eventually(lambda: run_file.read_text() == f"{pid} {port}\n", timeout=_TAKE_OVER_S)
        await standby.wait_metric("database_up", 1, within=_TAKE_OVER_S)
        await standby.wait_ready()
        world.daemon, world.before = standby, None
        await world.live_rows(2)
        await world.finish()
    finally:
        await standby.kill()


async def test_g5_port_in_use(world: World) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        text = await _refused(world, METRICS_PORT=str(port))
    assert str(port) in text
    assert "in use" in text
    await _works_otherwise(world)


async def test_g6_bad_configuration(world: World) -> None:
    """Every mistake is named at once, and no secret is shown."""
    wrong = {
        "BUFFER_ROWS": "many",
        "FLUSH_INTERVAL": "-1",
        "BINANCE_WS_URL": "ws://fstream.binance.com/market",
        "HTTP_PROXY": "socks5://127.0.0.1:1",
        "METRICS_TOKEN_FILE": "/nonexistent/token",
        "DATABASE_URL": "mysql://marketd:canary-7d1f@127.0.0.1/market",
    }
    text = await _refused(world, **wrong)
    assert [name for name in wrong if name not in text] == []
    assert "canary-7d1f" not in text
    assert "DATABASE_URL" in await _refused(world, DATABASE_URL="")
    await _works_otherwise(world)


async def _refused(world: World, **settings: str) -> str:
    """What a daemon with these settings says when it ends, before it has touched the venue or the database."""
    refused = world.another_daemon(**settings)
    refused.start()
    try:
        assert await refused.child.wait(within=90) == EXIT_CONFIG
    finally:
        await refused.kill()
    refused.check_logs()
    assert world.rest.fired["connections"] == world.stream.fired["connections"] == 0
    assert world.database.fired["connections"] == 0
    return refused.child.text()


async def _works_otherwise(world: World) -> None:
    await world.begin()
    await world.live_rows(5)
    await world.finish()


async def _has_one_writer(world: World) -> bool:
    return len(await writers(world.database_url)) == 1
