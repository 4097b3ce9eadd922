"""The frame of HTTP over a real socket: health, documentation, one shape of errors."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import aiohttp
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.types import ASGIApp
from yarl import URL

from src.api.app import Access, make_app
from src.api.limits import Limits
from src.api.parts import Parts
from src.api.problems import problem
from src.errors import (
    AlreadyRunning,
    BadData,
    ConfigError,
    MarketdError,
    Misconfigured,
    NotPublished,
    RateLimited,
    TooWide,
    Unavailable,
    UnknownSymbol,
)
from tests.support.api import Api, served


class Asked(BaseModel):
    number: int


_RAISED: dict[str, tuple[Exception, int]] = {
    "bad": (BadData("symbol: not one"), 400),
    "wide": (TooWide("31 days at most"), 400),
    "unknown": (UnknownSymbol("NOPE is not known"), 404),
    "unpublished": (NotPublished("not there"), 404),
    "running": (AlreadyRunning("another one"), 409),
    "limited": (RateLimited("not now", retry_after=7), 429),
    "away": (Unavailable("database: host db.internal is away"), 503),
    "setting": (ConfigError("ETH_RPC_URL: is not set"), 503),
    "statement": (Misconfigured("database: relation secret_table does not exist"), 500),
    "bug": (ZeroDivisionError("the secret of the house"), 500),
    "ours": (problem(418, "Teapot", "short and stout", field="query.pot"), 418),
}


def with_raising(parts: Parts, access: Access) -> ASGIApp:
    """The application, and routes that raise on purpose."""
    gate = make_app(parts, access)
    routes: FastAPI = gate._app.app  # type: ignore[attr-defined] # gate, zip, routes

    @routes.get("/raise/{name}")
    async def raising(name: str) -> None:
        raise _RAISED[name][0]

    @routes.post("/take")
    async def take(asked: Asked) -> Asked:
        return asked

    return gate


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with served(app=with_raising) as api:
        yield api


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_it_says_whether_it_is_alive_and_ready(api: Api, session: aiohttp.ClientSession) -> None:
    for path in ("/health", "/healthz"):
        async with session.get(api.url + path) as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok", "version": "1.2.3"})
    async with session.get(f"{api.url}/readyz") as answer:
        assert answer.status == 503
        assert "database not writable" in (await answer.json())["reasons"]
    api.parts.health.database_writable, api.parts.health.expects_candles = True, False
    async with session.get(f"{api.url}/readyz") as answer:
        assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": []})


async def test_the_documentation_needs_no_other_host(api: Api, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{api.url}/docs") as answer:
        page = await answer.text()
        assert answer.status == 200
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "<script" not in page
    assert not re.search(r"(?:src|href)='(?!/|#)", page)
    assert "/readyz" in page
    for path in re.findall(r"href='(/[^']+)'", page):
        async with session.get(api.url + path) as answer:
            assert answer.status == 200, path


async def test_openapi_says_the_shape_of_problems(api: Api, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{api.url}/openapi.json") as answer:
        found = await answer.json()
    assert {"Problem", "FieldError"} <= found["components"]["schemas"].keys()
    assert "HTTPValidationError" not in found["components"]["schemas"]
    for methods in found["paths"].values():
        for operation in methods.values():
            content = operation["responses"]["4XX"]["content"]
            assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/Problem"}


@pytest.mark.parametrize("name", _RAISED)
async def test_what_is_raised_is_a_problem(api: Api, session: aiohttp.ClientSession, name: str) -> None:
    error, status = _RAISED[name]
    async with session.get(f"{api.url}/raise/{name}") as answer:
        text = await answer.text()
        body = await answer.json(content_type="application/problem+json")
    assert answer.status == body["status"] == status
    assert body["title"]
    if isinstance(error, RateLimited | Unavailable):
        assert int(answer.headers["Retry-After"]) >= 1
    if status >= 500 and not isinstance(error, ConfigError):
        # H17: the reason stands in our log, under the id, and nowhere else.
        assert str(error) not in text
        assert not re.search(r"secret|internal\.|\w{3,}Error|Traceback|\.py", text)
        assert isinstance(error, MarketdError) or re.fullmatch("[0-9a-f]{16}", body["id"])


async def test_while_memory_is_short_only_the_public_is_served(session: aiohttp.ClientSession) -> None:
    limits = Limits()
    async with served(app=with_raising, limits=limits) as api:
        limits.become_short_of_memory(True)
        async with session.post(f"{api.url}/take", json={"number": 1}) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert "memory is short" in (await answer.json(content_type=None))["detail"]
        async with session.get(f"{api.url}/healthz") as answer:
            assert answer.status == 200
        limits.become_short_of_memory(False)
        async with session.post(f"{api.url}/take", json={"number": 1}) as answer:
            assert answer.status == 200


async def test_the_fields_that_are_wrong_are_named(api: Api, session: aiohttp.ClientSession) -> None:
    async with session.post(f"{api.url}/take", json={"number": "many"}) as answer:
        body = await answer.json(content_type="application/problem+json")
    assert answer.status == 422
    assert [error["field"] for error in body["errors"]] == ["body.number"]
    async with session.get(f"{api.url}/raise/ours") as answer:
        body = await answer.json(content_type="application/problem+json")
    assert body["errors"] == [{"field": "query.pot", "message": "short and stout"}]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"number": NaN}',
        b'{"number": Infinity}',
        b'{"number": 1, "number": 2}',
        b"[" * 40 + b"]" * 40,
        b"[" * 30_000,
        b'{"number": "\\u0000"}',
        b'{"number": "\\ud800"}',
        b'{"number": "\xff"}',
        b'{"number": ' + b"9" * 5_000 + b"}",
    ],
    ids=["cut", "nan", "infinity", "twice", "deep", "deeper", "nul", "surrogate", "utf8", "long number"],
)
async def test_only_strict_json_is_read(api: Api, session: aiohttp.ClientSession, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    async with session.post(f"{api.url}/take", data=body, headers=headers) as answer:
        assert answer.status in (400, 422)
        assert answer.content_type == "application/problem+json"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""]
)
async def test_a_body_is_json_or_nothing(api: Api, session: aiohttp.ClientSession, kind: str) -> None:
    # H13: what a form on some page can send without asking is not taken.
    async with session.post(
        f"{api.url}/take", data=b'{"number": 1}', headers={"Content-Type": kind}
    ) as answer:
        assert answer.status == 415
    async with session.post(f"{api.url}/take", json={"number": 1}) as answer:
        assert (answer.status, await answer.json()) == (200, {"number": 1})


@pytest.mark.parametrize("in_pieces", [False, True])
async def test_a_body_may_be_as_long_as_the_limit_says(
    api: Api, session: aiohttp.ClientSession, in_pieces: bool
) -> None:
    # H2; what is a byte longer is refused before it is there (test_slow_clients.py).
    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    body = b'{"number": 1}'.ljust(65_536)
    data = pieces(body) if in_pieces else body
    headers = {"Content-Type": "application/json"}
    async with session.post(f"{api.url}/take", data=data, headers=headers) as answer:
        assert answer.status == 200


async def test_a_packed_body_is_refused(api: Api, session: aiohttp.ClientSession) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with session.post(f"{api.url}/take", data=b"\x1f\x8b\x08", headers=headers) as answer:
        assert answer.status == 415


@pytest.mark.parametrize(
    "path", ["/nothing", "/health/", "/raise/%00", "/health?x=%00", "/../etc/passwd", "//health"]
)
async def test_what_is_not_there_is_said_so(api: Api, session: aiohttp.ClientSession, path: str) -> None:
    async with session.get(URL(api.url + path, encoded=True)) as answer:
        assert answer.status in (400, 404)
        assert answer.content_type == "application/problem+json"
    async with session.delete(f"{api.url}/health") as answer:
        assert answer.status == 405


async def test_every_answer_says_little_of_what_serves_it(api: Api, session: aiohttp.ClientSession) -> None:
    for path in ("/health", "/nothing", "/raise/bug"):
        async with session.get(api.url + path) as answer:
            assert answer.headers["Server"] == "marketd"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"


async def test_requests_are_counted_by_route_whatever_is_asked(
    api: Api, session: aiohttp.ClientSession
) -> None:
    # H16: 200 paths of somebody's make no label each.
    for number in range(200):
        async with session.get(f"{api.url}/nothing/{number}") as answer:
            assert answer.status == 404
    async with session.get(f"{api.url}/health") as answer:
        assert answer.status == 200
    found = {
        (sample.labels["route"], sample.labels["code"]): sample.value
        for family in api.metrics.registry.collect()
        for sample in family.samples
        if sample.name == "marketd_api_requests_total"
    }
    assert found == {("unmatched", "404"): 200, ("/health", "200"): 1}
