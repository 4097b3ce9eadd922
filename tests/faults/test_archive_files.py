"""D5 to D10: archive files that are none, that are odd, or that lack something, while live candles are stored."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from src.model import DAY_MS, MINUTE_MS
from tests.faults.filling import (
    asked,
    daily,
    day_before,
    file_lines,
    finish,
    open_past,
    query,
    served,
    sources,
    undisturbed,
)
from tests.support.created import created_in
from tests.support.eventually import eventually
from tests.support.oracle import Key, Spans, Values
from tests.support.processes import peak_mb
from tests.support.venue import Venue
from tests.support.world import World

pytestmark = pytest.mark.fault

_START_MS = 1_780_017_000_000
"""2026-05-29 01:10 UTC. The live path looks back for 24 h 57 min, so the day before yesterday is not its business."""
_HISTORY = 2200
"""Minutes: 690 of that day, which are to come from its file, and all since, which come over REST."""
_AGO = 2
"""That day, counted from today."""
_SPEED = 6.0
"""All of the filling comes in the first seconds, beside live rows that may not wait; two cores need the time."""
_PAST: dict[str, Any] = {"start_ms": _START_MS, "history": _HISTORY, "speed": _SPEED, "BACKFILL_FROM": "10d"}
_SHARE = 0.1
"""Of a file's rows that are left out, doubled or blank."""
_LOST = 5
"""Minutes that the venue itself lost."""
_WORKER_MB = 150.0
"""Peak of an import process. With its libraries and a day it has 111; a bomb would be another 67 and its copies."""
_DOWNLOADS = re.compile(r"[^/]+-1m-[0-9-]{10}\.zip(\.part(\.tag)?)?|\.writable-[0-9]+")
"""What may be created in the folder of downloads."""


class Form(NamedTuple):
    """A file that is none: the sandbox's mode, what ``archive_files`` must say of it, and the name of its member."""

    mode: str
    detail: str
    member: str = ""


_CALLED = "the member is called"
_NONE = (
    Form("bomb", r"\d{5,6} bytes would become 67\d{6}$"),
    Form("forged_bomb", "BadZipFile: Bad CRC-32"),
    Form("forged_size", "BadZipFile: Bad CRC-32"),
    Form("forged_larger", r"\d+ bytes instead of \d+$"),
    Form("forged_huge", "would have 1073741824 bytes unpacked"),
    Form("evil_path", f"{_CALLED} '../", "../{stem}.csv"),
    Form("evil_path", rf"{_CALLED} '\.\.\\\\", "..\\{stem}.csv"),
    Form("evil_path", f"{_CALLED} '/.*/elsewhere/", "{elsewhere}/{stem}.csv"),
    Form("evil_path", f"{_CALLED} 'CON'", "CON"),
    Form("symlink", r"no plain file \(mode 120000\)"),
    Form("encrypted", "the member is encrypted"),
    Form("wrong_member", f"{_CALLED} 'X"),
    Form("two_members", "2 members instead of one"),
    Form("no_member", "0 members instead of one"),
    Form("nested", f"{_CALLED} .*zip'"),
    Form("nested_content", "its member is a ZIP again"),
    Form("lzma", "compression method 14 is not taken"),
)


