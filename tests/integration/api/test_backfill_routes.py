"""Backfills and aggregations over a real socket: estimate first, then start; no range without an end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from src.analysis.bars import jobs as bar_jobs
from src.config import Settings
from src.errors import BadFields
from src.model import BackfillRequest, TaskState
from src.ports.work import BackfillCost
from src.telemetry.metrics import Metrics
from src.wiring.backfill_desk import BackfillDesk
from src.wiring.core import Core
from tests.faults.database import ask
from tests.support.api import Api, StandInReader, served
from tests.support.desk import Shelf, desk_of

URL = "/api/v1/backfills"
NOVEMBER = {"symbols": ["btcusdt", "ETH*"], "start": "2026-11-01T00:00:00Z", "end": "2026-11-02T00:00:00Z"}
SINCE_MS, DAY_MS = 1_793_491_200_000, 86_400_000
COST = BackfillCost(1440, 1, 0, 50_000, 380_000, 0, 1.5, 0)


class Book:
    """``ports.work.Backfills`` in memory, and what the reader says of it."""

    def __init__(self) -> None:
        self.asked: list[BackfillRequest] = []
        self.states: dict[int, str] = {}

    async def estimate(self, wanted: BackfillRequest) -> BackfillCost:
        return COST

    async def start(self, wanted: BackfillRequest, *, requested_by: str) -> tuple[BackfillRequest, bool]:
        for there in self.asked:
            if replace(there, id=0) == wanted:
                return there, False
        self.asked.append(replace(wanted, id=len(self.asked) + 1))
        self.states[len(self.asked)] = "waiting"
        return self.asked[-1], True

    async def cancel(self, number: int) -> None:
        self.states[number] = "cancelled"

    def rows(self, id: int | None, **_: Any) -> list[dict[str, Any]]:
        return [
            {
                "id": one.id,
                "symbols": list(one.symbols),
                "from_ms": one.since_ms,
                "to_ms": one.until_ms,
                "source": one.source,
                "force": one.force,
                "requested_by": "local",
                "state": self.states[one.id],
                "is_unwanted": False,
                "progress": {},
                "detail": "",
                "requested_ms": 1,
                "started_ms": None,
                "finished_ms": None,
            }
            for one in self.asked
            if id in (None, one.id)
        ]


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def api(book: Book, shelf: Shelf) -> AsyncIterator[Api]:
    answers = {
        "api_work.backfills": book.rows,
        "api_work.minutes_to_read": lambda since_ms, **_: [(10 if since_ms else 1000,)],
        "api_work.trades_to_read": [(7,)],
    }
    desk = desk_of(shelf, bar_jobs.built_bars("binance_futures_um"))
    async with served(reader=StandInReader(answers), backfills=book, desk=desk) as api:
        yield api


async def test_a_backfill_is_estimated_started_and_cancelled(api: Api, book: Book) -> None:
    async with aiohttp.ClientSession(api.url) as session:
        async with session.post(f"{URL}/estimate", json=NOVEMBER) as answer:
            assert (answer.status, (await answer.json())["rows"]) == (200, 1440)
        assert book.asked == []
        for status in (202, 200):
            async with session.post(URL, json=NOVEMBER) as answer:
                found = await answer.json()
                assert (answer.status, found["id"], found["symbols"]) == (status, 1, ["BTCUSDT", "ETH*"])
        assert (found["from_ms"], found["to_ms"]) == (SINCE_MS, SINCE_MS + DAY_MS)
        async with session.post(f"{URL}/1/cancel") as answer:
            assert (answer.status, (await answer.json())["state"]) == (200, "cancelled")
        async with session.post(f"{URL}/1/cancel") as answer:
            assert answer.status == 409
        for method, path in (("GET", f"{URL}/9"), ("POST", f"{URL}/9/cancel")):
            async with session.request(method, path) as answer:
                assert answer.status == 404


@pytest.mark.parametrize(
    "change",
    [
        {"symbols": []},
        {"symbols": ["A" * 65]},
        {"symbols": ["../etc"]},
        {"symbols": ["*"] * 1001},
        {"start": "yesterday"},
        {"start": True},
        {"end": None},
        {"force": 1},
        {"force": "yes"},
        {"source": "http://10.0.0.1/"},
        {"folder": "archive"},
    ],
)
async def test_what_cannot_be_filled_is_refused(api: Api, book: Book, change: dict[str, Any]) -> None:
    async with (
        aiohttp.ClientSession(api.url) as session,
        session.post(URL, json={**NOVEMBER, **change}) as answer,
    ):
        assert answer.status == 422
        assert (await answer.json(content_type=None))["errors"][0]["field"].startswith("body.")
    assert book.asked == []


async def test_moments_are_text_or_milliseconds(api: Api, book: Book) -> None:
    async with (
        aiohttp.ClientSession(api.url) as session,
        session.post(URL, json={**NOVEMBER, "start": 1_793_491_200_000, "end": "2026-11-02"}) as answer,
    ):
        assert answer.status == 202
    [asked] = book.asked
    assert (asked.since_ms, asked.until_ms) == (1_793_491_200_000, 1_793_491_200_000 + 86_400_000)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"anew": 0}, "anew"),
        ({"anew": "true"}, "anew"),
        ({"since": 1_793_491_200_000}, "since"),
        ({"since": False}, "since"),
    ],
)
async def test_what_is_of_another_kind_than_openapi_says_is_refused(
    api: Api, change: dict[str, Any], field: str
) -> None:
    async with (
        aiohttp.ClientSession(api.url) as session,
        session.post(
            "/api/v1/aggregations/estimate", json={"symbol": "BTCUSDT", "size": "7m", **change}
        ) as answer,
    ):
        assert answer.status == 422
        assert (await answer.json(content_type=None))["errors"][0]["field"] == f"body.{field}"


async def test_bars_are_estimated_and_asked_for_once(api: Api, shelf: Shelf) -> None:
    url = "/api/v1/aggregations"
    asked = {"symbol": "BTCUSDT", "size": "7m", "since": "2026-11-01T00:00:00Z"}
    async with aiohttp.ClientSession(api.url) as session:
        async with session.post(f"{url}/estimate", json=asked) as answer:
            assert await answer.json() == {"minutes": 10, "trades": 7}
        for status in (202, 200):
            async with session.post(url, json={**asked, "task_id": "mine"}) as answer:
                assert (answer.status, (await answer.json())["kind"]) == (status, "Aggregate")
        async with session.post(url, json={**asked, "kind": "cube"}) as answer:
            assert answer.status == 422
    assert shelf.tasks["mine"].state is TaskState.PENDING


@pytest.mark.parametrize(
    ("since_ms", "until_ms", "field"),
    [
        (SINCE_MS, SINCE_MS, "body.start"),
        (SINCE_MS, 253_402_300_799_000, "body.end"),
        (1_567_296_000_000, 1_577_836_800_000, "body.start"),
    ],
    ids=["empty", "to come", "dropped by retention"],
)
async def test_a_range_that_cannot_be_is_refused_before_anything_is_read(
    since_ms: int, until_ms: int, field: str
) -> None:
    # H11. There is no database at this address.
    settings = Settings(database_url=SecretStr("postgresql://nobody@127.0.0.1:1/none"), retention_days=365)
    desk = BackfillDesk(Core(settings, Metrics(), run_id="test"))
    desk._core.clock.set((SINCE_MS + 30 * DAY_MS) / 1000)
    wanted = BackfillRequest(0, ("*",), since_ms, until_ms, "auto", False, False)
    for call in (desk.estimate(wanted), desk.start(wanted, requested_by="a test")):
        with pytest.raises(BadFields) as caught:
            await call
        assert [name for name, _ in caught.value.fields] == [field]
    await desk.close()


async def test_the_same_range_is_one_request_until_it_is_cancelled(database: str) -> None:
    core = Core(Settings(database_url=SecretStr(database)), Metrics(), run_id="test")
    core.clock.set((SINCE_MS + 30 * DAY_MS) / 1000)
    desk = BackfillDesk(core)
    wanted = BackfillRequest(0, ("BTCUSDT",), SINCE_MS, SINCE_MS + DAY_MS, "auto", False, False)
    try:
        assert (await desk.estimate(wanted)).rows == 0, "nothing is listed here"
        first, is_new = await desk.start(wanted, requested_by="a test")
        again, is_new_again = await desk.start(wanted, requested_by="another")
        assert (is_new, is_new_again, again.id) == (True, False, first.id)
        await desk.cancel(first.id)
        other, is_new = await desk.start(wanted, requested_by="a test")
        assert (is_new, other.id == first.id) == (True, False)
    finally:
        await desk.close()
    assert await ask(database, "SELECT state FROM market_data.backfill_requests ORDER BY id") == [
        ("cancelled",),
        ("waiting",),
    ]
