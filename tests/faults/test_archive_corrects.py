"""D12, B10, B11: the archive says otherwise than what is stored: later, anew, or that nothing was traded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from src.model import DAY_MS, MINUTE_MS, Authority
from tests.support.eventually import eventually
from tests.support.world import World

from .filling import (
    asked,
    daily,
    day_before,
    file_lines,
    finish,
    open_past,
    query,
    sources,
    undisturbed,
)

pytestmark = pytest.mark.fault

_ROWS = 1440
_ARCHIVE, _REST = "binance_archive", "binance_rest"
_ZEROS = 0.2
_KEPT = 100
"""Rows of a file that are kept in ``rejected_rows``."""
_REVISIONS = """
SELECT symbol, (extract(epoch FROM bucket_ts) * 1000)::bigint, authority, new_authority, new_revision,
       open, high, low, close, volume, quote_volume, trade_count, taker_buy_volume, taker_buy_quote_volume
FROM candle_revisions ORDER BY new_revision
"""


async def test_d12_b10_b11_the_archive_says_otherwise(tmp_path: Path, database: str) -> None:
    """Each correction leaves the row before it in ``candle_revisions`` and changes no other value; candles in which
    nothing was traded take the place of none in which something was."""
    async with open_past(tmp_path, database) as world:
        venue = world.venue
        late, anew, empty = venue.symbols[:3]
        minute = _midnight_ms(world) + 600 * MINUTE_MS
        rest, first = venue.values(late, minute), venue.values(anew, minute)
        for symbol in (late, empty):
            # Not published yet, so that REST gives the day before the file does.
            await venue.control("archive", mode="missing", path=_file(world, symbol), count=1)
        await venue.control("archive", mode="zero_volume", path=_file(world, empty), share=_ZEROS)
        await venue.republish(late, minute)
        await world.begin()
        async with undisturbed(world):
            for symbol in venue.symbols:
                wanted = {_REST if symbol in (late, empty) else _ARCHIVE: _ROWS}
                await eventually(partial(_stored, world, symbol, wanted), timeout=60)
            await _a_day_passes(world)
            for symbol in (late, empty):
                await eventually(partial(_revision, world, symbol, 0), timeout=60)
            # By the sandbox's clock, whatever this computer's is, by which the database writes it down.
            await query(world, "UPDATE archive_files SET imported_at = %s", await _now(world))
            await _a_week_passes(world)
            await venue.republish(anew, minute)
            await _a_week_passes(world)
            await eventually(partial(_revision, world, anew, 1), timeout=60)
        assert await venue.fired("republish") == 2
        await _nothing_is_put_in_their_place(world, empty)
        await finish(world)
        assert await query(world, _REVISIONS) == [
            (late, minute, Authority.REST, Authority.ARCHIVE, 0, *rest),
            (anew, minute, Authority.ARCHIVE, Authority.ARCHIVE, 1, *first),
        ]
        twice = {late: {404: 1, 200: 1}, empty: {404: 1, 200: 1}, anew: {200: 2}}
        for symbol in venue.symbols:
            assert await asked(world, _file(world, symbol)) == twice.get(symbol, {200: 1}), symbol


async def _nothing_is_put_in_their_place(world: World, symbol: str) -> None:
    """Rows of the file without trades are refused, counted and kept aside, up to a hundred of a file; all
    others of the file are what is stored."""
    refused = int((await world.daemon.metrics()).total("rows_rejected_total", reason="archive_zero"))
    assert _ZEROS / 2 * _ROWS < refused < 2 * _ZEROS * _ROWS
    assert await sources(world, symbol, day_before(world, 2)) == {_REST: refused, _ARCHIVE: _ROWS - refused}
    noted = await query(
        world,
        "SELECT symbol, count(*), bool_and(detail LIKE %s) FROM rejected_rows WHERE reason = 'archive_zero'"
        " GROUP BY symbol",
        f"%{_file(world, symbol)}: no trades%",
    )
    assert noted == [(symbol, _KEPT, True)]


async def _stored(world: World, symbol: str, wanted: dict[str, int]) -> bool:
    return await sources(world, symbol, day_before(world, 2)) == wanted


async def _revision(world: World, symbol: str, revision: int) -> bool:
    line = (await file_lines(world)).get(_file(world, symbol))
    return line is not None and (line.state, line.revision) == ("imported", revision)


async def _a_day_passes(world: World) -> None:
    """What was not there is asked for again, and compared with what REST gave instead."""
    await query(
        world,
        "UPDATE archive_files SET checked_at = checked_at - interval '2 days' WHERE state = 'missing'",
    )


async def _a_week_passes(world: World) -> None:
    """The folders' listings are read once more, and what they say of each file is written down."""
    await eventually(partial(_listed, world), timeout=60)
    await query(world, "UPDATE archive_listings SET read_at = read_at - interval '8 days'")
    await eventually(partial(_listed, world), timeout=60)


async def _listed(world: World) -> bool:
    """Whether the listing of every folder was read within the last week of the venue."""
    since = await _now(world) - timedelta(days=7)
    [(folders,)] = await query(world, "SELECT count(*) FROM archive_listings WHERE read_at > %s", since)
    return int(folders) == len(world.venue.symbols)


async def _now(world: World) -> datetime:
    return datetime.fromtimestamp(await world.venue.now_ms() / 1000, UTC)


def _midnight_ms(world: World) -> int:
    return world.venue.started_ms // DAY_MS * DAY_MS - 2 * DAY_MS


def _file(world: World, symbol: str) -> str:
    """The symbol's file of the newest day that has one."""
    return daily(symbol, day_before(world, 2))
