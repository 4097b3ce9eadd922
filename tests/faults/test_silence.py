"""A3, A4, B12: subscriptions that are acknowledged and silent, and symbols that are rightly quiet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.venue import VenueOptions
from tests.support.world import World, open_world

pytestmark = pytest.mark.fault


_STALLED = 5
"""Symbols of 100 and more that are asked anew because this computer stood still for a second or two."""


async def test_a3_silent_after_the_ack(world: World) -> None:
    """Pongs and acks go on, data does not: REST covers every symbol, so readiness rightly stays."""
    await world.begin()
    symbols = len(world.venue.symbols)
    await world.venue.control("silence")
    asked = (await world.daemon.metrics()).total("roll_call_filled_total")
    await world.daemon.wait_metric("ws_reconnects_total", 2, reason="idle", within=30)
    await world.daemon.wait_metric("roll_call_filled_total", asked + 3 * symbols)
    connected = (await world.daemon.metrics()).total("ws_connection_attempts_total", result="ok")
    assert connected >= 2, "nothing was connected anew"
    assert await world.venue.fired("silence") > 0
    await eventually(world.daemon.is_ready, message="REST brings every minute, so the data is fresh")
    await world.venue.clear()
    await world.live_rows(2)
    await world.finish()


async def test_a4_one_stream_of_many_is_dead(world: World) -> None:
    await world.begin()
    symbol = world.venue.symbols[17]
    before = await world.daemon.metrics()
    await world.venue.control("mute", symbol=symbol, until="resubscribe")
    seen = await world.daemon.wait_metric("ws_resubscribes_total", 1, action="same_connection")
    assert seen.total("ws_resubscribes_total") <= 1 + _STALLED, "others were disturbed"
    assert seen.total("roll_call_filled_total") > before.total("roll_call_filled_total")
    assert await world.venue.fired("mute") > 0
    silent = (await world.venue.stats())["closes_by_symbol"].get(symbol, 0)

    async def heard_again() -> bool:
        closes = (await world.venue.stats())["closes_by_symbol"]
        return bool(closes.get(symbol, 0) >= silent + 2)

    await eventually(heard_again, timeout=30)
    seen = await world.daemon.metrics()
    assert seen.total("ws_reconnects_total") == before.total("ws_reconnects_total")
    await world.live_rows(1)
    await world.finish()


async def test_a4_a_stream_that_stays_dead_is_moved(world: World) -> None:
    """On this connection it never comes back: asked again in vain, the symbol goes to another connection."""
    await world.begin()
    symbol = world.venue.symbols[17]
    stream = symbol.lower() + "@kline_1m"
    first = next(one["number"] for one in await world.venue.connections() if stream in one["streams"])
    await world.venue.control("mute", symbol=symbol, connection=first)
    await world.daemon.wait_metric("ws_resubscribes_total", 1, action="moved")
    assert await world.venue.fired("mute") > 0

    async def moved() -> bool:
        return any(
            stream in one["streams"] for one in await world.venue.connections() if one["number"] != first
        )

    await eventually(moved, timeout=30)
    await world.live_rows(3)
    await world.finish()


async def test_b12_symbols_without_trades(tmp_path: Path, database: str) -> None:
    """Most of these symbols sleep for hours. Their flat candles come over REST, and nobody is called stale."""
    options = VenueOptions(symbols=100, sleeper_share=0.5, history=3)
    async with open_world(tmp_path, database, options=options) as world:
        await world.begin()
        await world.daemon.wait_metric("symbols_quiet", 1)
        await world.live_rows(5)
        await eventually(lambda: _nobody_is_stale(world), timeout=60)
        seen = await world.daemon.metrics()
        assert seen.total("ws_resubscribes_total") <= _STALLED, "sleepers are taken for silent"
        assert seen.total("ws_reconnects_total") == 0
        stored = await world.oracle.stored()
        assert sum(values[6] == 0 for values in stored.values()) >= 100, "hardly anybody slept"
        await world.finish()


async def _nobody_is_stale(world: World) -> bool:
    return (await world.daemon.metrics()).total("symbols_stale") == 0
