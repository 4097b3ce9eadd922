"""TradingView's UDF, asked as the published adapter asks: by ``s``, whatever the status says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from src.model import DAY_MS, MINUTE_MS
from tests.integration.bars.world import plain
from tests.integration.timescale.helpers import fetch

from .market_world import HOUR_MS, NOW_MS, START_MS, MarketApi, serving

START = START_MS // 1000


@pytest.fixture
async def world(database: str) -> AsyncIterator[MarketApi]:
    async with serving(database) as world:
        yield world


async def test_it_says_what_it_can(world: MarketApi) -> None:
    config = await world.get("/udf/config")
    assert (config["supports_search"], config["supports_group_request"], config["supports_time"]) == (
        True,
        False,
        True,
    )
    assert not config["supports_marks"] and not config["supports_timescale_marks"]
    assert {"1", "60", "1D", "1W"} < set(config["supported_resolutions"])
    async with world.session.get("/udf/time") as answer:
        assert (answer.status, await answer.text()) == (200, str(NOW_MS // 1000))
        assert answer.content_type == "text/plain"


async def test_a_symbol_is_resolved_by_its_name(world: MarketApi) -> None:
    await world.market.listed("AUSDT", START_MS)
    await fetch(world.market.url, "UPDATE instruments SET base = 'A', tick_size = '0.0500'")
    info = await world.get("/udf/symbols", symbol="BINANCE:AUSDT")
    assert info == await world.get("/udf/symbols", symbol="AUSDT")
    expected = {
        "name": "AUSDT",
        "ticker": "AUSDT",
        "full_name": "BINANCE:AUSDT",
        "description": "A / USDT perpetual",
        "type": "crypto",
        "session": "24x7",
        "timezone": "Etc/UTC",
        "exchange": "BINANCE",
        "listed_exchange": "BINANCE",
        "minmov": 5,
        "pricescale": 100,
        "has_intraday": True,
        "has_daily": True,
        "data_status": "streaming",
    }
    assert {name: info[name] for name in expected} == expected
    assert set(info["intraday_multipliers"]) < set(info["supported_resolutions"])
    status, body = await world.ask("/udf/symbols", symbol="NOSUCH")
    assert (status, body["s"], body["errmsg"]) == (404, "error", "unknown_symbol")


async def test_symbols_are_found_by_a_part_of_their_name(world: MarketApi) -> None:
    for symbol in ("AXUSDT", "XUSDT", "XBUSDT", "币安人生USDT", "GONEXUSDT"):
        await world.market.listed(symbol, START_MS)
    await fetch(world.market.url, "UPDATE instruments SET end_ts = now() WHERE symbol = 'GONEXUSDT'")
    found = await world.get("/udf/search", query="x", type="", exchange="", limit=30)
    assert [hit["symbol"] for hit in found] == ["XBUSDT", "XUSDT", "AXUSDT", "GONEXUSDT"]
    assert found[0] == {
        "symbol": "XBUSDT",
        "full_name": "BINANCE:XBUSDT",
        "description": "X / USDT perpetual",
        "exchange": "BINANCE",
        "ticker": "XBUSDT",
        "type": "crypto",
    }
    assert len(await world.get("/udf/search", query="", limit=2)) == 2
    assert [hit["symbol"] for hit in await world.get("/udf/search", query="人生")] == ["币安人生USDT"]
    assert await world.get("/udf/search", query="x", type="stock") == []
    assert await world.get("/udf/search", query="x", exchange="NYSE") == []


async def test_history_comes_in_columns_and_equals_the_klines(world: MarketApi) -> None:
    await world.market.store(plain("AUSDT", START_MS, 3 * 1440))
    world.market.keep()
    for resolution, interval in (("1", "1m"), ("5", "5m"), ("120", "2h"), ("D", "1d"), ("1D", "1d")):
        asked = {"symbol": "AUSDT", "resolution": resolution, "from": START + 7200, "to": START + 2 * 86_400}
        found = await world.get("/udf/history", **asked)
        bars = (
            await world.get(
                "/api/v1/klines",
                symbol="AUSDT",
                interval=interval,
                start=START_MS + 2 * HOUR_MS,
                end=START_MS + 2 * DAY_MS,
                limit=10_000,
            )
        )["data"]
        assert found == {
            "s": "ok",
            "t": [bar["open_time"] // 1000 for bar in bars],
            "o": [bar["open"] for bar in bars],
            "h": [bar["high"] for bar in bars],
            "l": [bar["low"] for bar in bars],
            "c": [bar["close"] for bar in bars],
            "v": [bar["volume"] for bar in bars],
        }
        assert len(bars) >= 1
    counted = await world.get(
        "/udf/history", symbol="BINANCE:AUSDT", resolution="1", from_=START, to=START + 3600, countback=7
    )
    assert counted["t"] == [START + 3600 - 60 * n for n in range(7, 0, -1)]


async def test_where_no_bar_is_it_says_where_the_nearest_one_is(world: MarketApi) -> None:
    await world.market.store(plain("AUSDT", START_MS, 10), plain("AUSDT", START_MS + 9 * DAY_MS, 1))
    ask = {"symbol": "AUSDT", "resolution": "1"}
    assert await world.get("/udf/history", **ask, from_=START + 3600, to=START + 7200) == {
        "s": "no_data",
        "nextTime": START + 9 * 60,
    }
    assert await world.get("/udf/history", **ask, from_=START - 3600, to=START) == {"s": "no_data"}
    assert await world.get("/udf/history", **ask, to=START, countback=5) == {"s": "no_data"}
    over = await world.get("/udf/history", **ask, to=START + 3600, countback=5)
    assert over["t"] == [START + 60 * n for n in range(5, 10)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"symbol": "NOSUCH"}, 404),
        ({"resolution": "2"}, 422),
        ({"resolution": "1M"}, 422),
        ({"to": "now"}, 422),
        ({"countback": 0}, 422),
    ],
)
async def test_errors_are_told_in_both_ways(world: MarketApi, query: dict[str, object], status: int) -> None:
    await world.market.listed("AUSDT", START_MS)
    asked = {"symbol": "AUSDT", "resolution": "1", "from": 0, "to": START, **query}
    found, body = await world.ask("/udf/history", **asked)
    assert found == status == body["status"]
    assert body.get("s") not in ("ok", "no_data")


async def test_a_range_longer_than_an_answer_gives_its_newest_bars(world: MarketApi) -> None:
    await world.market.store(plain("AUSDT", START_MS, 10_050))
    found = await world.get(
        "/udf/history", symbol="AUSDT", resolution="1", from_=START, to=START + 10_050 * 60
    )
    assert (len(found["t"]), found["t"][-1]) == (10_000, START + (10_050 * MINUTE_MS - MINUTE_MS) // 1000)
