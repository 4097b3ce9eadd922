"""Verifying: every complete day once, republished files again, and nothing while somebody fills."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

import pytest

from src.collectors.backfill.files import FileWork
from src.collectors.backfill.folder import DownloadFolder
from src.collectors.backfill.verify import READ_AGAIN_MS, Verifier
from src.collectors.listings.selection import Selection
from src.errors import Unavailable
from src.model import DAY_MS, MINUTE_MS, ArchiveFile, Dataset, FileState, Listing, Span
from src.ports import Priority
from tests.support.archive_layout import PlainLayout
from tests.support.fakes import count
from tests.support.history_world import start_of
from tests.unit.backfill.world import NOW_MS, Parts, make_parts

FIRST = date(2026, 3, 10)
LIVE = Listing("BTCUSDT", start_of(FIRST), 10**14)
LAYOUT = PlainLayout()


def _file(day: date, folder: str = "BTCUSDT") -> ArchiveFile:
    return LAYOUT.file(Dataset.CANDLES, Span.DAILY, folder, "BTCUSDT", day)


def _verifier(parts: Parts, floor_ms: int = 0) -> Verifier:
    world = parts.world
    folder = DownloadFolder(parts.folder, free=lambda _: parts.free)
    files = FileWork(world, world, world, folder, world.clock, parts.metrics, workers=2)
    return Verifier(
        parts.campaign,
        files,
        world,
        world,
        world,
        world,
        LAYOUT,
        Selection(),
        world.clock,
        parts.metrics,
        floor=lambda _: floor_ms,
    )


def _full(folder: Path, *listings: Listing) -> Parts:
    parts = make_parts(folder, listings or [LIVE])
    for item in listings or [LIVE]:
        parts.world.store(item.symbol, *item.window(0, NOW_MS))
    return parts


async def test_every_complete_day_is_compared_once(tmp_path: Path) -> None:
    parts = _full(tmp_path)
    parts.world.corrections[_file(date(2026, 3, 12)).path] = 3
    parts.world.rises[_file(date(2026, 3, 13)).path] = 1440  # from the stream, with the same values
    verifier = _verifier(parts)
    assert await verifier.compare() == 9
    assert sorted(parts.world.imported) == [(_file(date(2026, 3, day)).path, False) for day in range(10, 19)]
    assert count(parts.metrics, "verified_files_total", result="equal") == 8
    assert count(parts.metrics, "verified_files_total", result="corrected") == 1
    assert parts.world.priorities == {Priority.VERIFY}
    assert await verifier.compare() == 0
    assert len(parts.world.imported) == 9


async def test_a_file_that_is_not_there_is_not_waited_for(tmp_path: Path) -> None:
    parts = _full(tmp_path)
    parts.world.unpublished.add(_file(date(2026, 3, 18)).path)
    parts.world.damaged.add(_file(date(2026, 3, 17)).path)
    verifier = _verifier(parts)
    assert await verifier.compare() == 7
    assert await verifier.compare() == 0
    assert count(parts.metrics, "verified_files_total", result="missing") == 1
    assert count(parts.metrics, "verified_files_total", result="quarantined") == 1
    assert parts.world.fetched.count(_file(date(2026, 3, 18)).path) == 1


async def test_an_archive_that_is_away_is_not_a_verdict(tmp_path: Path) -> None:
    parts = _full(tmp_path)
    parts.world.errors = {"fetch": [Unavailable("away")] * 9}
    verifier = _verifier(parts)
    with pytest.raises(Unavailable):
        await verifier.compare()
    assert not parts.world.days_verified
    assert await verifier.compare() == 9


async def test_both_folders_of_a_day_with_two_listings_are_read(tmp_path: Path) -> None:
    day = date(2026, 3, 12)
    earlier = Listing("BTCUSDT", start_of(day), start_of(day) + 600 * MINUTE_MS)
    later = Listing("BTCUSDT", start_of(day) + 700 * MINUTE_MS, start_of(day) + DAY_MS)
    parts = _full(tmp_path, earlier, later)
    parts.world.folder_names["BTCUSDT", earlier.onboard_ms] = "BTCUSDTSETTLED"
    await _verifier(parts).compare()
    assert sorted(path for path, _ in parts.world.imported) == [
        _file(day).path,
        _file(day, "BTCUSDTSETTLED").path,
    ]


async def test_verifying_waits_while_somebody_fills(tmp_path: Path) -> None:
    parts = _full(tmp_path)
    async with parts.campaign.turn():
        verifying = asyncio.create_task(_verifier(parts).compare(), name="verify")
        await asyncio.sleep(0.01)
        assert not parts.world.fetched
    assert await verifying == 9


async def test_a_file_that_was_published_again_is_imported_again(tmp_path: Path) -> None:
    parts = _full(tmp_path)
    verifier = _verifier(parts)
    await verifier.compare()
    changed, same = _file(date(2026, 3, 12)), _file(date(2026, 3, 13))
    never_read = _file(date(2026, 3, 19))
    listing = [(changed, NOW_MS - DAY_MS), (same, NOW_MS - DAY_MS), (never_read, NOW_MS)]
    parts.world.listed_files["BTCUSDT"] = listing
    parts.world.imported.clear()
    assert await verifier.read_again() == 0
    assert await verifier.read_again() == 0
    parts.world.clock.advance(READ_AGAIN_MS / 1000 + 1)
    parts.world.listed_files["BTCUSDT"] = [(changed, NOW_MS), (same, NOW_MS - DAY_MS), (never_read, NOW_MS)]
    assert await verifier.read_again() == 1
    assert parts.world.imported == [(changed.path, False)]
    assert parts.world.files_known[changed.path].state is FileState.IMPORTED


async def test_a_republished_file_that_could_not_be_read_is_not_forgotten(tmp_path: Path) -> None:
    parts = _full(tmp_path)
    verifier = _verifier(parts)
    await verifier.compare()
    first, second = _file(date(2026, 3, 12)), _file(date(2026, 3, 13))
    parts.world.listed_files["BTCUSDT"] = [(first, NOW_MS + 1), (second, NOW_MS + 1)]
    parts.world.imported.clear()
    parts.world.errors = {"fetch": [Unavailable("away")] * 2}
    with pytest.raises(Unavailable):
        await verifier.read_again()
    parts.world.errors = {"fetch": [Unavailable("away")]}
    assert await verifier.read_again() == 1
    assert await verifier.read_again() == 1
    assert sorted(parts.world.imported) == [(first.path, False), (second.path, False)]
    assert await verifier.read_again() == 0


async def test_a_republished_file_waits_for_whoever_fills(tmp_path: Path) -> None:
    parts = _full(tmp_path)
    verifier = _verifier(parts)
    await verifier.compare()
    changed = _republished(parts)
    async with parts.campaign.turn():
        reading = asyncio.create_task(verifier.read_again(), name="read again")
        filling = asyncio.create_task(_a_turn(parts), name="somebody else")
        await asyncio.sleep(0.01)
    assert await reading == 0, "it gave way"
    await filling
    assert await verifier.read_again() == 1
    assert parts.world.imported == [(changed.path, False)]


def _republished(parts: Parts) -> ArchiveFile:
    """A file that the listing says was published anew."""
    changed = _file(date(2026, 3, 12))
    parts.world.listed_files["BTCUSDT"] = [(changed, NOW_MS + 1)]
    parts.world.imported.clear()
    return changed


async def _a_turn(parts: Parts) -> None:
    async with parts.campaign.turn():
        pass


async def test_what_retention_dropped_is_not_brought_back_by_a_new_file(tmp_path: Path) -> None:
    """D15: the file's day is gone from the table, and its listing says that it was published anew."""
    parts = _full(tmp_path)
    floor_ms = start_of(date(2026, 3, 13))
    verifier = _verifier(parts, floor_ms)
    await verifier.compare()
    dropped, kept = _file(date(2026, 3, 12)), _file(date(2026, 3, 13))
    parts.world.listed_files["BTCUSDT"] = [(dropped, NOW_MS + 1), (kept, NOW_MS + 1)]
    parts.world.imported.clear()
    assert await verifier.read_again() == 1
    assert parts.world.imported == [(kept.path, False)]


async def test_a_file_changed_before_its_listing_was_ever_read_is_seen_by_its_time(tmp_path: Path) -> None:
    parts = _full(tmp_path)
    verifier = _verifier(parts)
    await verifier.compare()
    changed = _republished(parts)
    assert await verifier.read_again() == 1
    assert parts.world.imported == [(changed.path, False)]


async def test_a_delisted_symbol_is_not_watched_for_ever(tmp_path: Path) -> None:
    gone = Listing("BTCUSDT", start_of(date(2025, 1, 1)), start_of(date(2025, 1, 2)))
    parts = make_parts(tmp_path, [gone])
    assert await _verifier(parts).read_again() == 0
    assert not parts.world.listings_read
