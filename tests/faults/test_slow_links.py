"""A11: links that are late, narrow, or cut everything into crumbs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import open_world

pytestmark = pytest.mark.fault

_OPTIONS = VenueOptions(symbols=60, speed=8.0, history=25)
_FAULT_S = 12.0
"""Wall seconds: one and a half of the venue's minutes."""


def _latency(proxy: ChaosProxy) -> None:
    proxy.up.latency = proxy.down.latency = 2.0


def _throttled(proxy: ChaosProxy) -> None:
    proxy.up.rate = proxy.down.rate = 10_000.0


def _sliced(proxy: ChaosProxy) -> None:
    proxy.up.slice = proxy.down.slice = 7


_FIRED: dict[Callable[[ChaosProxy], None], str] = {
    _latency: "latency",
    _throttled: "throttled",
    _sliced: "sliced",
}
"""What the proxy then counts."""


@pytest.mark.parametrize("spoil", [_latency, _throttled, _sliced], ids=lambda spoil: spoil.__name__[1:])
async def test_a11_slow_links(tmp_path: Path, database: str, spoil: Callable[[ChaosProxy], None]) -> None:
    """Connections are made and kept on such a link: what comes late is not dead, and REST has what is not there."""
    settings = {"STREAMS_PER_CONNECTION": "40"}
    async with open_world(tmp_path, database, options=_OPTIONS, settings=settings) as world:
        await world.begin()
        connections = await world.live_connections()
        assert connections > 1
        await world.live_rows(1)
        spoil(world.stream)
        frames = (await world.daemon.metrics()).total("ws_frames_total", kind="open")
        dialled = world.stream.fired["connections"]
        assert world.stream.reset_all() == connections
        # The time on such a link is the fault; what must not happen in it is that links are made and given up.
        await asyncio.sleep(_FAULT_S)
        assert world.stream.fired["connections"] - dialled <= 2 * connections, (
            "made and given up, again and again"
        )
        assert world.stream.fired[_FIRED[spoil]] > 2 * connections, "the fault did not fire"
        await eventually(world.has_live_connections(connections), timeout=60)
        await world.daemon.wait_metric("ws_frames_total", frames + 1, kind="open")
        world.stream.heal()
        await eventually(world.has_live_connections(connections), timeout=60)
        await world.finish()