async def test_d5_d6_d7_files_that_are_none(tmp_path: Path, database: str) -> None:
    """Each is put aside with its reason after one look, leaves nothing anywhere, and REST gives its day."""
    folder, elsewhere = tmp_path / "below" / "archive", tmp_path / "elsewhere"
    for path in (folder, elsewhere):
        path.mkdir(parents=True)
    async with open_past(
        tmp_path,
        database,
        symbols=len(_NONE) + 1,
        ARCHIVE_FOLDER=str(folder),
        **_PAST,
    ) as world:
        day = day_before(world, _AGO)
        good, *bad = world.venue.symbols
        forms = dict(zip(bad, _NONE, strict=True))
        for symbol, form in forms.items():
            member = form.member.replace("{elsewhere}", str(elsewhere))
            await world.venue.control("archive", mode=form.mode, path=f"*{daily(symbol, day)}", member=member)
        with created_in(folder, folder.parent, elsewhere) as created:
            await world.begin()
            async with undisturbed(world, minutes=1):
                await eventually(lambda: _all_settled(world, len(_NONE) + 1), timeout=60)
            lines = await file_lines(world)
            for symbol, form in forms.items():
                line = lines[daily(symbol, day)]
                assert (line.state, line.attempts) == ("quarantined", 1), line
                assert re.search(form.detail, line.detail), (form, line.detail)
            assert lines[daily(good, day)].state == "imported"
            for mode in {form.mode for form in _NONE}:
                meant = sum(form.mode == mode for form in _NONE)
                assert await world.venue.fired(f"archive_{mode}") == meant, f"{mode}: never or again"
            seen = await world.daemon.metrics()
            assert seen.total("backfill_tasks_total", kind="daily", result="quarantined") == len(_NONE)
            assert seen.total("rows_received_total", source="binance_archive") == _minutes(world, day)
            assert max(peak_mb(pid) for pid in world.daemon.child.children()) < _WORKER_MB
            await finish(world)
            strays = {name for name in created.names(folder) if not _DOWNLOADS.fullmatch(name)}
            assert strays | created.names(folder.parent) | created.names(elsewhere) == set()
        for symbol in bad:
            assert set(await sources(world, symbol, day)) == {"binance_rest"}
            assert await asked(world, daily(symbol, day)) == {200: 1}
        assert set(await sources(world, good, day)) == {"binance_archive"}
        assert list(folder.iterdir()) == []


_ODD: tuple[tuple[str, ...], ...] = (
    ("headerless",),
    ("bom",),
    ("crlf",),
    ("extra_columns",),
    ("reordered",),
    ("microseconds",),
    ("unsorted",),
    ("headerless", "bom", "crlf", "microseconds"),
    ("bom", "crlf", "extra_columns", "reordered", "microseconds", "unsorted", "duplicates"),
)
"""Forms of a good file, also several at once."""


async def test_d8_good_files_of_an_odd_form(tmp_path: Path, database: str) -> None:
    """Identical rows, all of them from the file; REST is not asked for the day."""
    async with open_past(tmp_path, database, symbols=len(_ODD), **_PAST) as world:
        day = day_before(world, _AGO)
        forms = dict(zip(world.venue.symbols, _ODD, strict=True))
        for symbol, modes in forms.items():
            for mode in modes:
                await world.venue.control("archive", mode=mode, path=f"*{daily(symbol, day)}")
        minutes = _minutes(world, day)
        await world.begin()
        async with undisturbed(world, minutes=1):
            await eventually(lambda: _all_settled(world, len(forms)), timeout=60)
        seen = await world.daemon.metrics()
        assert seen.total("rows_rejected_total") == 0
        # Inserted and not replaced: before the file came, nobody had asked for the day elsewhere.
        inserted = seen.total("rows_committed_total", source="binance_archive", result="inserted")
        assert inserted == minutes * len(forms)
        await finish(world)
        for symbol, modes in forms.items():
            assert await sources(world, symbol, day) == {"binance_archive": minutes}, modes
            assert (await file_lines(world))[daily(symbol, day)].state == "imported"
            assert await asked(world, daily(symbol, day)) == {200: 1}
        for mode in {mode for modes in _ODD for mode in modes}:
            assert await world.venue.fired(f"archive_{mode}") == sum(mode in modes for modes in _ODD)


