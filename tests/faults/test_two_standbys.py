"""G1: two daemons that would take over from each other, and a server that lets go of all their locks at once."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from tests.faults.database import ask
from tests.support.cluster import Cluster
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_ROLES = ("--ws", "--metrics", "--backfill", "--standby")
_LOCKS = {"ws", "metrics", "backfill"}
_RESTARTS = 4
_HELD = (
    "SELECT DISTINCT split_part(application_name, '/', 2), split_part(application_name, '/', 3)"
    " FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND granted AND datname = current_database()"
    " AND application_name LIKE 'marketd/%%'"
)
"""(role, run) of every lock that one daemon has for itself."""


async def test_g1_roles_stay_together_whoever_is_quicker(tmp_path: Path, cluster: Cluster) -> None:
    """Either may get a lock first. What runs in one process needs the other roles of that process."""
    options = VenueOptions(speed=10)
    async with open_world(tmp_path, cluster.url, options=options, arguments=_ROLES) as world:
        await world.begin()
        other = world.another_daemon(*_ROLES)
        other.start()
        both = (world.daemon, other)
        try:
            await eventually(lambda: '"lock_held"' in other.child.text(), timeout=60)
            for _ in range(_RESTARTS):
                await asyncio.to_thread(cluster.restart)
                await eventually(lambda: _one_has_all(world), timeout=150, message="one has all locks")
            leader = await eventually(lambda: _leader(both), timeout=60)
            world.daemon, world.before = leader, None
            await world.live_rows(2)
            assert await _one_has_all(world)
            await world.finish()
        finally:
            for daemon in both:
                await daemon.kill()


async def _one_has_all(world: World) -> bool:
    try:
        held = await ask(world.database_url, _HELD)
    except psycopg.OperationalError:  # it recovers
        return False
    roles = {str(role) for role, _ in held}
    return roles >= _LOCKS and len({run for role, run in held if role in _LOCKS}) == 1


async def _leader(both: tuple[Daemon, ...]) -> Daemon:
    for daemon in both:
        if (await daemon.metrics()).total("database_up") == 1:
            return daemon
    raise AssertionError("neither has a session that writes")
