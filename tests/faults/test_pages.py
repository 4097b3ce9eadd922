"""C10: pages that are empty, that come again whatever is asked for, and bounds that belong to both sides."""

from __future__ import annotations

import json
from pathlib import Path

import aiohttp
import pytest

from src.model import MINUTE_MS, floor_minute
from tests.support.eventually import eventually
from tests.support.venue import Venue, VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault

_HISTORY = 1400
_PAGES = 3
"""Requests that a symbol's history takes: 499 rows each."""
_NOTHING = 600
"""Minutes from a listing on of which the venue has no candle."""
_STUCK = 499
_YOUNG_MS = 3 * MINUTE_MS
"""Younger minutes may still be under way."""
_A_MINUTE = 10
"""Requests of one symbol a minute at most: its pages at once, again after 70 s, then after 1, 2, 4 .. minutes, each
page at its own time, and two of the roll call. A circle asks as often as answers come, hundreds a minute."""


async def test_c10_pages(tmp_path: Path, database: str) -> None:
    """A page that brings nothing ends its turn, wrong rows are refused, and the next turns come ever more seldom."""
    options = VenueOptions(symbols=8, history=_HISTORY)
    async with open_world(tmp_path, database, options=options) as world:
        venue = world.venue
        first_ms = venue.started_ms - _HISTORY * MINUTE_MS
        late, empty, stuck = venue.symbols[:3]
        await venue.lose(late, first_ms, first_ms + _NOTHING * MINUTE_MS)
        page = await _page(venue, stuck, first_ms)
        for symbol, body in ((empty, "[]"), (stuck, page)):
            await venue.control("rest", status=200, body=body, path="klines", symbol=symbol)
        await world.begin()
        await eventually(lambda: _only_lacks(world, {empty, stuck}), timeout=60)
        await venue.minutes(6)
        await eventually(lambda: _fired(venue, 2 * _PAGES), timeout=60, message="each page is asked for")
        asked, minutes = await venue.fired("rest"), (await venue.now_ms() - venue.started_ms) / MINUTE_MS
        assert asked <= 2 * _A_MINUTE * minutes, "the same is asked for in a circle"
        rejected = (await world.daemon.metrics()).labels("rows_rejected_total", "reason")
        # All of them are of the page that comes again and again: no other page holds a row beyond its bounds, though
        # the venue's are inclusive and half of a page of the late symbol is empty.
        assert rejected.keys() == {"unasked"}
        assert rejected["unasked"] % _STUCK == 0, rejected
        await venue.clear()
        await world.finish()


async def _fired(venue: Venue, times: int) -> bool:
    return await venue.fired("rest") >= times


async def _only_lacks(world: World, symbols: set[str]) -> bool:
    """True once nothing but these symbols has holes; what is stored must be true meanwhile."""
    verdict = await world.oracle.compare(floor_minute(await world.venue.now_ms()) - _YOUNG_MS)
    assert not verdict.spurious
    return {symbol for symbol, _ in verdict.missing} == symbols


async def _page(venue: Venue, symbol: str, first_ms: int) -> str:
    """The first page of a symbol's history as the venue gives it."""
    url = f"http://127.0.0.1:{venue.port}/fapi/v1/klines"
    query = {"symbol": symbol, "interval": "1m", "startTime": str(first_ms), "limit": str(_STUCK)}
    async with aiohttp.ClientSession() as session, session.get(url, params=query) as answer:
        page = await answer.text()
    assert len(json.loads(page)) == _STUCK
    return page
