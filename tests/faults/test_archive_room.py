"""D17: the folder of downloads is nearly full, full, read-only, and runs full. A small disk in a mount namespace."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.filling import daily, day_before, file_lines, finish, open_past, undisturbed
from tests.support.eventually import eventually
from tests.support.namespaces import inside, run_inside
from tests.support.world import World

pytestmark = [pytest.mark.fault, pytest.mark.root]

_DISK_BYTES = 1 << 20
_NEARLY_FULL, _ONE_FILE = 0.05, 0.14
"""Free shares of it: too little for a download to begin, and enough for one or two of eight that then begin."""
_START_MS = 1_780_017_000_000
"""2026-05-29 01:10 UTC."""
_HISTORY = 1510 + 3 * 1440
"""Minutes: three whole days whose files, of 70 kB each, are published, and what only REST has."""
_DAYS = (2, 3, 4)


async def test_d17_no_room_for_downloads(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Files are not asked for, and it says so; all else goes on, and room is all that it takes to read them too."""
    if not inside():
        await run_inside(request, "--mount", prepare=[])
        return
    database: str = request.getfixturevalue("database")
    with _small_disk(tmp_path / "archive") as disk:
        async with open_past(
            tmp_path, database, symbols=4, history=_HISTORY, start_ms=_START_MS, ARCHIVE_FOLDER=str(disk)
        ) as world:
            _fill(disk, leaving=_NEARLY_FULL)
            await world.begin()
            async with undisturbed(world, minutes=1):
                await _paused(world, "disk_low")
                await _mounted(disk, "ro")
                await _paused(world, "folder")
                assert "cannot be written: Read-only file system" in world.daemon.child.text()
                await _mounted(disk, "rw")
                await _paused(world, "disk_low")
                _fill(disk, leaving=0.0)
                await _paused(world, "folder")
                assert await _answers(world) == [], "a file was fetched that could not be kept"
                _fill(disk, leaving=_ONE_FILE)
                await eventually(lambda: _ran_full(world, disk), timeout=60)
                (disk / "ballast").unlink()
                await eventually(lambda: _imported(world), timeout=60)
            seen = await world.daemon.metrics()
            assert seen.labels("backfill_paused", "reason") == {}
            assert 206 in await _answers(world), "what was there of the files was thrown away"
            await finish(world)
            assert list(disk.iterdir()) == []


@contextmanager
def _small_disk(disk: Path) -> Iterator[Path]:
    """A tmpfs, in our namespace only."""
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(disk)], check=True)
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


async def _mounted(disk: Path, how: str) -> None:
    """Mount it anew, ``ro`` or ``rw``: that has to wait for whoever has a file open to write."""

    async def remounted() -> bool:
        process = await asyncio.create_subprocess_exec("mount", "-o", f"remount,{how}", str(disk))
        return await process.wait() == 0

    await eventually(remounted)


def _fill(disk: Path, *, leaving: float) -> None:
    """Put ballast there, or take some away, so that this share of the disk is free."""
    with (disk / "ballast").open("ab", buffering=0) as ballast:
        rest = shutil.disk_usage(disk).free - int(leaving * _DISK_BYTES)
        if rest < 0:
            ballast.truncate(ballast.tell() + rest)
        else:
            ballast.write(bytes(rest))


async def _paused(world: World, reason: str) -> None:
    """Wait until this is why no file is downloaded, and nothing else is."""

    async def condition() -> bool:
        return (await world.daemon.metrics()).labels("backfill_paused", "reason") == {reason: 1.0}

    await eventually(condition, timeout=60, message=reason)


async def _ran_full(world: World, disk: Path) -> bool:
    """What came of a file before there was no room is kept, and nothing more comes."""
    before = _parts(disk)
    await asyncio.sleep(1)
    seen = await world.daemon.metrics()
    paused = bool(seen.labels("backfill_paused", "reason"))
    return paused and any(before.values()) and before == _parts(disk)


def _parts(disk: Path) -> dict[str, int]:
    """The size of every file that is half there."""
    return {part.name: part.stat().st_size for part in disk.glob("*.zip.part")}


async def _imported(world: World) -> bool:
    lines = await file_lines(world)
    files = [daily(symbol, day_before(world, ago)) for symbol in world.venue.symbols for ago in _DAYS]
    return all(file in lines and lines[file].state == "imported" for file in files)


async def _answers(world: World) -> list[int]:
    """The status of every answer to a request for a file."""
    downloads = (await world.venue.stats())["downloads"]
    return [one["status"] for one in downloads if one["key"].endswith(".zip")]
