"""D4: a daemon that ends in the middle of a download, by any signal, goes on where the file ends."""

from __future__ import annotations

import signal
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from src.model import DAY_MS
from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import World

from .filling import asked, daily, day_before, downloads, file_lines, finish, open_past, sources, undisturbed

pytestmark = pytest.mark.fault

_LATER_DAYS = 12
_START_MS = VenueOptions().start_ms + _LATER_DAYS * DAY_MS
"""The ninth of June: the file of May is there, with what the symbols have of it."""
_HISTORY = 39 * 1440 + 1227
"""Since the first of May. A month's file has 2 MB, so that a half, a half of the rest and a half of that are each more
than a block."""
_MONTH, _INSIDE = "2026-05", date(2026, 5, 20)
_BLOCK = 256 * 1024
"""A part grows by so much."""
_ENDS = {signal.SIGKILL: -signal.SIGKILL, signal.SIGTERM: 0, signal.SIGINT: 0}
"""How the daemon is ended, and its exit code."""


async def test_d4_ended_in_the_middle_of_a_download(tmp_path: Path, database: str) -> None:
    """Half of a file comes, and no more while the fault lasts: each end leaves a part, and each start goes on at its
    end. What lay in the folder under the names of files is believed to be neither."""
    async with open_past(tmp_path, database, symbols=2, history=_HISTORY, start_ms=_START_MS) as world:
        stalled, other = world.venue.symbols
        final, part = _names(tmp_path, _file(stalled))
        littered, poisoned = (daily(other, day_before(world, days)) for days in (3, 4))
        _litter(tmp_path, littered, poisoned)
        await world.venue.control("archive", mode="stall", path=_file(stalled))
        await world.begin()
        async with undisturbed(world):
            await eventually(partial(_has_grown, part, 0), timeout=60)
        size = 0
        for number, code in _ENDS.items():
            await eventually(partial(_has_grown, part, size), timeout=60)
            size = _size(part)
            assert await _ended(world, number) == code, number
            assert not final.exists()
            assert _size(part) >= size, "what had come was thrown away"
            assert await sources(world, stalled, _INSIDE) == {}, "something was stored of half a file"
            world.daemon.start()
            await world.daemon.wait_ready()
        assert await world.venue.fired("archive_stall") >= len(_ENDS)
        await world.venue.clear()
        await eventually(partial(_was_read, world, _file(stalled)), timeout=60)
        await finish(world)
        # Answers that came to an end, which of the file that stalled is the last one alone.
        assert await asked(world, _file(stalled)) == {206: 1}
        for file in (littered, poisoned):
            assert await asked(world, file) == {200: 1}, file
            assert await _was_read(world, file)
        assert list(downloads(tmp_path).iterdir()) == []


async def _ended(world: World, number: signal.Signals) -> int:
    """Signal the daemon; its exit code, once the processes that the first one imported files with are gone."""
    daemon = world.daemon.child
    workers = [pid for pid in _children(daemon.pid) if "importing.worker" in _command(pid)]
    assert workers or world.daemon.starts > 1
    daemon.signal(number)
    code = await daemon.wait(within=35)
    await eventually(lambda: not any("importing.worker" in _command(pid) for pid in workers))
    return code


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for child in (task / "children").read_text().split()
    ]


def _command(pid: int) -> str:
    """What a process runs; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _litter(folder: Path, littered: str, poisoned: str) -> None:
    """A part of a version that never was, and a file that was not whole when it got its name."""
    downloads(folder).mkdir()
    _, part = _names(folder, littered)
    part.write_bytes(bytes(5000))
    part.with_name(f"{part.name}.tag").write_text('"of another version"')
    final, _ = _names(folder, poisoned)
    final.write_bytes(b"PK\x03\x04" + bytes(5000))


def _has_grown(part: Path, size: int) -> bool:
    return _size(part) >= size + _BLOCK


def _size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


async def _was_read(world: World, file: str) -> bool:
    line = (await file_lines(world)).get(file)
    return line is not None and line.state == "imported"


def _names(folder: Path, file: str) -> tuple[Path, Path]:
    """A file as it is downloaded: whole, and in part."""
    final = downloads(folder) / file.lstrip("/")
    return final, final.with_name(f"{final.name}.part")


def _file(symbol: str) -> str:
    return f"/{symbol}-1m-{_MONTH}.zip"
