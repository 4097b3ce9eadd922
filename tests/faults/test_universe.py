"""B4 to B6: symbols that are listed, halted, delisted and listed again while the daemon runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from tests.support.eventually import eventually
from tests.support.world import World

pytestmark = pytest.mark.fault

_FOLLOWED_S = 15.0 + 5.0
"""Wall seconds: the promise is 5 exchange minutes, 15 s at speed 20, the rest is the machine's."""


def subscribed(world: World, symbol: str, expected: bool) -> Callable[[], Awaitable[bool]]:
    """A condition: some connection carries the symbol, or none does."""
    stream = symbol.lower() + "@kline_1m"

    async def condition() -> bool:
        return expected == any(stream in one["streams"] for one in await world.venue.connections())

    return condition


def stored_minutes(world: World, symbol: str, at_least: int) -> Callable[[], Awaitable[bool]]:
    """A condition: so many minutes of the symbol are stored."""

    async def condition() -> bool:
        return sum(name == symbol for name, _ in await world.oracle.stored()) >= at_least

    return condition


def nobody_is_stale(world: World) -> Callable[[], Awaitable[bool]]:
    """A condition: no symbol is called stale. Who is wrongly stays so; on a busy machine any may be so for a moment."""

    async def condition() -> bool:
        return (await world.daemon.metrics()).total("symbols_stale") == 0

    return condition


async def test_b4_new_listing(world: World) -> None:
    """One begins now, one was listed five minutes ago unseen: the minutes since its listing are read back."""
    await world.begin()
    await world.live_rows(1)
    await world.venue.list_symbol("NEWUSDT")
    await world.venue.list_symbol("NEWTWOUSDT", in_seconds=-300)
    for symbol in ("NEWUSDT", "NEWTWOUSDT"):
        await eventually(subscribed(world, symbol, True), timeout=_FOLLOWED_S)
    await eventually(stored_minutes(world, "NEWTWOUSDT", 7), timeout=60)
    await eventually(stored_minutes(world, "NEWUSDT", 3), timeout=60)
    seen = await world.daemon.metrics()
    assert seen.total("universe_changes_total", change="added") >= 2
    assert seen.total("ws_reconnects_total") == 0, "nobody else is to be disturbed"
    assert await world.venue.fired("listing") == 2
    await world.finish()


async def test_b4_listing_announced_ahead(world: World) -> None:
    """PENDING_TRADING first: the symbol is subscribed before it trades, and nothing is owed until then."""
    await world.begin()
    info = await world.venue.list_symbol("SOONUSDT", in_seconds=240)
    await eventually(subscribed(world, "SOONUSDT", True), timeout=_FOLLOWED_S)
    assert await world.venue.now_ms() < int(info["onboardDate"]), "subscribed only when it traded already"

    # The venue itself lets it trade when its time has come.
    await eventually(stored_minutes(world, "SOONUSDT", 3), timeout=90)
    await eventually(nobody_is_stale(world), timeout=60)
    assert await world.venue.fired("listing") == 1
    await world.finish()


@pytest.mark.parametrize("way", ["delist", "remove", "halt"])
async def test_b5_delisting_and_halt(world: World, way: str) -> None:
    await world.begin()
    symbol = world.venue.symbols[33]
    await world.live_rows(2)
    if way == "halt":
        await world.venue.control("halt", symbol=symbol)
    else:
        await world.venue.control("delist", symbol=symbol, remove=way == "remove")
    await eventually(subscribed(world, symbol, False), timeout=_FOLLOWED_S)
    seen = await world.daemon.wait_metric("universe_changes_total", 1, change="removed")
    assert seen.total("symbols_expected") == len(world.venue.symbols) - 1
    await world.live_rows(5)
    await eventually(
        nobody_is_stale(world), timeout=60, message="a symbol that does not trade is called stale"
    )
    seen = await world.daemon.metrics()
    assert seen.total("ws_reconnects_total") == 0
    if way == "halt":
        await world.venue.control("resume", symbol=symbol)
        await eventually(subscribed(world, symbol, True), timeout=_FOLLOWED_S)
        await world.live_rows(2)
    assert await world.venue.fired("listing") == (2 if way == "halt" else 1)
    await world.finish()


async def test_b6_symbol_listed_again(world: World) -> None:
    """The same name is another contract: the minutes between the two listings are nobody's and stay empty."""
    await world.begin()
    symbol = world.venue.symbols[34]
    await world.live_rows(2)
    await world.venue.control("delist", symbol=symbol)
    await eventually(subscribed(world, symbol, False), timeout=_FOLLOWED_S)
    await world.live_rows(4)
    await world.venue.list_symbol(symbol)
    await eventually(subscribed(world, symbol, True), timeout=_FOLLOWED_S)
    before = sum(name == symbol for name, _ in await world.oracle.stored())
    await eventually(stored_minutes(world, symbol, before + 2), timeout=60)
    spans = (await world.venue.listings())[symbol]
    assert len(spans) == 2
    assert spans[0].end < spans[1].first
    assert await world.venue.fired("listing") == 2
    await world.finish()
