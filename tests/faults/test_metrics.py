"""C13: one of the five endpoints of futures metrics fails while the daemon's sweep goes round."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.model import DAY_MS, FIVE_MINUTES_MS
from tests.integration.metrics.sandbox_world import TAKER, Rows, rows_of, stored
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_OPTIONS = VenueOptions(symbols=20, speed=60.0, history=300)
"""Five hours lie behind, and every five minutes of the venue take five seconds."""
_TAKER_PATH = "takerlongshortRatio"


@pytest.mark.parametrize("mode", ["error", "html", "truncated", "reset"])
async def test_c13_one_of_five_endpoints_fails(tmp_path: Path, database: str, mode: str) -> None:
    """NULL and never 0 while it lasts, no other column late; filled to the last row once it answers."""
    async with open_world(tmp_path, database, options=_OPTIONS, arguments=("--ws", "--metrics")) as world:
        venue = world.venue
        since_ms = venue.started_ms - DAY_MS
        await venue.control("rest", mode=mode, status=500, path=_TAKER_PATH)
        await world.begin()
        await world.daemon.wait_metric("metric_series_resting", 1, series="taker")
        expected = await _truth(world, since_ms)
        assert len(expected) > 1000

        async def others_complete() -> bool:
            await world.venue.minutes(0.3)
            found = await stored(database)
            return all(found.get(key, ())[:TAKER] == values[:TAKER] for key, values in expected.items())

        await eventually(others_complete, timeout=60)
        assert {values[TAKER] for values in (await stored(database)).values()} == {None}
        seen = await world.daemon.metrics()
        assert seen.labels("metric_requests_failed_total", "series").keys() == {"taker"}
        assert await venue.fired("rest") >= 3
        await venue.clear()
        expected = await _truth(world, since_ms)

        async def all_complete() -> bool:
            await world.venue.minutes(0.3)
            found = await stored(database)
            return all(found.get(key) == values for key, values in expected.items())

        await eventually(all_complete, timeout=60)
        await world.finish()


async def _truth(world: World, since_ms: int) -> Rows:
    """All rows of periods that are over by now, and of the one that is under way, once it is over."""
    venue = world.venue
    until_ms = await venue.now_ms() // FIVE_MINUTES_MS * FIVE_MINUTES_MS + FIVE_MINUTES_MS
    while await venue.now_ms() < until_ms:
        await venue.minutes(0.5)
    rows: Rows = {}
    for symbol in venue.symbols:
        rows |= rows_of(symbol, venue.metrics(symbol, since_ms, until_ms))
    return rows
