"""Levels over HTTP: what was known at a time, and nothing that became known later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.integration.timescale.helpers import fetch

from .market_world import HOUR_MS, NOW_MS, START_MS, MarketApi, serving

URL = "/api/v1/levels"


def hour(number: int) -> int:
    return START_MS + number * HOUR_MS


@pytest.fixture
async def world(database: str) -> AsyncIterator[MarketApi]:
    async with serving(database) as world:
        yield world


async def level(
    world: MarketApi, known: tuple[int, int | None], state: str, *, side: str = "support", **said: Any
) -> None:
    """A row of price_levels, known from one hour to another; times are hours after ``START_MS``."""
    tested, broken = said.get("tested"), said.get("broken")
    await fetch(
        world.market.url,
        "INSERT INTO price_levels (exchange, symbol, market_type, timeframe, side, founded_ts, formed_ts, tested_ts,"
        " broken_ts, state, tests, price, pivot_ts, confirmed_ts, pivot_prices, pivot_windows, known_from, known_to)"
        " SELECT 'binance', 'AUSDT', 'future', '1h', %s, to_timestamp(%s), to_timestamp(%s), to_timestamp(%s),"
        " to_timestamp(%s), %s, %s, %s, ARRAY[to_timestamp(%s)], ARRAY[to_timestamp(%s)], ARRAY[99.5], ARRAY[3],"
        " to_timestamp(%s), coalesce(to_timestamp(%s), 'infinity')",
        [
            side,
            hour(said.get("founded", 0)) // 1000,
            hour(2) // 1000,
            None if tested is None else hour(tested) // 1000,
            None if broken is None else hour(broken) // 1000,
            state,
            0 if tested is None else 1,
            said.get("price", 100.0),
            hour(0) // 1000,
            hour(2) // 1000,
            hour(known[0]) // 1000,
            None if known[1] is None else hour(known[1]) // 1000,
        ],
    )


async def test_levels_are_as_they_were_known(world: MarketApi) -> None:
    await level(world, (2, 5), "changed")
    await level(world, (5, 9), "changed", tested=5)
    await level(world, (9, None), "broken", tested=5, broken=9)
    await level(world, (4, 7), "expired", side="resistance", founded=1, price=120.0)
    await fetch(
        world.market.url,
        "INSERT INTO analysis_results (exchange, symbol, market_type, timeframe, input_limit, last_price,"
        " support_levels, resistance_levels, details, known_from, known_to)"
        " VALUES ('binance', 'AUSDT', 'future', '1h', 100, 1, '[]', '[]', '{}', to_timestamp(%s), to_timestamp(%s))",
        [hour(2) // 1000, hour(12) // 1000],
    )
    story = {
        1: [],
        2: [("support", "formed")],
        4: [("support", "formed"), ("resistance", "formed")],
        5: [("support", "tested"), ("resistance", "formed")],
        8: [("support", "tested")],
        9: [("support", "broken")],
        30: [("support", "broken")],
    }
    for number, expected in story.items():
        body = await world.get(URL, symbol="AUSDT", at=hour(number))
        assert [(row["side"], row["state"]) for row in body["data"]] == expected, number
        assert body["at_ms"] == hour(number)
        times = ("founded_ms", "formed_ms", "tested_ms", "broken_ms", "known_from_ms")
        assert all(row[name] is None or row[name] <= hour(number) for row in body["data"] for name in times)
    now = await world.get(URL, symbol="AUSDT")
    assert (now["at_ms"], now["known_from_ms"], now["known_to_ms"]) == (NOW_MS, hour(2), hour(12))
    assert now["data"][0] == {
        "side": "support",
        "price": 100.0,
        "state": "broken",
        "tests": 1,
        "founded_ms": hour(0),
        "formed_ms": hour(2),
        "tested_ms": hour(5),
        "broken_ms": hour(9),
        "known_from_ms": hour(9),
        "pivots": [{"time_ms": hour(0), "confirmed_ms": hour(2), "price": 99.5, "windows": 3}],
    }
    assert (await world.get(URL, symbol="AUSDT", timeframe="4h"))["data"] == []


async def test_a_symbol_without_an_analysis_has_none_and_an_unknown_one_is_404(world: MarketApi) -> None:
    await world.market.listed("BUSDT", START_MS)
    body = await world.get(URL, symbol="BUSDT", at="2026-11-05T00:00:00Z")
    assert (body["data"], body["known_from_ms"], body["known_to_ms"]) == ([], None, None)
    assert (await world.ask(URL, symbol="NOSUCH"))[0] == 404
    assert (await world.ask(URL, symbol="BUSDT", market_type="spot"))[0] == 404
    assert (await world.ask(URL, symbol="BUSDT", timeframe="3h"))[0] == 422
