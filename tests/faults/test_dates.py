"""F10: ends of days, months and years, leap days, and hosts whose clocks change in the middle of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.faults.database import ask
from tests.support.templates import Templates
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_LEDGER = "SELECT symbol, day::text, have::bigint FROM market_data.coverage_days WHERE have > 0 ORDER BY 1, 2"
_DAYS = (
    "SELECT symbol, (bucket_ts AT TIME ZONE 'UTC')::date::text, count(*) FROM market_data.candles_1m"
    " WHERE bucket_ts > '2000-01-01' GROUP BY 1, 2 ORDER BY 1, 2"
)
_BEFORE, _AFTER = (4, 20, 60), 3
"""Minutes from the venue's start to the instant, a longer one where the daemon came too late for it; minutes of all
symbols after the instant."""

_INSTANTS = [
    ("2026-12-01T00:00Z", "America/New_York", 2),
    ("2027-01-01T00:00Z", "Pacific/Kiritimati", 2),
    ("2028-02-29T00:00Z", "Asia/Tokyo", 2),
    ("2028-03-01T00:00Z", "Asia/Kathmandu", 2),
    ("2026-11-01T06:00Z", "America/New_York", 1),
    ("2027-03-28T01:00Z", "Europe/Berlin", 1),
]
"""When, where the host is, and the UTC days that have rows: months and years end, 28 February does not end February,
the leap day does; New York's clocks go back, its hour from 1 to 2 comes twice; Berlin's hour from 2 to 3 is left out.
"""


@pytest.mark.parametrize(("instant", "zone", "days"), _INSTANTS, ids=[when for when, _, _ in _INSTANTS])
async def test_f10_dates(
    tmp_path: Path, database_templates: Templates, instant: str, zone: str, days: int
) -> None:
    """Venue, host and instant meet in the middle of the run; a day is a UTC day in every table."""
    moment_ms = int(datetime.fromisoformat(instant).timestamp() * 1000)
    for before in _BEFORE:
        folder = tmp_path / str(before)
        folder.mkdir()
        with database_templates.clone(database_templates.migrated()) as database:
            options = VenueOptions(start_ms=moment_ms - before * 60_000)
            async with open_world(folder, database, options=options, settings={"TZ": zone}) as world:
                await world.begin()
                if await world.venue.now_ms() >= moment_ms:
                    continue
                stored = await _lived_through(world, moment_ms, zone)
            counted = await ask(database, _DAYS)
            assert counted == await ask(database, _LEDGER)
            assert len({day for _, day, _ in counted}) == days
            assert sum(int(str(rows)) for _, _, rows in counted) >= stored
            return
    pytest.fail("the instant always passed before the daemon was ready")


async def _lived_through(world: World, moment_ms: int, zone: str) -> int:
    """Live rows of before and after; how many rows are stored in the end."""
    await world.live_rows(1)
    await world.venue.minutes(max(0, moment_ms - await world.venue.now_ms()) / 60_000)
    await world.live_rows(_AFTER)
    assert (await world.daemon.metrics()).total("rows_rejected_total") == 0
    assert f"TZ={zone}" in environment(world.daemon.child.pid)
    return (await world.finish()).stored


def environment(pid: int) -> list[str]:
    """What a process was started with, as ``NAME=value``."""
    return Path(f"/proc/{pid}/environ").read_text(encoding="utf-8").split("\0")
