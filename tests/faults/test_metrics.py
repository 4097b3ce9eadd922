"""C13: one of the five endpoints of futures metrics fails while the sweep goes round."""

from __future__ import annotations

import asyncio

import pytest

from src.model import DAY_MS, FIVE_MINUTES_MS
from tests.integration.metrics.sandbox_world import TAKER, stored, world
from tests.support.eventually import eventually

pytestmark = pytest.mark.fault

_TAKER_PATH = "takerlongshortRatio"


@pytest.mark.parametrize("mode", ["error", "html", "truncated", "reset"])
async def test_c13_one_of_five_endpoints_fails(database: str, mode: str) -> None:
    """NULL and never 0 while it lasts, no other column late; filled to the last row once it answers."""
    async with world(database, symbols=20, speed=100) as it:
        begun_ms = it.clock.now_ms() // FIVE_MINUTES_MS * FIVE_MINUTES_MS
        fault = it.sandbox.control.rest(mode=mode, status=500, path=_TAKER_PATH)
        running = asyncio.create_task(it.sweep().run(), name="sweep")
        try:

            async def others_complete() -> bool:
                expected = it.truth(begun_ms - DAY_MS, begun_ms + FIVE_MINUTES_MS)
                found = await stored(database)
                assert all(values[TAKER] is None for values in found.values()), "it failed all the time"
                return len({end_ms for _, end_ms in expected if end_ms > begun_ms}) > 0 and all(
                    found.get(key, ())[:TAKER] == values[:TAKER] for key, values in expected.items()
                )

            await eventually(others_complete, timeout=60)
            await eventually(lambda: it.count("metric_series_resting", series="taker") == 1)
            assert sum(it.failures().values()) >= 3
            assert {series for series, _ in it.failures()} == {"taker"}

            it.sandbox.control.clear()

            async def all_complete() -> bool:
                expected = it.truth(begun_ms - DAY_MS, begun_ms + 2 * FIVE_MINUTES_MS)
                found = await stored(database)
                return all(found.get(key) == values for key, values in expected.items())

            await eventually(all_complete, timeout=60)
        finally:
            running.cancel()
            await asyncio.wait({running})
        assert fault.fired >= 3
