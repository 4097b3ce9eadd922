"""H10, H13, H15: who is let in, under which names, from which pages, how often; over real sockets."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from src.api.app import Access, make_app
from src.api.limits import Limits
from src.api.origins import Origins
from src.api.parts import Parts
from src.api.security import Caller, Scope, Tokens, needs
from src.telemetry import log
from tests.support.api import Api, routes_in, served
from tests.support.raw_client import RawClient, status_of
from tests.unit.api.test_routes import http_routes, is_public, methods_of, scope_of

TOKENS = {"read": "r" * 64, "task": "t" * 64, "admin": "a" * 64}
SITE = "https://charts.example.org"


def with_routes_of_each_scope(parts: Parts, access: Access) -> ASGIApp:
    gate = make_app(parts, access)
    routes = routes_in(gate)

    @routes.get("/any", dependencies=[needs(Scope.READ)])
    async def anybody(caller: Caller) -> dict[str, str]:
        return {"name": caller.name}

    @routes.post("/work", dependencies=[needs(Scope.TASK)])
    async def work() -> None:
        return None

    @routes.delete("/all", dependencies=[needs(Scope.ADMIN)])
    async def everything() -> None:
        return None

    @routes.get("/fail/{word}")
    async def fail(word: str) -> None:
        raise RuntimeError(word)

    return gate


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    path = tmp_path / "tokens"
    path.write_text("".join(f"{scope}er {scope} {token}\n" for scope, token in TOKENS.items()))
    tokens = Tokens(str(path))
    tokens.load()
    return tokens


@pytest.fixture
async def api(tokens: Tokens) -> AsyncIterator[Api]:
    origins = Origins(("market.example.org",), (SITE,))
    async with served(tokens=tokens, origins=origins, app=with_routes_of_each_scope) as api:
        yield api


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_every_route_lets_in_whom_its_scope_says(api: Api, session: aiohttp.ClientSession) -> None:
    """Every route of the application by every token, nobody's too; tests/unit/api/test_routes.py sees that each route
    has a scope."""
    seen = set()
    for route in http_routes(routes_in(api.app).routes):
        for method in sorted(methods_of(route)):
            for scope, token in TOKENS.items():
                status = await asked(session, method, api.url + path_of(route), token)
                allowed = is_public(route.path) or Scope[scope.upper()] >= scope_of(route)
                assert (status == 403) is not allowed, (method, route.path, scope)
                assert status != 401, (method, route.path, scope)
                seen.add((route.path, scope, allowed))
            stranger = await asked(session, method, api.url + path_of(route), "")
            assert (stranger == 401) is not is_public(route.path), (method, route.path)
            wrong = await asked(session, method, api.url + path_of(route), "x" * 64)
            assert wrong in (401, 429), (method, route.path)  # also where none is needed
    assert {("/any", "read", True), ("/work", "read", False), ("/work", "task", True)} <= seen
    assert {("/all", "task", False), ("/all", "admin", True), ("/health", "read", True)} <= seen


async def asked(session: aiohttp.ClientSession, method: str, url: str, token: str) -> int:
    headers = bearer(token) if token else {}
    async with session.request(method, url, headers=headers, allow_redirects=False) as answer:
        if answer.status == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        return answer.status


def path_of(route: APIRoute) -> str:
    """A path that leads to it."""
    return re.sub(r"\{(\w+)(:int)?[^}]*\}", lambda found: "1" if found[2] else found[1], route.path)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer " + "x" * 64,
        "Bearer",
        "Bearer  ",
        "Basic " + "r" * 64,
        "r" * 64,
        "Bearer " + "r" * 39,
        "Bearer é",
    ],
)
async def test_what_is_no_token_of_ours_is_refused(
    api: Api, session: aiohttp.ClientSession, header: str
) -> None:
    async with session.get(f"{api.url}/any", headers={"Authorization": header}) as answer:
        assert answer.status == 401
    async with session.get(f"{api.url}/any?token={TOKENS['read']}") as answer:
        assert answer.status == 401  # never in a URL, which logs and histories keep
    async with session.get(f"{api.url}/health", headers={"Authorization": header}) as answer:
        assert answer.status == 401  # wrong is wrong, also where none is needed


async def test_wrong_tokens_make_their_address_wait(api: Api, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{api.url}/any", headers=bearer(TOKENS["read"])) as answer:
        assert (answer.status, await answer.json()) == (200, {"name": "reader"})
    statuses = []
    while 429 not in statuses:  # each time it waits twice as long: this ends however slowly we ask
        async with session.get(f"{api.url}/any", headers=bearer("x" * 64)) as answer:
            statuses.append(answer.status)
            assert answer.status == 401 or 1 <= int(answer.headers["Retry-After"]) <= 60
    assert statuses[:5] == [401] * 5
    async with session.get(f"{api.url}/any", headers=bearer(TOKENS["read"])) as answer:
        assert answer.status == 200  # known from here before
    async with session.get(f"{api.url}/health") as answer:
        assert answer.status == 200


async def test_tokens_of_a_file_that_is_read_again(
    api: Api, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "tokens").write_text(f"reader read {'n' * 64}\n")
    api.tokens.load()
    for token, status in ((TOKENS["read"], 401), ("n" * 64, 200)):
        async with session.get(f"{api.url}/any", headers=bearer(token)) as answer:
            assert answer.status == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("192.168.1.7", 200),
        ("market.example.org", 200),
        ("market.example.org:443", 200),
        ("evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("localhost.evil.example.com:8000", 421),
        ("evil.example.com:127.0.0.1", 421),
        ("[evil]", 421),
        ("", 421),
        ("127.0.0.1@evil.example.com", 421),
    ],
)
async def test_it_is_called_by_its_own_names(
    api: Api, session: aiohttp.ClientSession, host: str, status: int
) -> None:
    """A page whose name was pointed at this machine has its own name in Host, and cannot have another."""
    async with session.get(f"{api.url}/health", headers={"Host": host}) as answer:
        assert answer.status == status
        assert host == "" or host not in await answer.text()


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "null", f"{SITE}.evil.example.com", "http://charts.example.org", "file://"],
)
async def test_pages_of_other_sites_are_refused(
    api: Api, session: aiohttp.ClientSession, origin: str
) -> None:
    headers = {**bearer(TOKENS["admin"]), "Origin": origin}
    for method, path in (("GET", "/any"), ("POST", "/work"), ("DELETE", "/all"), ("OPTIONS", "/work")):
        async with session.request(method, api.url + path, headers=headers) as answer:
            assert answer.status == 403
            assert "Access-Control-Allow-Origin" not in answer.headers
    with pytest.raises(aiohttp.WSServerHandshakeError) as raised:
        async with session.ws_connect(f"{api.url}/api/v1/live", headers=headers):
            pass
    assert raised.value.status == 403


async def test_our_own_pages_and_those_of_allowed_sites_are_let_in(
    api: Api, session: aiohttp.ClientSession
) -> None:
    for origin in (api.url, SITE):
        headers = {**bearer(TOKENS["task"]), "Origin": origin}
        async with session.post(f"{api.url}/work", headers=headers) as answer:
            assert answer.status == 200
            allowed = answer.headers.get("Access-Control-Allow-Origin")
            assert allowed == (SITE if origin == SITE else None)
        async with session.ws_connect(f"{api.url}/api/v1/live", headers=headers) as socket:
            assert (await socket.receive_json())["type"] == "hello"
    asks = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    async with session.options(f"{api.url}/work", headers=asks) as answer:
        assert answer.status == 204
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]


async def test_an_address_has_so_many_requests() -> None:
    limits = Limits(requests_per_minute=60)
    async with (
        served(limits=limits, app=with_routes_of_each_scope) as api,
        aiohttp.ClientSession() as session,
    ):

        async def ask() -> int:
            async with session.get(f"{api.url}/any") as answer:
                assert answer.status == 200 or int(answer.headers["Retry-After"]) >= 1
                return answer.status

        # A tenth more than half a minute's: all of them were good only if they took half a minute.
        statuses = await asyncio.gather(*(ask() for _ in range(40)))
        assert statuses.count(200) >= 10
        assert set(statuses) == {200, 429}
        for _ in range(40):
            async with session.get(f"{api.url}/health") as answer:
                assert answer.status == 200, "what is public is not counted"


async def test_a_token_has_so_many_requests_wherever_it_comes_from(tokens: Tokens) -> None:
    limits = Limits(requests_per_minute=60)
    async with (
        served(tokens=tokens, limits=limits, app=with_routes_of_each_scope) as api,
        AsyncExitStack() as stack,
    ):
        sessions = [
            await stack.enter_async_context(
                aiohttp.ClientSession(connector=aiohttp.TCPConnector(local_addr=(f"127.0.0.{number}", 0)))
            )
            for number in range(2, 10)
        ]

        async def ask(session: aiohttp.ClientSession, name: str) -> int:
            async with session.get(f"{api.url}/any", headers=bearer(TOKENS[name])) as answer:
                return answer.status

        # Fewer of an address than it may send at once.
        statuses = await asyncio.gather(*(ask(session, "read") for session in sessions for _ in range(5)))
        assert statuses.count(200) >= 10
        assert set(statuses) == {200, 429}
        assert {await ask(session, "task") for session in sessions[:5]} == {200}


@pytest.mark.parametrize("agent", [b"agent", b"agent\x1b[0m", b"a\xc2\x85b"])
@pytest.mark.parametrize(
    "word",
    [b"%0d%0aSet-Cookie:x=1", b"%0a{%22level%22:%22error%22}", b"%1b[31mred", b"%e2%80%a8", b"%e2%80%aeleft"],
)
async def test_nothing_that_is_sent_makes_a_line_of_the_log(api: Api, word: bytes, agent: bytes) -> None:
    stream = io.StringIO()
    log.configure(fmt="json", stream=stream, secrets=TOKENS.values())
    lines = [
        b"GET /fail/" + word + b" HTTP/1.1",
        b"Host: 127.0.0.1",
        b"Authorization: Bearer " + TOKENS["read"].encode(),
        b"User-Agent: " + agent,
    ]
    try:
        async with RawClient.to(api.port) as client:
            await client.send(b"\r\n".join(lines) + b"\r\n\r\n")
            answer = await client.one_answer()
    finally:
        log.reset()
    assert status_of(answer) in (400, 500)
    assert b"Set-Cookie" not in answer
    told = stream.getvalue().splitlines()
    assert all(json.loads(line)["event"] for line in told)
    assert all(line.isprintable() for line in told)
    assert not any(token in line for token in TOKENS.values() for line in told)
    if status_of(answer) == 500:
        assert [json.loads(line)["event"] for line in told] == ["request_failed"]
