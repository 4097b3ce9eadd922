"""A1, A2, A5, A7, A12, A15 to A17: connections that end, hang or choke. Rows of docs/faults.md."""

from __future__ import annotations

import time

import pytest

from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_BACK_S = 5.0
"""Wall seconds in which every connection must be back."""
_SILENCE_S = 30.0
"""Wall seconds in which a connection without data must be given up."""


@pytest.mark.parametrize(("row", "reason"), [("a1", "fin"), ("a2", "reset")])
async def test_a1_a2_cut_mid_minute(world: World, row: str, reason: str) -> None:
    await world.begin()
    connections = await world.live_connections()
    for round_number in range(1, 4):
        await world.live_rows(1)
        cut = world.stream.close_all() if row == "a1" else world.stream.reset_all()
        assert cut == connections
        seen = await world.daemon.wait_metric(
            "ws_reconnects_total", round_number * cut, reason=reason, within=_BACK_S
        )
        assert seen.total("ws_reconnects_total") == round_number * cut, "a reason that nobody caused"
        await eventually(lambda: world.stream.connections == connections, timeout=_BACK_S)
    assert world.stream.fired["fin" if row == "a1" else "rst"] == 3 * connections
    await world.live_rows(2)
    await world.finish()


async def test_a5_half_open(world: World) -> None:
    """REST is cut off as well, so nothing can hide the silence: not ready, and back."""
    await world.begin()
    connections = await world.live_connections()
    await world.live_rows(1)
    async with world.daemon.readiness() as readiness:
        for path in (world.stream.up, world.stream.down, world.rest.up, world.rest.down):
            path.blackhole = True
        await world.daemon.wait_metric("ws_reconnects_total", connections, reason="idle", within=_SILENCE_S)
        await eventually(lambda: readiness.went_away, timeout=_SILENCE_S)
        world.stream.heal()
        world.rest.heal()
        assert world.stream.fired["blackholed_bytes"] > 0
        await world.live_rows(2)
        await world.finish(readiness=readiness)


async def test_a7_everything_dropped_at_once(world: World) -> None:
    await world.daemon_with(STREAMS_PER_CONNECTION="27").begin()
    connections = await world.live_connections()
    assert connections == 8
    for _ in range(4):
        await world.live_rows(1)
        assert world.stream.reset_all() == connections
        await eventually(lambda: world.stream.connections == connections, timeout=_BACK_S)
    await world.live_rows(1)
    stats = await world.venue.stats()
    attempts = [one["at_ms"] for one in stats["attempts"]]
    assert len(attempts) >= 5 * connections
    assert _most_within(attempts, 300_000) <= 300, "the address may make 300 attempts in 5 minutes"
    for number in {one["connection"] for one in stats["subscriptions"]}:
        asked = [one["monotonic"] for one in stats["subscriptions"] if one["connection"] == number]
        assert _most_within(asked, 1.0) <= 10, "a connection may ask ten times a second"
    herd = [at - attempts[connections] for at in attempts[connections : 2 * connections]]
    assert max(herd) > 0, "all came back in the same millisecond"
    await world.finish()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1001, "close_1001"),
        (1006, "fin"),
        (1008, "policy"),
        (1009, "close_1009"),
        (1011, "close_1011"),
        (1012, "close_1012"),
        (1013, "close_1013"),
    ],
    ids=str,
)
async def test_a12_close_codes(world: World, code: int, reason: str) -> None:
    await world.begin()
    connections = await world.live_connections()
    await world.live_rows(1)
    began = time.monotonic()
    assert await world.venue.control("close", code=code) == connections
    seen = await world.daemon.wait_metric("ws_reconnects_total", connections, reason=reason, within=_BACK_S)
    assert seen.labels("ws_reconnects_total", "reason") == {reason: connections}
    await eventually(world.has_live_connections(connections), timeout=_BACK_S + 60 / world.speed)
    if reason == "policy":
        assert (time.monotonic() - began) * world.speed >= 10, "after 1008 the venue wants to be left alone"
    assert await world.venue.fired("close") == connections
    await world.live_rows(3)
    await world.finish()


async def test_a12_server_shutdown_event(world: World) -> None:
    """The announcement alone: the replacement delivers before the venue closes, so nothing has to be asked."""
    await world.begin()
    connections = await world.live_connections()
    await world.live_rows(1)
    assert await world.venue.control("shutdown_event", then_close=False) == connections
    await world.daemon.wait_metric("ws_reconnects_total", connections, reason="server_shutdown")
    assert await world.venue.fired("shutdown_event") == connections
    await world.live_rows(3)
    await world.finish()


async def test_a15_huge_and_endless_messages(world: World) -> None:
    await world.begin()
    assert world.before is not None
    for rounds, name in enumerate(("huge", "unfinished"), start=1):
        await world.live_rows(1)
        target = await world.a_connection()
        assert await world.venue.control("malformed", names=[name], connection=target) == 1
        seen = await world.daemon.wait_metric("ws_reconnects_total", rounds)
        # Pieces without an end are no data: whichever limit is reached first, size or silence, ends it.
        assert seen.labels("ws_reconnects_total", "reason").keys() <= {"oversize", "idle"}
        usage = world.daemon.child.usage()
        assert usage.resident_mb < world.before.resident_mb + 40, "the message was kept"
    assert await world.venue.fired("malformed") == 2
    await world.live_rows(1)
    await world.finish()


async def test_a16_frame_cut_mid_byte(world: World) -> None:
    await world.begin()
    for number in range(1, 6):
        await world.live_rows(0.5)
        world.stream.down.limit = 10_007 * number
        await world.daemon.wait_metric("ws_reconnects_total", number, within=_SILENCE_S)
        assert world.stream.fired["cut"] == number
    assert await world.venue.control("malformed", names=["cut"], connection=await world.a_connection()) == 1
    await world.daemon.wait_metric("ws_reconnects_total", 6, within=_BACK_S)
    await world.live_rows(2)
    await world.finish()


async def test_a17_server_stops_reading(world: World) -> None:
    """New connections are accepted and never read: no ack, no data; they are given up and made anew."""
    await world.begin()
    connections = await world.live_connections()
    await world.venue.control("stop_reading", new=True)
    assert await world.venue.control("reset") == connections
    await world.daemon.wait_metric("ws_reconnects_total", 2 * connections, within=_SILENCE_S)
    assert await world.venue.fired("stop_reading") >= connections
    await world.venue.clear()
    await eventually(world.has_live_connections(connections), timeout=_SILENCE_S)
    await world.live_rows(3)
    await world.finish()


def _most_within(moments: list[float], window: float) -> int:
    """The largest number of moments in any window of that length."""
    ordered = sorted(moments)
    return max((sum(at <= later < at + window for later in ordered) for at in ordered), default=0)
