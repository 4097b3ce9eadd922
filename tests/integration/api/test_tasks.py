"""Tasks and analyses over a real socket: what is asked, what is refused, what is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from src.analysis.jobs import Kind
from src.analysis.levels.jobs import LevelParameters
from src.api.security import Tokens
from src.model import TaskState
from tests.support.api import Api, StandInReader, served
from tests.support.desk import PAINT, Shelf, desk_of

URL = "/api/v1/tasks"
MOST = 5


async def _nothing(context: object, asked: LevelParameters) -> dict[str, int]:
    return {}


LEVELS = Kind("Levels", LevelParameters, _nothing, lambda asked: str(asked.symbol))


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def api(shelf: Shelf) -> AsyncIterator[Api]:
    reader = StandInReader({"api_work.knows": lambda exchange, symbol: [(symbol == "BTCUSDT",)]})
    async with served(reader=reader, desk=desk_of(shelf, PAINT, LEVELS, most_waiting=MOST)) as api:
        yield api


@pytest.fixture
async def session(api: Api) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(api.url) as session:
        yield session


async def test_a_task_is_asked_for_shown_and_cancelled(session: aiohttp.ClientSession, shelf: Shelf) -> None:
    async with session.post(URL, json={"kind": "Paint", "parameters": {"wall": "north"}}) as answer:
        asked = await answer.json()
        assert answer.status == 202
    assert (asked["state"], asked["requested_by"], asked["parameters"]) == (
        "PENDING",
        "local",
        {"wall": "north"},
    )
    assert shelf.subjects == {asked["task_id"]: "Paint/north"}
    async with session.get(f"{URL}/{asked['task_id']}") as answer:
        assert (answer.status, await answer.json()) == (200, asked)
    async with session.post(f"{URL}/{asked['task_id']}/cancel") as answer:
        assert (answer.status, (await answer.json())["state"]) == (200, "CANCELLED")
    async with session.post(f"{URL}/{asked['task_id']}/cancel") as answer:
        assert answer.status == 409
    for method, path in (("GET", f"{URL}/none"), ("GET", f"{URL}/none/logs"), ("POST", f"{URL}/none/cancel")):
        async with session.request(method, path) as answer:
            assert answer.status == 404, path


async def test_the_same_id_is_one_task(session: aiohttp.ClientSession, shelf: Shelf) -> None:
    body = {"kind": "Paint", "parameters": {"wall": "north"}, "task_id": "mine"}
    answers = await asyncio.gather(*(session.post(URL, json=body) for _ in range(8)))
    assert sorted(answer.status for answer in answers) == [200] * 7 + [202]
    assert list(shelf.tasks) == ["mine"]
    async with session.post(URL, json={**body, "parameters": {"wall": "south"}}) as answer:
        assert answer.status == 409
        assert (await answer.json(content_type=None))["errors"][0]["field"] == "body.task_id"


async def test_no_more_wait_than_there_is_room_for(session: aiohttp.ClientSession, shelf: Shelf) -> None:
    # H11: all at once, so that nobody counts before the others have written.
    bodies = [{"kind": "Paint", "parameters": {"wall": str(number)}} for number in range(3 * MOST)]
    answers = await asyncio.gather(*(session.post(URL, json=body) for body in bodies))
    assert sorted(answer.status for answer in answers) == [202] * MOST + [429] * 2 * MOST
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status == 429)
    assert len(shelf.tasks) == MOST
    there = next(iter(shelf.tasks.values()))
    body = {"kind": there.kind, "parameters": dict(there.parameters), "task_id": there.task_id}
    async with session.post(URL, json=body) as answer:
        assert answer.status == 200, "what is there is told, however many wait"
    async with session.post(f"{URL}/{there.task_id}/cancel"):
        pass
    async with session.post(URL, json=bodies[0]) as answer:
        assert answer.status == 202


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"kind": "Dance"}, ["body.kind"]),
        ({"kind": "Paint"}, ["body.parameters.wall"]),
        (
            {"kind": "Paint", "parameters": {"wall": "", "colour": "green", "brush": 1}},
            ["body.parameters.brush", "body.parameters.colour", "body.parameters.wall"],
        ),
        ({"kind": "Paint", "parameters": {"wall": "a"}, "task_id": "../x"}, ["body.task_id"]),
        (
            {"kind": "Paint", "parameters": {"wall": "a"}, "task_id": "Bars@2026-11-27T00:00:00Z"},
            ["body.task_id"],
        ),
        ({"kind": "Paint", "parameters": {"wall": "a"}, "url": "http://10.0.0.1/"}, ["body.url"]),
    ],
)
async def test_what_is_wrong_is_said_field_by_field(
    session: aiohttp.ClientSession, shelf: Shelf, body: dict[str, object], fields: list[str]
) -> None:
    async with session.post(URL, json=body) as answer:
        found = await answer.json(content_type="application/problem+json")
    assert answer.status == 422
    assert sorted(error["field"] for error in found["errors"]) == fields
    assert shelf.tasks == {}


@pytest.mark.parametrize(
    ("query", "title"), [("kind=Pant", "Unknown kind"), ("before=t9", "Unknown task"), ("kind=Paint", None)]
)
async def test_a_filter_that_means_nothing_is_not_an_empty_list(
    session: aiohttp.ClientSession, query: str, title: str | None
) -> None:
    async with session.get(f"{URL}?{query}") as answer:
        body = await answer.json(content_type=None)
    assert answer.status == (404 if title else 200)
    assert body.get("title") == title


async def test_tasks_and_lines_are_read_piece_by_piece(session: aiohttp.ClientSession, shelf: Shelf) -> None:
    for number in range(MOST):
        async with session.post(
            URL, json={"kind": "Paint", "parameters": {"wall": "a"}, "task_id": f"t{number}"}
        ):
            pass
    shelf.end("t0", TaskState.FAILED)
    seen: list[str] = []
    before = ""
    while True:
        async with session.get(f"{URL}?limit=2{before}") as answer:
            piece = await answer.json()
        seen += [task["task_id"] for task in piece["data"]]
        if piece["next"] is None:
            break
        before = f"&before={piece['next']}"
    assert seen == ["t4", "t3", "t2", "t1", "t0"]
    async with session.get(f"{URL}?state=FAILED") as answer:
        assert [task["task_id"] for task in (await answer.json())["data"]] == ["t0"]
    for line in ("one", "two", "three"):
        shelf.tell("t0", line)
    async with session.get(f"{URL}/t0/logs?limit=2") as answer:
        first = await answer.json()
    async with session.get(f"{URL}/t0/logs?limit=2&after={first['next']}") as answer:
        second = await answer.json()
    assert [line["line"] for line in (*first["data"], *second["data"])] == ["one", "two", "three"]
    assert second["next"] is None


async def test_the_kinds_are_told_with_what_a_form_needs(session: aiohttp.ClientSession) -> None:
    async with session.get(f"{URL}/kinds") as answer:
        levels, paint = await answer.json()
    assert levels["name"] == "Levels"
    assert (paint["name"], paint["about"]) == ("Paint", "paints a wall")
    assert paint["schema"]["properties"]["coats"]["maximum"] == 3
    assert paint["schema"]["required"] == ["wall"]


@pytest.mark.parametrize("path", ["/analyze", "/api/v1/analysis/trigger"])
async def test_an_analysis_is_accepted_at_once(
    session: aiohttp.ClientSession, shelf: Shelf, path: str
) -> None:
    body = {
        "exchange": "binance",
        "symbol": "BTCUSDT",
        "market_type": "future",
        "timeframe": "1h",
        "limit": 500,
    }
    async with session.post(path, json=body) as answer:
        found = await answer.json()
        assert answer.status == 202
    task = shelf.tasks[found.pop("task_id")]
    assert found.pop("message")
    assert found == {"status": "accepted", "symbol": "BTCUSDT", "timeframe": "1h"}
    assert (task.kind, task.parameters["symbol"]) == ("Levels", "BTCUSDT")
    async with session.post(path, json={**body, "symbol": "NOPE"}) as answer:
        assert answer.status == 404
    async with session.post(path, json={**body, "timeframe": "3h"}) as answer:
        assert answer.status == 422


async def test_who_only_reads_starts_and_stops_nothing(tmp_path: Path, shelf: Shelf) -> None:
    # H10: route by route.
    file = tmp_path / "tokens"
    file.write_text(f"r read {'r' * 64}\nt task {'t' * 64}\n")
    tokens = Tokens(str(file))
    tokens.load()
    changes = [URL, f"{URL}/x/cancel", "/analyze", "/api/v1/analysis/trigger", "/api/v1/batches"]
    async with (
        served(tokens=tokens, desk=desk_of(shelf)) as api,
        aiohttp.ClientSession(api.url) as session,
    ):
        for path in changes:
            for headers, status in (({}, 401), ({"Authorization": f"Bearer {'r' * 64}"}, 403)):
                async with session.post(path, json={}, headers=headers) as answer:
                    assert answer.status == status, path
        async with session.post(
            URL,
            json={"kind": "Paint", "parameters": {"wall": "a"}},
            headers={"Authorization": f"Bearer {'t' * 64}"},
        ) as answer:
            assert (answer.status, (await answer.json())["requested_by"]) == (202, "t")


async def test_a_page_of_results_says_how_many_there_are() -> None:
    reader = StandInReader({"api_work.results_total": [(21,)], "api_work.results": [{"id": 11}]})
    async with (
        served(reader=reader) as api,
        aiohttp.ClientSession(api.url) as session,
        session.get("/api/v1/analysis/results?symbol=btc&page=2&pageSize=10") as answer,
    ):
        assert await answer.json() == {
            "data": [{"id": 11}],
            "total": 21,
            "page": 2,
            "pageSize": 10,
            "totalPages": 3,
        }
    asked = dict(reader.asked)["api_work.results"]
    assert (asked["part"], asked["limit"], asked["offset"]) == ("btc", 10, 10)
    async with served(reader=reader) as api, aiohttp.ClientSession(api.url) as session:
        for query in ("pageSize=101", "page=0", "pageSize=0", "timeframe=3h", "symbol="):
            async with session.get(f"/api/v1/analysis/results?{query}") as answer:
                assert answer.status == 422, query
