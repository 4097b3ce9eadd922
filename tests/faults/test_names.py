"""A9, A18: names that cannot be looked up, and addresses that lead nowhere. In namespaces of their own."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.nameserver import Mode, name_server
from tests.support.namespaces import inside, run_inside
from tests.support.world import World, open_world

pytestmark = [pytest.mark.fault, pytest.mark.root]

_NAME_SERVER = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
"""An address of this process's own, for runs beside each other share the network."""
_RESOLVER = "MARKETD_TEST_NAME_SERVER"
_BACK_S = 10.0
_FAULT_S = 6.0

_DEAD = "2001:db8::2"
"""Of the range for documentation: nobody has it."""
_DEAD_IN_HEX = "B80D0120000000000000000002000000"
"""The same in the kernel's order of bytes."""


@pytest.mark.parametrize(
    "mode", [Mode.NXDOMAIN, Mode.SERVFAIL, Mode.HANG], ids=lambda mode: mode.name.lower()
)
async def test_a9_name_server_faults(request: pytest.FixtureRequest, tmp_path: Path, mode: Mode) -> None:
    """One of two connections must be made anew and cannot; the other and the database notice nothing."""
    if not inside():
        (tmp_path / "hosts").write_text("127.0.0.1 elsewhere\n")
        (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
        (tmp_path / "resolv.conf").write_text(f"nameserver {_NAME_SERVER}\noptions timeout:30 attempts:1\n")
        names = ("hosts", "nsswitch.conf", "resolv.conf")
        prepare = [f"mount --bind '{tmp_path / name}' /etc/{name}" for name in names]
        await run_inside(request, "--mount", prepare=[*prepare, f"export {_RESOLVER}={_NAME_SERVER}"])
        return
    database = request.getfixturevalue("database")
    settings = {"STREAMS_PER_CONNECTION": "105"}
    async with (
        name_server(os.environ[_RESOLVER]) as server,
        open_world(tmp_path, database, settings=settings) as world,
    ):
        await by_name(world).begin()
        assert server.asked[Mode.ANSWER] >= 1, "the name was not asked for"
        connections = await world.live_connections()
        assert connections == 2
        await world.live_rows(1)
        before = await world.daemon.metrics()
        server.mode = mode
        await world.venue.control("reset", connection=await world.a_connection())
        await eventually(lambda: server.asked[mode], timeout=60, message="a name is asked for")
        await asyncio.sleep(_FAULT_S)
        commits = before.total("flush_total", result="ok")
        seen = await world.daemon.wait_metric("flush_total", commits + 1, result="ok")
        assert await world.live_connections() == 1
        commits = seen.total("flush_total", result="ok") - commits
        seconds = seen.total("flush_duration_seconds_sum") - before.total("flush_duration_seconds_sum")
        # One that waited for a name would take what the fault takes, or the 30 s of the resolver.
        assert seconds / commits < _FAULT_S / 2, "flushes wait for names"
        assert seen.total("flush_total", result="retried") == 0
        server.mode = Mode.ANSWER
        await eventually(world.has_live_connections(connections), timeout=_BACK_S)
        if mode is not Mode.HANG:
            assert (await world.daemon.metrics()).total("ws_reconnects_total", reason="dns") >= 1
        await world.live_rows(2)
        await world.finish()


async def test_a18_ipv6_leads_nowhere(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The name's first address takes every packet and answers none; the second one is IPv4 and works."""
    if not inside():
        (tmp_path / "hosts").write_text(f"{_DEAD} localhost\n127.0.0.1 localhost\n")
        prepare = [
            "ip link set lo up",
            "ip link add dead type veth peer name end",
            "ip link set dead up",
            "ip link set end up",
            "ip -6 address add 2001:db8::1/64 dev dead nodad",
            f"ip -6 neighbour add {_DEAD} lladdr 02:00:00:00:00:02 dev dead",
            f"mount --bind '{tmp_path / 'hosts'}' /etc/hosts",
        ]
        await run_inside(request, "--net", "--mount", prepare=prepare)
        return
    found = socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
    assert [family for family, *_ in found] == [socket.AF_INET6, socket.AF_INET], "IPv6 does not come first"
    cluster: Cluster = request.getfixturevalue("cluster")
    async with open_world(tmp_path, cluster.url) as world:
        await by_name(world).begin()
        connections = await world.live_connections()
        await world.live_rows(1)
        assert world.stream.reset_all() == connections
        world.rest.reset_all()
        await eventually(lambda: tries_ipv6(world), message="somebody tries IPv6")
        await eventually(world.has_live_connections(connections), timeout=_BACK_S)
        await world.live_rows(2)
        await world.finish()


def by_name(world: World) -> World:
    """The daemon knows the venue by a name, as it does in the real world."""
    return world.daemon_with(
        BINANCE_REST_URL=f"http://localhost:{world.rest.port}",
        BINANCE_WS_URL=f"ws://localhost:{world.stream.port}/market",
    )


async def tries_ipv6(world: World) -> bool:
    """Whether a try is seen, which lasts a quarter of a second; links are cut again for another one if none was."""
    for _ in range(100):
        if waits_for_ipv6():
            return True
        await asyncio.sleep(0.02)
    world.stream.reset_all()
    return False


def waits_for_ipv6() -> bool:
    """True while a connection to the dead address has sent its SYN and waits (state 2 of the kernel's table)."""
    lines = Path("/proc/self/net/tcp6").read_text(encoding="ascii").splitlines()[1:]
    return any(line.split()[2].startswith(_DEAD_IN_HEX) and line.split()[3] == "02" for line in lines)
