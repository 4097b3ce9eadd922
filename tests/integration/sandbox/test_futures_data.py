"""Metrics, funding and the token list over HTTP, and that REST and archive agree."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from src.sandbox.market.alpha import TOKENS
from src.sandbox.market.metrics import SLOT_MS
from src.sandbox.market.past import DAY_MS
from src.sandbox.rest.futures import ALPHA_PATH
from src.sandbox.rest.futures_data import ENDPOINTS, KEPT_MS
from src.sandbox.rest.limits import PATIENCE

from .client import START_MS, Client
from .test_archive import MIDNIGHT_MS, rows

DAY = "data/futures/um/daily/metrics/{0}/{0}-metrics-{1}.zip"
MONTH = "data/futures/um/monthly/fundingRate/{0}/{0}-fundingRate-{1}.zip"
COLUMNS = {
    "openInterestHist": {"symbol", "sumOpenInterest", "sumOpenInterestValue", "CMCCirculatingSupply", "timestamp"},
    "topLongShortAccountRatio": {"symbol", "longShortRatio", "longAccount", "shortAccount", "timestamp"},
    "topLongShortPositionRatio": {"symbol", "longShortRatio", "longAccount", "shortAccount", "timestamp"},
    "globalLongShortAccountRatio": {"symbol", "longShortRatio", "longAccount", "shortAccount", "timestamp"},
    "takerlongshortRatio": {"buySellRatio", "buyVol", "sellVol", "timestamp"},
}  # fmt: skip


async def ask(client: Client, name: str, **query: Any) -> Any:
    given = {"symbol": "BTCUSDT", "period": "5m"} | query
    status, body, headers = await client.get(f"/futures/data/{name}", **given)
    assert status == 200, body
    assert "X-MBX-USED-WEIGHT-1M" not in headers
    return body


async def test_the_shapes_and_labels_of_the_five_endpoints() -> None:
    async with Client.open(speed=1) as client:
        now = client.sandbox.now_ms()
        for name, columns in COLUMNS.items():
            body = await ask(client, name)
            assert len(body) == 30
            assert all(row.keys() == columns for row in body)
            stamps = [row["timestamp"] for row in body]
            assert stamps == list(range(stamps[0], stamps[0] + 30 * SLOT_MS, SLOT_MS))
            newest_end = stamps[-1] + (SLOT_MS if name == "takerlongshortRatio" else 0)
            assert now - SLOT_MS - 65_000 < newest_end < now


async def test_ranges_and_limits() -> None:
    async with Client.open(speed=1) as client:
        start = START_MS // SLOT_MS * SLOT_MS - 700 * SLOT_MS
        for name in ENDPOINTS:
            body = await ask(client, name, startTime=start, endTime=start + 2 * SLOT_MS)
            assert [row["timestamp"] for row in body] == [start, start + SLOT_MS, start + 2 * SLOT_MS]
            body = await ask(client, name, startTime=start, limit=500)
            assert [body[0]["timestamp"], len(body)] == [start, 500]
            body = await ask(client, name, startTime=0, limit=1)
            assert 0 <= body[0]["timestamp"] - (START_MS - KEPT_MS) < SLOT_MS + 60_000
            assert await ask(client, name, endTime=START_MS - KEPT_MS - DAY_MS) == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": "501"}, -1130),
        ({"period": "1m"}, -1130),
        ({"symbol": "NOPEUSDT"}, -1121),
        ({"period": ""}, -1102),
        ({"startTime": "2", "endTime": "1"}, -1023),
    ],
)
async def test_wrong_questions_are_refused(query: dict[str, str], code: int) -> None:
    async with Client.open() as client:
        given = {"symbol": "BTCUSDT", "period": "5m"} | query
        status, body, _ = await client.get("/futures/data/openInterestHist", **given)
        assert (status, body["code"]) == (400, code)


@pytest.mark.parametrize(("since", "shift"), [("2026-05-27", SLOT_MS), ("2026-05-26", 0)])
async def test_a_metrics_day_is_that_of_rest_under_its_labels(since: str, shift: int) -> None:
    """End labels before the boundary: 00:05 to 00:00; start labels from it: 00:00 to 23:55."""
    async with Client.open(speed=1, start_labels_from=since) as client:
        found = await rows(client, DAY.format("币安人生USDT", "2026-05-26"))
        assert len(found) == 288
        first = MIDNIGHT_MS - 2 * DAY_MS
        assert found[0][0] == ("2026-05-26 00:05:00" if shift else "2026-05-26 00:00:00")
        asked: dict[int, list[Decimal]] = {}
        for name, column in (
            ("openInterestHist", "sumOpenInterest"), ("openInterestHist", "sumOpenInterestValue"),
            ("topLongShortAccountRatio", "longShortRatio"), ("topLongShortPositionRatio", "longShortRatio"),
            ("globalLongShortAccountRatio", "longShortRatio"), ("takerlongshortRatio", "buySellRatio"),
        ):  # fmt: skip
            later = 0 if name == "takerlongshortRatio" else SLOT_MS
            query = {"startTime": first + later, "endTime": first + later + DAY_MS - 1, "limit": 500}
            for row in await ask(client, name, symbol="币安人生USDT", **query):
                asked.setdefault(row["timestamp"] - later, []).append(Decimal(row[column]))
        stored = {
            int(datetime.fromisoformat(row[0]).replace(tzinfo=UTC).timestamp()) * 1000 - shift: [
                Decimal(cell) for cell in row[2:]
            ]
            for row in found
        }
        assert stored == asked


async def test_the_truth_of_metrics_and_funding() -> None:
    async with Client.open(speed=1) as client:
        query: dict[str, Any] = {"symbol": "BTCUSDT", "from": START_MS - DAY_MS, "to": START_MS}
        _, told, _ = await client.get("/control/truth", dataset="metrics", **query)
        body = await ask(client, "openInterestHist", startTime=told[0][0], limit=500)
        assert [[row["timestamp"], row["sumOpenInterest"]] for row in body] == [row[:2] for row in told]
        assert client.sandbox.metrics_truth("BTCUSDT", query["from"], query["to"])[0] == tuple(told[0])
        _, told, _ = await client.get("/control/truth", dataset="funding", **query)
        status, paid, headers = await client.get(
            "/fapi/v1/fundingRate", symbol="BTCUSDT", startTime=query["from"]
        )
        assert status == 200
        assert "X-MBX-USED-WEIGHT-1M" not in headers
        assert [[row["fundingTime"], row["fundingRate"]] for row in paid] == [
            [row[0], row[2]] for row in told
        ]
        assert (await client.get("/control/truth", dataset="news", **query))[0] == 400


async def test_a_funding_month_is_that_of_rest() -> None:
    async with Client.open(speed=1, symbols=30) as client:
        _, info, _ = await client.get("/fapi/v1/fundingInfo")
        hours = {row["symbol"]: row["fundingIntervalHours"] for row in info}
        assert set(hours.values()) == {1, 4}
        _, every, _ = await client.get("/fapi/v1/fundingRate", startTime=MIDNIGHT_MS, limit=1000)
        assert len({row["symbol"] for row in every}) >= 30
        assert [row["fundingTime"] for row in every] == sorted(row["fundingTime"] for row in every)
        for symbol in ("BTCUSDT", next(iter(hours))):
            found = await rows(client, MONTH.format(symbol, "2026-04"))
            assert {row[1] for row in found} == {str(hours.get(symbol, 8))}
            query = {"symbol": symbol, "startTime": found[0][0], "endTime": found[-1][0], "limit": 1000}
            _, paid, _ = await client.get("/fapi/v1/fundingRate", **query)
            assert [[str(row["fundingTime"]), row["fundingRate"]] for row in paid] == [
                [row[0], row[2]] for row in found
            ]


async def test_the_shared_limit_is_of_sliding_five_minutes() -> None:
    async with Client.open(speed=1) as client:
        names = list(ENDPOINTS)
        for number in range(1000):
            await ask(client, names[number % 5], limit=1)
        for number in range(PATIENCE):
            status, body, headers = await client.get(f"/futures/data/{names[number % 5]}", symbol="BTCUSDT")
            assert (status, body["code"]) == (429, -1003)
            assert 200 <= int(headers["Retry-After"]) <= 300
        assert (await client.get("/fapi/v1/ping"))[0] == 200, "the other budgets are not spent"
        assert (await client.get("/fapi/v1/fundingInfo"))[0] == 200
        assert (await client.get("/futures/data/openInterestHist"))[0] == 418
        assert (await client.get("/fapi/v1/ping"))[0] == 418, "a ban is the address's"
        await client.control("clear")
        assert (await client.get("/fapi/v1/ping"))[0] == 200


async def test_one_endpoint_can_fail_alone() -> None:
    async with Client.open() as client:
        await client.control("rest", mode="error", status=503, path="takerlongshortRatio")
        assert (await client.get("/futures/data/takerlongshortRatio", symbol="BTCUSDT", period="5m"))[
            0
        ] == 503
        assert len(await ask(client, "openInterestHist")) == 30
        _, stats, _ = await client.get("/control/stats")
        assert stats["fired"] == {"rest": 1}


async def test_the_list_of_alpha_tokens() -> None:
    async with Client.open() as client:
        status, body, headers = await client.get(ALPHA_PATH)
        assert (status, body["code"], body["success"]) == (200, "000000", True)
        assert "X-MBX-USED-WEIGHT-1M" not in headers
        tokens = body["data"]
        assert len({one["alphaId"] for one in tokens}) == len(tokens) == TOKENS
        assert any(not one["symbol"].isascii() for one in tokens)
        assert any(one["listingCex"] for one in tokens) and any(not one["listingCex"] for one in tokens)
        assert client.sandbox.alpha_url == client.sandbox.rest_url