async def test_d9_d10_gaps_duplicates_and_blank_cells(tmp_path: Path, database: str) -> None:
    """Gaps come over REST or are proved to be everywhere, of two rows one stays, and a blank cell is NULL, not 0."""
    async with open_past(tmp_path, database, symbols=5, **_PAST) as world:
        day = day_before(world, _AGO)
        gaps, lost, twice, blank, _ = world.venue.symbols
        for symbol, mode in ((gaps, "gaps"), (lost, "gaps"), (twice, "duplicates"), (blank, "blank")):
            await world.venue.control("archive", mode=mode, path=f"*{daily(symbol, day)}", share=_SHARE)
        first_ms = _start_ms(day) + 1000 * MINUTE_MS
        await world.venue.lose(lost, first_ms, first_ms + _LOST * MINUTE_MS)
        rows = {symbol: await _served(world, symbol, day) for symbol in world.venue.symbols}
        minutes = _minutes(world, day)
        doubled = len(rows[twice]) - minutes
        empty = {(blank, int(row["open_time"])) for row in rows[blank] if not row["quote_volume"]}
        lacking = {symbol: minutes - len(rows[symbol]) for symbol in (gaps, lost)}
        assert min(doubled, len(empty), lacking[gaps], lacking[lost] - _LOST) > 10, "the files are good"
        world.oracle.truth = _Blank(world.venue, empty)
        await world.begin()
        async with undisturbed(world, minutes=1):
            await eventually(lambda: _all_settled(world, len(rows)), timeout=60)
            await eventually(lambda: _proved(world, lost, day), timeout=60)
        seen = await world.daemon.metrics()
        assert seen.total("rows_deduped_total", where="file") == doubled
        assert seen.total("absent_candles_total") == _LOST
        await finish(world, absent=_LOST)
        assert await sources(world, gaps, day) == {
            "binance_archive": minutes - lacking[gaps],
            "binance_rest": lacking[gaps],
        }
        assert await sources(world, lost, day) == {
            "binance_archive": minutes - lacking[lost],
            "binance_rest": lacking[lost] - _LOST,
        }
        for symbol in (twice, blank):
            assert await sources(world, symbol, day) == {"binance_archive": minutes}


async def _proved(world: World, symbol: str, day: date) -> bool:
    """The minutes that nobody has are written down, each with the file that was read and REST asked after it came."""
    downloads = (await world.venue.stats())["downloads"]
    _, came_ms = (one["at_ms"] for one in downloads if one["key"].endswith(daily(symbol, day)))
    rows = await query(
        world,
        "SELECT m.symbol, f.path LIKE %s, m.archive_sha256 = f.sha256,"
        " extract(epoch FROM m.rest_asked_at) * 1000 >= %s"
        " FROM absent_minutes AS m LEFT JOIN archive_files AS f ON f.path = m.archive_path ORDER BY m.ts",
        f"%{daily(symbol, day)}",
        came_ms,
    )
    assert rows in ([], [(symbol, True, True, True)] * _LOST), rows
    return bool(rows)


async def _all_settled(world: World, files: int) -> bool:
    """Every file of the day has its line, and it is no longer an attempt."""
    return len(await file_lines(world)) == files


async def _served(world: World, symbol: str, day: date) -> list[dict[str, str]]:
    """The rows of a day's file, which has a header, as the archive gives it now."""
    return list(csv.DictReader(await served(world, f"daily/klines/{symbol}/1m{daily(symbol, day)}")))


def _minutes(world: World, day: date) -> int:
    """Minutes of a day that is over, of which every symbol was listed."""
    first_ms = world.venue.started_ms - _HISTORY * MINUTE_MS
    return (_start_ms(day) + DAY_MS - max(first_ms, _start_ms(day))) // MINUTE_MS


def _start_ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS


class _Blank:
    """The truth, with no quote volume where the archive's cell is blank."""

    def __init__(self, venue: Venue, keys: set[Key]) -> None:
        self._venue = venue
        self._keys = keys

    async def now_ms(self) -> int:
        return await self._venue.now_ms()

    async def listings(self) -> Spans:
        return await self._venue.listings()

    def values(self, symbol: str, open_ms: int) -> Values:
        values = self._venue.values(symbol, open_ms)
        return (*values[:5], None, *values[6:]) if (symbol, open_ms) in self._keys else values
