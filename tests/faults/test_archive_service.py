"""D1, D2, D3, D11: what the archive sends is not what it published, or not there, or not a file at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.eventually import eventually
from tests.support.world import World

from .filling import (
    asked,
    daily,
    day_before,
    downloads,
    file_lines,
    finish,
    open_past,
    query,
    sources,
    undisturbed,
)

pytestmark = pytest.mark.fault

_ROWS = 1440
_ATTEMPTS = 4
"""Times that something is asked for which may be there in a moment, before it is left to the next look."""


class _Case(NamedTuple):
    """What is wrong with one symbol's file of one day, and what comes of it."""

    row: str
    modes: tuple[str, ...]
    times: int | None
    state: str
    requests: int
    """How often the file is asked for, all in all."""
    detail: str = ""


_CASES = (
    _Case("D1", ("cut",), 2, "imported", 3),
    _Case("D1", ("truncated",), 1, "imported", 2),
    _Case("D1", ("published_short",), None, "quarantined", 1, "BadZipFile"),
    _Case("D2", ("bit_flip",), 1, "imported", 2),
    _Case("D2", ("published_flip",), None, "quarantined", 1, "BadZipFile: Bad CRC-32"),
    _Case("D3", ("checksum",), None, "quarantined", 3, "does not have its published checksum"),
    _Case("D3", ("no_checksum",), None, "quarantined", 1, "has no checksum"),
    _Case("D11", ("no_checksum", "missing"), 1, "missing", 1, "no such file"),
)
_AWAY = {"s3_error": 503, "html": 200}
"""D11, until cleared: the file may be there in a moment, so it is asked for again, and nobody else for its rows."""
_THROWN_AWAY = 1 + 1 + 3
"""Downloads whose bytes do not have the checksum: those of ``truncated``, ``bit_flip`` and ``checksum``."""


async def test_d1_d2_d3_d11_files_that_are_not_as_published(tmp_path: Path, database: str) -> None:
    """What goes wrong on the way is fetched again, what is wrong for good is put aside and never asked for again."""
    async with open_past(tmp_path, database, symbols=len(_CASES) + len(_AWAY)) as world:
        symbols = world.venue.symbols
        cases = dict(zip(symbols, _CASES, strict=False))
        away = dict(zip(symbols[len(_CASES) :], _AWAY, strict=True))
        await _break(world, cases, away)
        await world.begin()
        async with undisturbed(world):
            for symbol, case in cases.items():
                await eventually(partial(_is_done, world, symbol, case.state), timeout=60)
            for symbol, mode in away.items():
                # Asked for at two looks at least, so there was time to ask for all the others again too.
                await eventually(partial(_was_refused, world, symbol, _AWAY[mode]), timeout=60)
        await _nothing_came_of(world, list(away))
        await _went_as_expected(world, cases)
        await _a_day_passes(world, cases)
        await world.venue.clear()
        for symbol in away:
            await eventually(partial(_is_done, world, symbol, "imported"), timeout=60)
        await finish(world)
        for symbol, case in cases.items():
            more = 1 if case.state == "missing" else 0
            assert (await asked(world, _file(world, symbol))).total() == case.requests + more, case
        assert await query(world, "SELECT * FROM candle_revisions") == []
        assert list(downloads(tmp_path).iterdir()) == []


async def _break(world: World, cases: Mapping[str, _Case], away: Mapping[str, str]) -> None:
    """One symbol a fault, and the listing with all that may come instead of one."""
    control = partial(world.venue.control, "archive")
    for symbol, case in cases.items():
        for mode in case.modes:
            await control(mode=mode, path=_file(world, symbol), count=case.times)
    for symbol, mode in away.items():
        await control(mode=mode, path=_file(world, symbol))
    for mode in ("missing", *_AWAY):
        await control(mode=mode, path="archive-list", count=2)


async def _went_as_expected(world: World, cases: Mapping[str, _Case]) -> None:
    """Each fault fired, each file was asked for as often as it makes sense, and what became of it is written down."""
    lines = await file_lines(world)
    for symbol, case in cases.items():
        line = lines[_file(world, symbol)]
        assert case.detail in line.detail, (case, line)
        assert (await asked(world, _file(world, symbol))).total() == case.requests, case
        for mode in case.modes:
            assert await world.venue.fired(f"archive_{mode}") >= 1, mode
    seen = await world.daemon.metrics()
    assert seen.total("archive_downloads_total", result="checksum") == _THROWN_AWAY
    for state in ("quarantined", "missing"):
        wanted = sum(case.state == state for case in cases.values())
        assert seen.total("backfill_tasks_total", kind="daily", result=state) == wanted, state
    for code in ("404", "503"):
        assert seen.total("archive_requests_total", kind="list", code=code) == 2, code


async def _a_day_passes(world: World, cases: Mapping[str, _Case]) -> None:
    """A file that was not there is asked for again, and compared with what REST gave instead."""
    [symbol] = [symbol for symbol, case in cases.items() if case.state == "missing"]
    await query(
        world,
        "UPDATE archive_files SET checked_at = checked_at - interval '2 days' WHERE state = 'missing'",
    )
    await eventually(partial(_is_done, world, symbol, "imported"), timeout=60)


async def _nothing_came_of(world: World, symbols: Sequence[str]) -> None:
    """No file of theirs is written down as read or wrong, and no row is stored of them or in their place."""
    lines = await file_lines(world)
    assert [symbol for symbol in symbols if _file(world, symbol) in lines] == []
    for symbol in symbols:
        assert await sources(world, symbol, day_before(world, 2)) == {}, symbol


async def _is_done(world: World, symbol: str, state: str) -> bool:
    """Whether the file is in that state and the whole day stored, out of it if it was imported, else from REST."""
    line = (await file_lines(world)).get(_file(world, symbol))
    source = "binance_archive" if state == "imported" else "binance_rest"
    stored = await sources(world, symbol, day_before(world, 2))
    return line is not None and line.state == state and stored == {source: _ROWS}


async def _was_refused(world: World, symbol: str, status: int) -> bool:
    return (await asked(world, _file(world, symbol)))[status] >= 2 * _ATTEMPTS


def _file(world: World, symbol: str) -> str:
    """The symbol's file that is wrong, of the newest day that has one."""
    return daily(symbol, day_before(world, 2))
