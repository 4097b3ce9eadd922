"""A8: handshakes that are refused, answered with something else, or shown the wrong certificate."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_ANSWERS = [
    ("handshake_403", {"status": 403}),
    ("handshake_429", {"status": 429}),
    ("handshake_451", {"status": 451}),
    ("handshake_5xx", {"status": 503, "html": True}),
    ("handshake_other", {"status": 200, "html": True}),
    ("handshake_other", {"status": 302, "location": "http://127.0.0.1:9/market/stream"}),
]
_LONG = {"handshake_403", "handshake_429", "handshake_451"}


@pytest.mark.parametrize(("reason", "fault"), _ANSWERS, ids=["403", "429", "451", "503", "html", "redirect"])
async def test_a8_wrong_answers(world: World, reason: str, fault: dict[str, object]) -> None:
    """Counted by what it was, tried again with a backoff and never in a busy loop; REST covers meanwhile."""
    await world.begin()
    connections = await world.live_connections()
    await world.live_rows(1)
    await world.venue.control("handshake", **fault)
    began = await world.venue.now_ms()
    assert world.stream.reset_all() == connections
    await world.daemon.wait_metric("ws_reconnects_total", 2 * connections, reason=reason)
    attempts = [one for one in (await world.venue.stats())["attempts"] if one["at_ms"] >= began]
    seconds = (await world.venue.now_ms() - began) / 1000
    least = 10 if reason in _LONG else 1
    assert len(attempts) <= connections * (1 + seconds / least), "attempts come too fast"
    assert await world.venue.fired("handshake") >= 2 * connections
    await world.venue.clear()
    await eventually(world.has_live_connections(connections), timeout=60)
    await world.live_rows(4)
    await world.finish()


async def test_a8_wrong_certificates(tmp_path: Path, database: str) -> None:
    """Unknown authority, expired, another host: refused each time, and the right one is taken again."""
    trusted, unknown = Authority(tmp_path, "trusted"), Authority(tmp_path, "unknown")
    good = trusted.server("127.0.0.1")
    wrong = (
        unknown.server("127.0.0.1"),
        trusted.server("127.0.0.1", expired=True),
        trusted.server("10.1.2.3"),
    )
    async with open_world(tmp_path, database) as world, ChaosProxy(world.venue.address, tls=good) as front:
        url = f"wss://127.0.0.1:{front.port}/market"
        await world.daemon_with(BINANCE_WS_URL=url, SSL_CERT_FILE=str(trusted.file)).begin()
        connections = await world.live_connections()
        refused = 0.0
        for certificate in wrong:
            await world.live_rows(1)
            await _show(front, certificate)
            opened = (await world.venue.stats())["opened"]
            seen = await world.daemon.wait_metric("ws_reconnects_total", refused + connections, reason="tls")
            assert (await world.venue.stats())["opened"] == opened, "a wrong certificate was trusted"
            await _show(front, good)
            await eventually(world.has_live_connections(connections), timeout=60)
            seen = await world.daemon.metrics()
            refused = seen.total("ws_reconnects_total", reason="tls")
        assert refused >= 3 * connections
        assert world.stream.fired["connections"] == 0, "the stream went past its address"
        await world.live_rows(2)
        await world.finish()


async def _show(front: ChaosProxy, certificate: object) -> None:
    """Show another certificate to whoever comes next, and cut who is there."""
    await front.refuse()
    front.tls = certificate  # type: ignore[assignment]
    front.reset_all()
    await asyncio.sleep(0)
    await front.listen()
