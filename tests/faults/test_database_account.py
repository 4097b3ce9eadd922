"""E18: what the account may do is taken away, and its password is changed; SIGHUP brings the new one."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import LiteralString

import aiohttp
import pytest

from tests.faults.database import drifted, session
from tests.support.cluster import Cluster
from tests.support.daemon import Samples
from tests.support.eventually import eventually
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_USER = "rotated"
_FIRST, _SECOND = "the-first-password-of-this-run", "the-second-password-of-this-run"
_WRONG = "password authentication failed"

_ROLE: LiteralString = "CREATE ROLE rotated LOGIN IN ROLE marketd PASSWORD 'the-first-password-of-this-run'"
_ROTATE: LiteralString = "ALTER ROLE rotated PASSWORD 'the-second-password-of-this-run'"
_THROW_OUT: LiteralString = (
    "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity WHERE usename = 'rotated'"
)
_REVOKE: LiteralString = "REVOKE INSERT ON market_data.candles_1m FROM marketd"
_GRANT: LiteralString = "GRANT INSERT ON market_data.candles_1m TO marketd"


async def test_e18_grant_revoked_and_password_rotated(tmp_path: Path, cluster: Cluster) -> None:
    async with with_a_secret_file(tmp_path, cluster) as (world, secret):
        await world.begin()
        await world.live_rows(1)
        async with world.daemon.readiness() as readiness:
            async with drifted(world, _REVOKE, _GRANT):
                seen = await world.daemon.wait_metric("flush_total", 2, result="misconfigured")
                assert seen.total("database_errors_total", sqlstate_class="42") >= 2
                assert "permission denied" in (await world.daemon.get("/readyz"))[1]
            await eventually(lambda: readiness.came_back, timeout=120)

            await _rotate(world, cluster)
            began = asyncio.get_running_loop().time()
            refused = await _refusals(cluster)
            await eventually(lambda: not readiness.now, timeout=120)
            await world.live_rows(3)
            world.daemon.child.signal(signal.SIGHUP)  # nothing new stands in the file yet
            await eventually(lambda: world.daemon.child.text().count('"reloaded"') == 1, timeout=60)
            seen = await world.daemon.wait_metric("database_errors_total", 3, sqlstate_class="none")
            _kept(seen, world)
            assert _WRONG in world.daemon.child.text(), "nobody is told why"
            lasted = asyncio.get_running_loop().time() - began
            assert await _refusals(cluster) - refused <= 5 * lasted + 50, "the server is hammered"

            secret.write_text(secret.read_text().replace(_FIRST, _SECOND))
            world.daemon.child.signal(signal.SIGHUP)
            await eventually(lambda: readiness.now, timeout=120, message="the new password is taken")
            await eventually(lambda: _answers(world), timeout=120, message="the API reads")
            await world.live_rows(2)
            await world.finish(readiness=readiness)
        text = world.daemon.child.text()
        assert _FIRST not in text and _SECOND not in text
        assert "reload_needs_restart" not in text


@asynccontextmanager
async def with_a_secret_file(folder: Path, cluster: Cluster) -> AsyncIterator[tuple[World, Path]]:
    """A world whose daemon finds its database in a file, as an account whose password may be changed."""
    async with session(cluster.admin_url) as admin:
        await admin.execute(_ROLE)
    async with open_world(folder, cluster.url, arguments=("--ws", "--api")) as world:
        secret = folder / "database-url"
        secret.write_text(f"postgresql://{_USER}:{_FIRST}@127.0.0.1:{world.database.port}/marketd\n")
        del world.daemon.settings["DATABASE_URL"]
        yield world.daemon_with(DATABASE_URL_FILE=str(secret)), secret


async def _rotate(world: World, cluster: Cluster) -> None:
    async with session(cluster.admin_url) as admin:
        await admin.execute(_ROTATE)
        ended = await (await admin.execute(_THROW_OUT)).fetchall()
    assert ended, "the daemon does not work as that account"
    await eventually(lambda: _refusals(cluster), timeout=60, message="the fault fired")


async def _refusals(cluster: Cluster) -> int:
    """How often the server refused a password."""
    return (await asyncio.to_thread(cluster.log)).count(f'{_WRONG} for user "{_USER}"')


def _kept(seen: Samples, world: World) -> None:
    assert seen.total("buffer_rows") >= 2 * len(world.venue.symbols), "the buffer took nothing"
    assert seen.total("rows_dropped_total") == seen.total("rows_rejected_total") == 0


async def _answers(world: World) -> bool:
    """A question that the database must answer."""
    url = f"{await world.daemon.api_url()}/api/v1/symbols?limit=1"
    with suppress(aiohttp.ClientError):
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            return answer.status == 200
    return False
