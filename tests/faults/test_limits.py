"""F7, F16: the process may open no more descriptors, or write no more files, while it works."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_STANDARD = 3
"""Descriptors below it are input, output and errors."""


@contextmanager
def limited(world: World, kind: int, most: int) -> Iterator[None]:
    """A resource limit of the running daemon, as ``prlimit`` sets it; the old one at the end."""
    pid = world.daemon.child.pid
    soft, hard = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (most, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, kind, (soft, hard))


async def test_f7_no_descriptors_left(world: World) -> None:
    """Who has a socket keeps it and works on; new ones fail, are counted and tried again, and nothing ends."""
    await world.begin()
    connections = await world.live_connections()
    await world.live_rows(2)
    before = len(await world.oracle.stored())
    with limited(world, resource.RLIMIT_NOFILE, _STANDARD):
        assert (await world.daemon.get("/healthz"))[0] == 0, "it answered on a descriptor that it cannot have"
        await eventually(lambda: _stored(world, before + 2 * len(world.venue.symbols)), timeout=60)
        assert world.stream.reset_all() == connections
        dialled = world.stream.fired["connections"]
        await eventually(lambda: _failed_dials(world) >= connections, timeout=60, message="dials fail")
        assert world.stream.fired["connections"] == dialled, "a connection came from nowhere"
    await eventually(world.has_live_connections(connections), timeout=60)
    seen = await world.daemon.metrics()
    assert seen.total("ws_reconnects_total", reason="network") >= connections, "no dial failed"
    assert seen.total("supervisor_restarts_total") == 0
    assert seen.total("rows_dropped_total") == 0
    await world.live_rows(2)
    await world.finish()


def _failed_dials(world: World) -> int:
    """By its log alone: it has no descriptor to be asked on."""
    lines = [line for line in world.daemon.child.text().splitlines() if '"event":"stream_reconnect"' in line]
    return sum('"reason":"network"' in line for line in lines)


async def _stored(world: World, rows: int) -> bool:
    return len(await world.oracle.stored()) >= rows


async def test_f16_no_file_can_be_written(world: World) -> None:
    """What the daemon knows is in the database: it holds no file open to write but its log, which may fail."""
    await world.begin()
    connections = await world.live_connections()
    await world.live_rows(1)
    lost = (await world.daemon.metrics()).total("log_lost_total")
    assert _written_files(world.daemon.child.pid) == {world.daemon.child.log.resolve()}
    with limited(world, resource.RLIMIT_FSIZE, 0):
        assert world.stream.reset_all() == connections
        await world.daemon.wait_metric("log_lost_total", lost + 1)
        await eventually(world.has_live_connections(connections), timeout=60)
        await world.live_rows(4)
        assert _written_files(world.daemon.child.pid) == {world.daemon.child.log.resolve()}
    seen = await world.daemon.metrics()
    assert seen.total("supervisor_restarts_total") == 0
    assert seen.total("database_errors_total") == 0
    await world.finish()


def _written_files(pid: int) -> set[Path]:
    """The regular files that a process has open to write."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            flags = int(
                (Path(f"/proc/{pid}/fdinfo") / entry.name).read_text().split("flags:", 1)[1].split()[0], 8
            )
            target = entry.resolve()
        except OSError:
            continue  # closed meanwhile
        if flags & (os.O_WRONLY | os.O_RDWR) and target.is_file():
            found.add(target)
    return found
