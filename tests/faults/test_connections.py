"""A1, A2: connections that end in the middle of a minute."""

from __future__ import annotations

import pytest

from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_BACK_S = 5.0
"""Wall seconds in which every connection must be back."""


@pytest.mark.parametrize(("row", "reason"), [("a1", "fin"), ("a2", "reset")])
async def test_connections_cut_mid_minute(world: World, row: str, reason: str) -> None:
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
