"""G1, I2: several machines, of which one loses its link. Each is a network namespace of its own."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.faults.database import writers
from tests.support.cluster import Cluster
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.machines import PREPARE, let_machines_in, machine, machines_can_be_made
from tests.support.namespaces import inside, run_inside
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = [pytest.mark.fault, pytest.mark.root]

_TAKE_OVER_S = 60.0
_ROLES = ("--ws", "--metrics", "--standby")


async def test_g1_standby_takes_over_from_a_dead_link(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The server holds session and lock of a machine that cannot be reached, and nobody says good-bye."""
    if not inside():
        if not machines_can_be_made():
            pytest.skip("needs a /proc/sys that can be written")
        await run_inside(request, "--net", prepare=PREPARE)
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    await let_machines_in(cluster)
    options = VenueOptions(speed=10)
    async with (
        machine() as other,
        open_world(tmp_path, cluster.url, options=options, arguments=_ROLES) as world,
    ):
        standby = world.another_daemon(*_ROLES, DATABASE_URL=cluster.url)
        # Straight to the server: a proxy would be the one whose link is dead, and not the session.
        active = world.daemon_with(DATABASE_URL=cluster.url).daemon.on(other)
        await world.begin()
        standby.start()
        try:
            await eventually(lambda: _waits(standby), timeout=60, message="the standby waits for the lead")
            await world.live_rows(1)
            [ghost] = await eventually(lambda: _one_writer(world))
            await other.pull_the_cable()
            pulled = time.monotonic()
            await eventually(lambda: _leads(standby), timeout=_TAKE_OVER_S, message="both locks are its own")
            took = time.monotonic() - pulled
            assert took <= _TAKE_OVER_S
            assert ghost not in await writers(world.database_url)
            assert active.child.exit_code is None
            world.daemon, world.before = standby, None
            await world.live_rows(1)
            await other.plug_it_in()
            await eventually(lambda: _stands_by(active), timeout=150)
            await world.live_rows(1)
            await eventually(lambda: _one_writer(world), message="two write")
            await world.finish()
            await active.stop()
        finally:
            await active.kill()
            await standby.kill()


async def _one_writer(world: World) -> list[int]:
    """The session that writes; nothing while that of a standby asks for the lock, a moment every two seconds."""
    found = await writers(world.database_url)
    return found if len(found) == 1 else []


def _waits(standby: Daemon) -> bool:
    return ("lock_held", "writer") in _logged(standby)


def _leads(standby: Daemon) -> bool:
    return {("database_opened", "writer"), ("role_taken", "role")} <= _logged(standby)


def _stands_by(active: Daemon) -> bool:
    assert ("lock_lost", "writer") in _logged(active), active.child.tail()
    return True


def _logged(daemon: Daemon) -> set[tuple[str, str]]:
    """(event, component) of everything in its log."""
    whole, _, _ = daemon.child.text().rpartition("\n")  # the newest may still be on its way
    lines = [json.loads(line) for line in whole.splitlines() if line.startswith("{")]
    return {(line["event"], line["component"]) for line in lines}
