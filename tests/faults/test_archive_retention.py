"""D15: a filling that reaches further back than RETENTION_DAYS keeps. Nothing is filled and dropped in turn."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from src.model import DAY_MS
from tests.faults.filling import open_past, query, undisturbed
from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_START_MS = 1_780_017_000_000
"""2026-05-29 01:10 UTC. Chunks go whole and begin on Thursdays, of which the 14th and the 21st are two."""
_HISTORY = 19 * 1440
"""Minutes: the symbols were listed on the 10th."""
_NINE_DAYS, _EIGHT_DAYS = date(2026, 5, 14), date(2026, 5, 21)
"""The first day that is kept by so many RETENTION_DAYS."""
_READ_AGAIN = "UPDATE archive_listings SET read_at = read_at - interval '8 days'"


async def test_d15_filling_what_retention_drops(tmp_path: Path, database: str) -> None:
    """What is not kept is never asked for, a command that wants it is refused; what was dropped does not come back."""
    async with open_past(
        tmp_path, database, symbols=3, history=_HISTORY, start_ms=_START_MS, RETENTION_DAYS="9"
    ) as world:
        world.oracle.since_ms = _ms(_NINE_DAYS)
        await world.begin()
        async with undisturbed(world, minutes=1):
            await _refused(world)
            await eventually(lambda: _kept_from(world, _NINE_DAYS), timeout=90)
            # Once more, now that the files are known: this is when it learns when each of them was published.
            await query(world, _READ_AGAIN)
            await eventually(lambda: _listings_read(world), timeout=60)
        assert f"history is filled from {_NINE_DAYS} on" in world.daemon.child.text()
        assert (await world.daemon.metrics()).total("chunks_expired_total") == 0
        downloads = await _downloads(world)
        assert min(downloads) == _NINE_DAYS, "the file of a day that is not kept was fetched"
        await world.daemon.stop()

        # A file of a day that goes now is corrected, and the listing that says so is due to be read again.
        await world.venue.control(
            "republish", symbol=world.venue.symbols[0], open_ms=_ms(_NINE_DAYS) + DAY_MS
        )
        await query(world, _READ_AGAIN)
        world.oracle.since_ms = _ms(_EIGHT_DAYS)
        await world.daemon_with(RETENTION_DAYS="8").begin()
        await world.daemon.wait_metric("chunks_expired_total", 1, dataset="candles_1m")
        await eventually(lambda: _listings_read(world), timeout=60)
        await world.venue.minutes(2)
        seen = await world.daemon.metrics()
        await world.finish()
        assert seen.total("chunks_expired_total", dataset="candles_1m") == 1, (
            "dropped, filled and dropped again"
        )
        assert await _downloads(world) == downloads, "what was dropped was fetched again"
        assert await _kept_from(world, _EIGHT_DAYS)


async def _refused(world: World) -> None:
    """A person who asks for more is told from when on it can be had."""
    command = world.another_daemon("backfill", "--from", "2026-05-11")
    command.start()
    assert await command.child.wait(within=60) == 78, command.child.tail()
    text = command.child.text()
    assert "RETENTION_DAYS=9" in text
    assert f"ask from {_NINE_DAYS} on" in text


async def _kept_from(world: World, first: date) -> bool:
    """Of the days that are over, those since ``first`` are complete, and the others are expired and empty."""
    lines = await query(
        world,
        "SELECT symbol, day, state, have FROM coverage_days"
        " WHERE dataset = 'candles_1m' AND day < %s AND symbol = ANY(%s) ORDER BY symbol, day",
        date(2026, 5, 29),
        world.venue.symbols,
    )
    [(oldest,)] = await query(world, "SELECT min(bucket_ts) FROM candles_1m")
    wanted = [
        (symbol, date(2026, 5, day), *(("complete", 1440) if date(2026, 5, day) >= first else ("expired", 0)))
        for symbol in world.venue.symbols
        for day in range(10, 29)
    ]
    differing = [line for line in lines if line not in wanted]
    assert (lines, oldest) == (wanted, datetime.fromtimestamp(_ms(first) / 1000, UTC)), (
        f"{differing} {oldest}"
    )
    return True


async def _listings_read(world: World) -> bool:
    """Every folder's listing was read since the start."""
    rows = await query(world, "SELECT read_at >= to_timestamp(%s) FROM archive_listings", _START_MS / 1000)
    return rows == [(True,)] * len(world.venue.symbols)


async def _downloads(world: World) -> Counter[date]:
    """How many files of each day were fetched."""
    keys = [str(one["key"]) for one in (await world.venue.stats())["downloads"] if one["status"] == 200]
    return Counter(date.fromisoformat(key[-14:-4]) for key in keys if key.endswith(".zip"))


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
