"""A10: the HTTP proxy refuses, wants a password, hangs, dies. Nothing may ever go past it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.chaosproxy import ChaosProxy
from tests.support.connectproxy import ConnectMode, ConnectProxy, Trap
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_ADDRESS = "0.0.0.0"  # noqa: S104 - not loopback by name, so the proxy is used; where it leads is this machine
_OPTIONS = VenueOptions(symbols=60, speed=1.0, history=25)
"""Faster than the wall goes on loopback addresses only, and those need no proxy."""
_BACK_S = 90.0


@dataclass(slots=True)
class _Proxied:
    world: World
    proxy: ConnectProxy
    trap: Trap
    front: ChaosProxy


@asynccontextmanager
async def behind_a_proxy(folder: Path, database: str) -> AsyncIterator[_Proxied]:
    """The daemon knows the venue by an address where only the trap listens; tunnels lead to the venue's TLS."""
    authority = Authority(folder, "authority")
    async with (
        open_world(folder, database, options=_OPTIONS) as world,
        Trap() as trap,
        ChaosProxy(world.venue.address, tls=authority.server(_ADDRESS)) as front,
        ConnectProxy({trap.port: ("127.0.0.1", front.port)}) as proxy,
    ):
        place = f"{_ADDRESS}:{trap.port}"
        world.daemon_with(
            BINANCE_REST_URL=f"https://{place}",
            BINANCE_WS_URL=f"wss://{place}/market",
            HTTP_PROXY=proxy.url,
            SSL_CERT_FILE=str(authority.file),
        )
        world.venue_links = lambda: front.connections
        yield _Proxied(world, proxy, trap, front)


@pytest.mark.parametrize("fault", ["refused", *(mode.value for mode in ConnectMode if mode.value != "open")])
async def test_a10_proxy_faults(tmp_path: Path, database: str, fault: str) -> None:
    async with behind_a_proxy(tmp_path, database) as given:
        world, proxy = given.world, given.proxy
        await world.begin()
        connections = await world.live_connections()
        attempts = (await world.daemon.metrics()).total("ws_reconnects_total")
        if fault == "refused":
            await proxy.refuse()
        else:
            proxy.mode = ConnectMode(fault)
            assert proxy.cut_tunnels() >= connections
        await world.daemon.wait_metric("ws_reconnects_total", attempts + 3 * connections)
        assert proxy.fired[fault] >= 1
        assert given.trap.caught == 0, "it went round the proxy"
        proxy.mode = ConnectMode.OPEN
        await proxy.listen()
        await eventually(world.has_live_connections(connections), timeout=_BACK_S)
        await world.finish(fresh=_BACK_S)
        assert given.trap.caught == 0, "it went round the proxy"
        assert set(proxy.asked) == {f"{_ADDRESS}:{given.trap.port}"}
        assert world.rest.fired["connections"] == world.stream.fired["connections"] == 0
        assert given.front.fired["connections"] <= proxy.fired["tunnels"]
