"""F6 to F8, F15, F16: the process may have no more memory, descriptors, threads, processes or files, while it works."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from src.cli.daemon import STOP_WITHIN_S
from tests.support.cgroups import Group, NoGroup, group_of
from tests.support.daemon import STOP_S
from tests.support.eventually import eventually
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_TOO_LITTLE = 1 << 20
"""Bytes: a daemon that works takes this much anew within seconds."""
_GUARD_S = STOP_WITHIN_S + 60.0
_STANDARD = 3
"""Descriptors below it are input, output and errors."""


@contextmanager
def limited(world: World, kind: int, most: int) -> Iterator[None]:
    """A resource limit of the running daemon, as ``prlimit`` sets it; the old one at the end, if it still lives."""
    pid = world.daemon.child.pid
    soft, hard = resource.prlimit(pid, kind)
    resource.prlimit(pid, kind, (most, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(pid, kind, (soft, hard))


@contextmanager
def grouped(world: World, controller: str) -> Iterator[Group]:
    """The running daemon in a control group of its own, as a unit has it; skips where none may be made."""
    try:
        with group_of(world.daemon.child.pid, controller) as group:
            yield group
    except NoGroup as why:
        pytest.skip(f"needs a control group: {why}")


@pytest.mark.root
async def test_f6_killed_at_the_limit_of_its_memory(world: World) -> None:
    """As ``MemoryMax`` and ``mem_limit`` are met. The next start reads back what was in memory, as after kill -9."""
    await world.begin()
    await world.live_rows(1)
    with grouped(world, "memory") as group:
        group.limit(_TOO_LITTLE)
        await eventually(lambda: _ended(world), timeout=120, message="it meets its limit")
        assert world.daemon.child.exit_code == -signal.SIGKILL
        assert group.killed() == 1
    await world.begin()
    assert (await world.daemon.metrics()).total("clean_start") == 0
    await world.live_rows(5)
    await world.finish()


async def _ended(world: World) -> bool:
    """The closes of a minute again and again, until there is no room for them."""
    if world.daemon.child.exit_code is None:
        await world.venue.control("burst", times=5)
    return world.daemon.child.exit_code is not None


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


@contextmanager
def _no_more_threads(world: World) -> Iterator[None]:
    """As ``TasksMax`` or ``pids_limit`` are met: for root by a control group, since no limit of its own binds it."""
    if os.geteuid():
        with limited(world, resource.RLIMIT_NPROC, 1):
            yield
        return
    with grouped(world, "pids") as group:
        group.limit(1)
        yield


async def test_f8_no_more_threads_or_processes(world: World) -> None:
    """Each look-up of a name would have a thread: dials fail, are tried again, and nothing else does. It stops, too."""
    await world.begin()
    connections = await world.live_connections()
    await world.live_rows(1)
    with _no_more_threads(world):
        assert world.stream.reset_all() == connections
        dialled = world.stream.fired["connections"]
        # More often in vain than look-ups may be under way at once.
        await world.daemon.wait_metric("ws_connection_attempts_total", 10, result="failed")
        assert world.stream.fired["connections"] == dialled, "it looked a name up without a thread"
    await eventually(world.has_live_connections(connections), timeout=60)
    await world.live_rows(2)
    with _no_more_threads(world):
        seen = await world.daemon.metrics()
        assert seen.total("supervisor_restarts_total") == 0
        assert seen.total("rows_dropped_total") == 0
        world.daemon.child.signal(signal.SIGTERM)
        assert await world.daemon.child.wait(within=STOP_S) == 0, world.daemon.child.tail()
    assert '"rows_left":0' in world.daemon.child.text()
    world.daemon.check_logs()
    await world.begin()
    await world.live_rows(2)
    await world.finish()


async def test_f15_every_thread_of_the_pool_is_held(tmp_path: Path, database: str) -> None:
    """Files on a share that is gone hold threads for ever. Neither flush nor dial has any in that pool."""
    async with open_world(tmp_path, database, module="tests.support.variant") as world:
        await world.begin()
        connections = await world.live_connections()
        await world.live_rows(1)
        world.daemon.child.signal(signal.SIGUSR2)
        await eventually(lambda: "pool held" in world.daemon.child.text(), timeout=60)
        before = len(await world.oracle.stored())
        assert world.stream.reset_all() == connections
        await eventually(world.has_live_connections(connections), timeout=60)
        await eventually(lambda: _stored(world, before + 4 * len(world.venue.symbols)), timeout=60)
        await eventually(world.daemon.is_ready, message="ready with a pool that is held")
        world.daemon.child.signal(signal.SIGTERM)
        # All is stored, and then the threads are waited for, which never end: the guard's 33 s are the bound.
        assert await world.daemon.child.wait(within=_GUARD_S) == 128 + signal.SIGTERM
        log = world.daemon.child.text()
        assert '"rows_left":0' in log
        assert '"stop_timed_out"' in log
        await world.begin()
        await world.live_rows(1)
        await world.finish()


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
