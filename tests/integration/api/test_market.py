"""Symbols, metrics, funding, trades and bars over HTTP, from a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from src.adapters.timescale.metrics.funding import FundingStore
from src.adapters.timescale.metrics.store import MetricStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.model import DAY_MS, FIVE_MINUTES_MS, Authority, FundingRate, FuturesMetric, Trade
from tests.integration.bars.world import plain
from tests.integration.timescale.helpers import fetch
from tests.naive import newest_of_steps

from .market_world import EXCHANGE, HOUR_MS, START_MS, MarketApi, serving


@pytest.fixture
async def world(database: str) -> AsyncIterator[MarketApi]:
    async with serving(database) as world:
        yield world


async def test_every_listing_is_told_in_pieces(world: MarketApi) -> None:
    await world.market.listed("BUSDT", START_MS, START_MS + DAY_MS)
    await world.market.listed("aUSDT", START_MS)
    await world.market.listed("币安人生USDT", START_MS)
    await world.market.listed("A-B 2026USDT", START_MS)
    await fetch(
        world.market.url,
        "UPDATE instruments SET end_ts = to_timestamp(%s), status = 'GONE' WHERE symbol = 'aUSDT'",
        [START_MS // 1000 + 60],
    )
    whole = (await world.get("/api/v1/symbols"))["data"]
    assert [(row["symbol"], row["onboard_ms"] - START_MS) for row in whole] == [
        ("A-B 2026USDT", 0),
        ("BUSDT", 0),
        ("BUSDT", DAY_MS),
        ("aUSDT", 0),
        ("币安人生USDT", 0),
    ]
    assert whole[3] == {
        "symbol": "aUSDT",
        "status": "GONE",
        "onboard_ms": START_MS,
        "end_ms": START_MS + 60_000,
        "contract_type": "PERPETUAL",
        "base": "X",
        "quote": "USDT",
        "tick_size": "",
        "step_size": "",
    }
    assert whole[0]["end_ms"] is None
    for limit in (1, 2, 5):
        assert await world.all("/api/v1/symbols", limit=limit) == whole
    assert [row["symbol"] for row in await world.all("/api/v1/symbols", search="usd", limit=2)] == [
        row["symbol"] for row in whole
    ]
    assert [row["symbol"] for row in (await world.get("/api/v1/symbols", search="安人"))["data"]] == [
        "币安人生USDT"
    ]
    assert (await world.get("/api/v1/symbols", search="%"))["data"] == []
    assert (await world.ask("/api/v1/symbols", cursor="x"))[0] == 422


async def test_metrics_keep_their_digits_and_their_blanks(world: MarketApi) -> None:
    first = FuturesMetric(
        "AUSDT",
        START_MS + FIVE_MINUTES_MS,
        Decimal("94731.046"),
        Decimal("8157280897.955412345678"),
        Decimal("1.1"),
        None,
        Decimal("1.30"),
        Decimal("0"),
        "binance_rest",
        Authority.REST,
    )
    rows = [replace(first, end_ms=first.end_ms + n * FIVE_MINUTES_MS) for n in range(288)]
    store = MetricStore(
        SharedSession(DatabaseOptions(world.market.url, exchange=EXCHANGE), purpose="metrics")
    )
    await store.write(rows)
    await store.close()
    async with world.session.get("/api/v1/metrics5m", params={"symbol": "AUSDT", "limit": 1}) as answer:
        text = await answer.text()
    assert '"sum_open_interest_value":8157280897.955412345678' in text
    assert '"sum_toptrader_long_short_ratio":null' in text
    assert f'"create_time":{START_MS + DAY_MS}' in text
    whole = await world.all("/api/v1/metrics5m", symbol="AUSDT", start=0, limit=100)
    assert [row["create_time"] for row in whole] == [row.end_ms for row in rows]
    backwards = await world.all("/api/v1/metrics5m", symbol="AUSDT", limit=101)
    assert sorted(row["create_time"] for row in backwards) == [row.end_ms for row in rows]
    assert (await world.ask("/api/v1/metrics5m", symbol="NOSUCH"))[0] == 404
    assert (await world.get("/api/v1/funding", symbol="AUSDT"))["data"] == []


@pytest.fixture
async def measured(world: MarketApi) -> list[int]:
    """When there are metrics: 40 days, every row of an hour there and none, days left out, the last one not over."""
    chance = Random(7)
    days = [day for day in range(40) if day not in (3, 4, 5, 20)]
    times = [START_MS + day * DAY_MS + n * FIVE_MINUTES_MS for day in days for n in range(1, 289)]
    times = [ms for ms in times if chance.random() < (0.02 if ms // DAY_MS % 3 else 0.9)]
    await fetch(
        world.market.url,
        "INSERT INTO binance_futures_metrics_5m (exchange, symbol, create_time, sum_open_interest,"
        " sum_open_interest_rank, authority, source) SELECT %s, 'AUSDT', to_timestamp(ms / 1000), ms, 0, 0, 't'"
        " FROM unnest(%s::bigint[]) AS ms",
        [EXCHANGE, times],
    )
    await fetch(
        world.market.url,
        "INSERT INTO coverage_days (exchange, dataset, symbol, day, expected, have)"
        " SELECT %s, 'metrics_5m', 'AUSDT', (to_timestamp(%s) AT TIME ZONE 'UTC')::date + n, 288, 1"
        " FROM generate_series(0, 39) AS n",
        [EXCHANGE, START_MS // 1000],
    )
    return times


@pytest.mark.parametrize(
    ("step", "length_ms"), [("15m", HOUR_MS // 4), ("1h", HOUR_MS), ("8h", 8 * HOUR_MS), ("1d", DAY_MS)]
)
async def test_of_each_step_the_newest_metrics_are_told(
    world: MarketApi, measured: list[int], step: str, length_ms: int
) -> None:
    async def read(**asked: Any) -> list[int]:
        rows = await world.all("/api/v1/metrics5m", symbol="AUSDT", step=step, **asked)
        assert all(row["sum_open_interest"] == row["create_time"] for row in rows)
        return [row["create_time"] for row in rows]

    whole = newest_of_steps(measured, length_ms)
    for limit in (7, 1000):
        assert await read(start=0, limit=limit) == whole
        assert sorted(await read(limit=limit)) == whole
    for low, high in (
        (0, length_ms),
        (DAY_MS + 1, 9 * DAY_MS + 1),
        (2 * DAY_MS + 7 * FIVE_MINUTES_MS, 19 * HOUR_MS * 5),
    ):
        low, high = START_MS + low, START_MS + high
        part = newest_of_steps([ms for ms in measured if low <= ms < high], length_ms)
        assert await read(start=low, end=high, limit=3) == part
    before = newest_of_steps([ms for ms in measured if ms < START_MS + 30 * DAY_MS + 1], length_ms)
    assert (await read(end=START_MS + 30 * DAY_MS + 1, limit=1000)) == before


async def test_a_step_is_read_as_coarse_as_it_is_asked(world: MarketApi, measured: list[int]) -> None:
    week = newest_of_steps(measured, 7 * DAY_MS, START_MS + DAY_MS)
    rows = await world.all("/api/v1/metrics5m", symbol="AUSDT", step="1w", start=0, limit=2)
    assert [row["create_time"] for row in rows] == week
    for step, status in (("5m", 200), ("1m", 422), ("2d", 422), ("", 422)):
        assert (await world.ask("/api/v1/metrics5m", symbol="AUSDT", step=step))[0] == status


async def test_funding_is_read_whatever_its_interval(world: MarketApi) -> None:
    rows = [
        FundingRate(
            "AUSDT",
            START_MS + n * HOUR_MS,
            Decimal("-0.00002485"),
            Decimal("85718.5"),
            1,
            "t",
            Authority.REST,
        )
        for n in range(200)
    ]
    store = FundingStore(
        SharedSession(DatabaseOptions(world.market.url, exchange=EXCHANGE), purpose="metrics")
    )
    await store.write(rows)
    await store.close()
    whole = await world.all("/api/v1/funding", symbol="AUSDT", start=0, limit=30)
    assert [row["funding_time"] for row in whole] == [row.funding_ms for row in rows]
    assert whole[0] == {
        "funding_time": START_MS,
        "funding_rate": -0.00002485,
        "mark_price": 85718.5,
        "interval_hours": 1,
    }
    newest = await world.get("/api/v1/funding", symbol="AUSDT", limit=2)
    assert newest["data"] == whole[-2:]


def trades(count: int, symbol: str = "AUSDT") -> list[Trade]:
    """Some a moment, some hours apart."""
    return [
        Trade(symbol, n, START_MS + n // 3 * 40 + n // 90 * 7 * HOUR_MS, 100.0 + n, 0.25, n % 2 == 0)
        for n in range(count)
    ]


@pytest.mark.parametrize(("market_type", "exchange"), [("future", EXCHANGE), ("spot", "binance_spot")])
async def test_trades_of_one_moment_are_each_told_once(
    world: MarketApi, market_type: str, exchange: str
) -> None:
    rows = trades(400)
    store = TradeStore(SharedSession(DatabaseOptions(world.market.url, exchange=exchange), purpose="trades"))
    await store.write(rows)
    await store.close()
    asked: dict[str, Any] = {"symbol": "AUSDT", "market_type": market_type}
    for limit in (7, 1000):
        whole = await world.all("/api/v1/trades", **asked, start=0, limit=limit)
        assert [(row["trade_id"], row["time_ms"]) for row in whole] == [
            (row.trade_id, row.ts_ms) for row in rows
        ]
        backwards = await world.all("/api/v1/trades", **asked, limit=limit)
        assert sorted(row["trade_id"] for row in backwards) == [row.trade_id for row in rows]
    assert whole[1] == {
        "trade_id": 1,
        "time_ms": START_MS,
        "price": 101.0,
        "quantity": 0.25,
        "is_buyer_maker": False,
    }
    some = await world.get("/api/v1/trades", **asked, start=START_MS + 40, end=START_MS + 81)
    assert [row["trade_id"] for row in some["data"]] == [3, 4, 5, 6, 7, 8]
    other = "spot" if market_type == "future" else "future"
    assert (await world.ask("/api/v1/trades", symbol="AUSDT", market_type=other))[0] == 404


async def test_bars_are_told_as_they_are_stored(world: MarketApi) -> None:
    await world.market.store(plain("AUSDT", START_MS, 180))
    world.market.keep()
    kept = await world.market.bars("AUSDT")
    hours = [bar for size, bar, _ in kept if size == HOUR_MS]
    body = await world.get("/api/v1/bars", symbol="AUSDT")
    assert [
        (row["open_time"], row["close_time"], row["first_trade_id"], row["open"], row["vwap"])
        for row in body["data"]
    ] == [(*bar[:4], bar[11]) for bar in hours]
    assert (body["kind"], body["size"]) == ("time", HOUR_MS)
    assert (await world.get("/api/v1/bars", symbol="AUSDT", kind="tick", size=5))["data"] == []
    assert (await world.ask("/api/v1/bars", symbol="NOSUCH"))[0] == 404
    assert (await world.ask("/api/v1/bars", symbol="AUSDT", size="NaN"))[0] == 422


async def test_bars_that_open_in_one_moment_are_each_told_once(world: MarketApi) -> None:
    await fetch(
        world.market.url,
        "INSERT INTO bars (exchange, symbol, kind, size, open_ts, close_ts, first_trade_id, open, high, low, close,"
        " volume) SELECT 'binance_spot', 'AUSDT', 'tick', 10, at, at, n, 1, 1, 1, 1, 1"
        " FROM generate_series(0, 49) AS n, to_timestamp(%s::float8 + n / 7 * 90000) AS at",
        [START_MS / 1000],
    )
    asked: dict[str, Any] = {"symbol": "AUSDT", "kind": "tick", "size": 10, "market_type": "spot", "limit": 4}
    whole = await world.all("/api/v1/bars", **asked, start=0)
    assert [row["first_trade_id"] for row in whole] == list(range(50))
    backwards = await world.all("/api/v1/bars", **asked)
    assert sorted(row["first_trade_id"] for row in backwards) == list(range(50))
