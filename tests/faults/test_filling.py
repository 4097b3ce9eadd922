"""D16: the history is filled with all that budget and database give, beside candles that must be stored in time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.daemon import Samples
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import open_world

pytestmark = pytest.mark.fault

_OPTIONS = VenueOptions(symbols=20, speed=10.0, history=5000)
"""Three and a half days: whole days come from archive files, the last 25 h over REST."""
_WEIGHT = 60
"""A minute. REST's part of the history takes 120 at least, and the roll call half of it as long as closes are lost."""
_IN_TIME = "60.0"
"""Venue seconds from a close to its commit, six real ones. At 6 s the roll call asks for what the stream lost; were it
to wait behind the history, it would wait for the next minute, which is more on any machine. (How long it takes on a
quiet one is measured by benchmarks/live_backfill.py.)"""
_LOOKS = 3
"""Of some seconds each, at which requests for the past wait: a slow machine looks seldom, and the past runs out."""


async def test_d16_filling_takes_all_that_is_left(tmp_path: Path, database: str) -> None:
    """The budget is used up and files are imported; live rows, and those that the roll call fetches, do not wait."""
    settings = {
        "RATE_LIMIT_PER_MINUTE": str(_WEIGHT),
        "BACKFILL_FROM": "30d",
        "ARCHIVE_FOLDER": str(tmp_path / "archive"),
    }
    arguments = ("--ws", "--backfill")
    async with open_world(
        tmp_path, database, options=_OPTIONS, settings=settings, arguments=arguments
    ) as world:
        await world.begin()
        await world.venue.control("drop_close", share=0.5)
        before = await world.daemon.metrics()
        queued = 0
        end_ms = await world.venue.now_ms() + 180_000

        async def over() -> bool:
            """Three minutes at least, in which all of that was to be seen."""
            nonlocal queued
            await world.venue.minutes(0.1)
            seen = await world.daemon.metrics()
            queued += _waiting(seen) > 0
            assert queued >= _LOOKS, "the budget was not used up"
            assert _files(seen) > _files(before), "no file was imported meanwhile"
            assert await world.venue.fired("drop_close") >= len(world.venue.symbols)
            return await world.venue.now_ms() >= end_ms

        await eventually(over, timeout=90)
        seen = await world.daemon.metrics()
        live = _committed(seen) - _committed(before)
        late = live - (_committed(seen, le=_IN_TIME) - _committed(before, le=_IN_TIME))
        assert live >= 2 * len(world.venue.symbols), "live rows did not come at all"
        assert late <= 0.01 * live + 2, f"{late:.0f} of {live:.0f} live rows waited"
        assert seen.total("rest_requests_total", code="429") == 0
        await world.venue.clear()
        await world.finish()


def _waiting(seen: Samples) -> float:
    """Requests for the past that wait for weight."""
    return sum(
        seen.total("rate_limit_waiting_requests", budget="fapi", priority=name)
        for name in ("repair", "history")
    )


def _files(seen: Samples) -> float:
    return seen.total("archive_imports_total")


def _committed(seen: Samples, **bucket: str) -> float:
    """Live rows that were committed, or those of them within the bucket."""
    return seen.total(
        "close_to_commit_seconds_bucket" if bucket else "close_to_commit_seconds_count", **bucket
    )
