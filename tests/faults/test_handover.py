"""A6, A13, A14: the 24 h cut, a blocked event loop, a burst. Two of them need what production has no setting for."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from src.model import floor_minute
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_VARIANT = "tests.support.variant"
_IN_TIME_S = 5.0
"""Wall seconds from a close to its commit; the metric counts those of the venue."""
_WINDOW_S = 0.5
"""Wall seconds for which the writer collects rows at least."""


async def test_a6_connections_are_renewed_before_the_cut(tmp_path: Path, database: str) -> None:
    """The venue cuts at 12 minutes of age, renewal is due after 4 to 6. No candle may come over REST meanwhile."""
    settings = {"FAULT_TAKEOVER_AGE_S": "300", "FAULT_TAKEOVER_JITTER_S": "60"}
    async with open_world(tmp_path, database, settings=settings, module=_VARIANT) as world:
        await world.begin()
        connections = await world.live_connections()
        await world.venue.control("max_age", seconds=720)
        await world.venue.control("rest", mode="error", status=503, path="klines")
        began = floor_minute(await world.venue.now_ms())
        await eventually(lambda: world.stream.connections > connections, timeout=60, message="an overlap")
        await world.daemon.wait_metric("ws_reconnects_total", 2 * connections, reason="lifetime", within=90)
        await world.live_rows(2)
        await _all_came_by_stream(world, began)
        seen = await world.daemon.metrics()
        assert seen.labels("ws_reconnects_total", "reason").keys() == {"lifetime"}, "the venue was faster"
        assert await world.venue.fired("max_age") == 0
        await world.venue.clear()
        await world.finish()


async def _all_came_by_stream(world: World, began: int) -> None:
    until = floor_minute(await world.venue.now_ms())
    symbols = set(world.venue.symbols)

    async def complete() -> bool:
        stored = await world.oracle.stored()
        missing = [
            (symbol, minute)
            for minute in range(began, until, 60_000)
            for symbol in symbols
            if (symbol, minute) not in stored
        ]
        assert not missing, f"{len(missing)} are missing without REST: {missing[:5]}"
        return True

    await eventually(complete, timeout=60)


async def test_a13_blocked_event_loop(tmp_path: Path, database: str) -> None:
    """Ten seconds of standstill, 200 of the venue's: queues stay bounded, and what was missed is read back."""
    async with open_world(tmp_path, database, settings={"FAULT_BLOCK_S": "10"}, module=_VARIANT) as world:
        await world.begin()
        await world.live_rows(2)
        assert world.before is not None
        world.daemon.child.signal(signal.SIGUSR1)
        await world.venue.minutes(10 / 60 * world.speed)
        seen = await world.daemon.wait_metric("event_loop_lag_seconds_sum", 9)
        usage = world.daemon.child.usage()
        assert usage.resident_mb < world.before.resident_mb + 60, "the standstill was piled up in memory"
        assert seen.total("rows_dropped_total") == 0
        await world.live_rows(3)
        await world.finish()


async def test_a14_burst(tmp_path: Path, database: str) -> None:
    """All closes of a minute five times over within a moment: a few flushes, no row twice in one statement."""
    speed = 4.0
    options = VenueOptions(speed=speed, history=5)
    async with open_world(tmp_path, database, options=options) as world:
        await world.begin()
        await world.live_rows(1)
        symbols = len(world.venue.symbols)
        for _ in range(3):
            before = await world.daemon.metrics()
            received = before.total("rows_received_total", source="binance_ws")
            began = time.monotonic()
            assert await world.venue.control("burst", times=5) == 5 * symbols
            after = await world.daemon.wait_metric(
                "rows_received_total", received + 5 * symbols, source="binance_ws"
            )
            flushes = after.total("flush_total") - before.total("flush_total")
            # What takes a slow machine longer to read comes in more windows.
            windows = (time.monotonic() - began) / _WINDOW_S
            assert flushes <= 5 + windows, "a burst must not be stored row by row"
        await world.live_rows(2)
        seen = await world.daemon.metrics()
        assert seen.total("database_errors_total", sqlstate_class="21") == 0
        committed = seen.total("close_to_commit_seconds_count")
        late = committed - seen.total("close_to_commit_seconds_bucket", le=f"{_IN_TIME_S * speed:.1f}")
        # What a burst repeats is half a minute old and rightly counts as late.
        assert late <= 3 * symbols + 0.02 * committed
        assert committed - late >= 2 * symbols
        assert await world.venue.fired("burst") == 15 * symbols
        await world.finish()
