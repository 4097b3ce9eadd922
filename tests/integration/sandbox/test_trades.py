"""Trades of the sandbox: stream, REST and archive say the same, and what they say fits the candles."""

from __future__ import annotations

from typing import Any

import pytest

from src.sandbox.market.candles import MINUTE_MS
from src.sandbox.market.past import DAY_MS
from src.sandbox.market.trades import A_MINUTE

from .client import START_MS, Client
from .test_archive import MIDNIGHT_MS, keys, page, rows

HOUR_MS = 3_600_000


async def asked(client: Client, path: str = "/fapi/v1/aggTrades", **query: Any) -> Any:
    status, found, _ = await client.get(path, **query)
    assert status == 200, found
    return found


def plain(trade: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(trade[key] for key in "apqTm")


async def test_rest_pages_by_id_are_the_truth_and_fit_the_candles() -> None:
    async with Client.open(speed=1) as client:
        from_ms = START_MS - HOUR_MS
        truth = client.sandbox.trades_truth("BTCUSDT", from_ms, START_MS)
        assert len(truth) == 60 * A_MINUTE
        found = await asked(client, symbol="BTCUSDT", startTime=from_ms, limit=1000)
        found += await asked(client, symbol="BTCUSDT", fromId=found[-1]["a"] + 1, limit=320)
        assert [plain(one) for one in found] == [tuple(one) for one in truth]
        assert [one["a"] for one in found] == list(range(found[0]["a"], found[0]["a"] + len(found)))
        for candle in await client.klines("BTCUSDT", startTime=from_ms, endTime=START_MS - 1, limit=60):
            inside = [one for one in truth if candle[0] <= one.time_ms < candle[0] + MINUTE_MS]
            prices = [float(one.price) for one in inside]
            shape = (prices[0], max(prices), min(prices), prices[-1])
            assert shape == tuple(map(float, candle[1:5]))
            volume = sum(float(one.quantity) for one in inside)
            assert volume == pytest.approx(float(candle[5]), rel=1e-9) or float(candle[5]) < A_MINUTE


async def test_rest_gives_the_newest_without_a_beginning_and_refuses_what_is_too_old() -> None:
    async with Client.open(speed=1) as client:
        newest = await asked(client, symbol="BTCUSDT", limit=5)
        now_ms = client.sandbox.now_ms()
        assert newest[-1]["T"] <= now_ms < newest[-1]["T"] + 2 * MINUTE_MS // A_MINUTE
        old = newest[-1]["a"] - 49 * 60 * A_MINUTE
        for query in ({"fromId": old}, {"startTime": START_MS - 49 * HOUR_MS}):
            status, answer, _ = await client.get("/fapi/v1/aggTrades", symbol="BTCUSDT", **query)
            assert (status, answer["code"]) == (400, -4166)
        assert await asked(client, symbol="BTCUSDT", fromId=newest[-1]["a"] + 1000) == []
        status, answer, _ = await client.get("/fapi/v1/aggTrades", symbol="NOSUCH")
        assert (status, answer["code"]) == (400, -1121)
        _, _, headers = await client.get("/fapi/v1/aggTrades", symbol="BTCUSDT")
        assert int(headers["X-MBX-USED-WEIGHT-1M"]) % 20 == 0


async def test_spot_has_ids_of_its_own_and_goes_all_the_way_back() -> None:
    async with Client.open(speed=1) as client:
        from_ms = START_MS - 72 * HOUR_MS
        found = await asked(client, "/api/v3/aggTrades", symbol="BTCUSDT", startTime=from_ms, limit=10)
        truth = client.sandbox.trades_truth("BTCUSDT", from_ms, from_ms + HOUR_MS, spot=True)[:10]
        assert [plain(one) for one in found] == [tuple(one) for one in truth]
        futures = client.sandbox.trades_truth("BTCUSDT", from_ms, from_ms + HOUR_MS)
        assert {one.number for one in futures}.isdisjoint(one.number for one in truth)


async def test_a_day_of_the_archive_has_the_rows_of_rest() -> None:
    async with Client.open(speed=1) as client:
        day = "2026-05-27"
        first_ms = MIDNIGHT_MS - DAY_MS
        name = "data/{0}/daily/aggTrades/BTCUSDT/BTCUSDT-aggTrades-{1}.zip"
        futures = await rows(client, name.format("futures/um", day))
        truth = client.sandbox.trades_truth("BTCUSDT", first_ms, MIDNIGHT_MS)
        assert [(int(row[0]), row[1], row[2], int(row[5]), row[6] == "true") for row in futures] == truth
        spot = await rows(client, name.format("spot", day))
        truth = client.sandbox.trades_truth("BTCUSDT", first_ms, MIDNIGHT_MS, spot=True)
        assert [(int(row[0]), row[1], row[2], int(row[5]) // 1000, row[6] == "True") for row in spot] == truth
        assert {len(row[5]) for row in spot} == {16}
        prefix = "data/futures/um/daily/aggTrades/BTCUSDT/"
        listed = keys(await page(client, **{"list-type": "2", "prefix": prefix}))
        assert name.format("futures/um", day) in listed


async def test_the_stream_gives_every_trade_once_and_in_order() -> None:
    async with Client.open() as client, client.stream("btcusdt@aggTrade") as stream:
        first = await stream.until(lambda message: message.get("stream") == "btcusdt@aggTrade")
        found = [first["data"]]
        while len(found) < 3 * A_MINUTE:
            found.append((await stream.until(lambda message: "stream" in message))["data"])
        truth = client.sandbox.trades_truth("BTCUSDT", found[0]["T"], found[-1]["T"] + 1)
        assert [plain(one) for one in found] == [tuple(one) for one in truth]
        assert found[0]["s"] == "BTCUSDT"
