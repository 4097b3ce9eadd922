"""H1, H3, H4: every field of every route is sent what nobody should send, to a daemon on a real database.

The routes and their fields come from the daemon's own OpenAPI, so a new one is tried without a line here.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
from yarl import URL

from tests.faults.database import ask
from tests.support.daemon import Daemon
from tests.support.roles import PASSWORD, separate_roles

TEXTS = (
    "'",
    "'; DROP TABLE market_data.candles_1m; --",
    "x' OR '1'='1",
    "1) UNION SELECT rolpassword FROM pg_authid --",
    'BTCUSDT"; SELECT pg_sleep(20); --',
    "$$ %s %(symbol)s {0} {symbol}",
    "../../../../etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc/passwd",
    "/etc/passwd",
    "\0",
    "\r\nSet-Cookie: a=b",
    "\x1b[31mred",
    "币安人生USDT",
    "\U0001f4a5" * 200,
    "",
    "-1",
    "0",
    "9" * 30,
    "1e400",
    "NaN",
    "0000-01-01T00:00:00Z",
    "9999-12-31T23:59:60Z",
    "292277026596-12-04T15:30:08Z",
    "null",
    "[]",
)
VALUES: tuple[Any, ...] = (
    *TEXTS,
    -1,
    0,
    2**31,
    2**63,
    10**30,
    1.5,
    1e308,
    True,
    None,
    [],
    {},
    ["'"] * 50,
    {"a": "'"},
)
"""Of a body; of a path or query, what of it is text."""
_AT_ONCE = 12
_UNEXPECTED = 500
_TABLES = """
SELECT schemaname || '.' || tablename FROM pg_tables WHERE schemaname NOT LIKE '\\_timescaledb%' ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. ``path`` and ``query`` are quoted already."""

    method: str
    path: str
    query: str = ""
    body: Any = None


@dataclass(slots=True)
class Operation:
    """One operation of OpenAPI, with a plausible value for each of its fields."""

    method: str
    path: str
    in_path: dict[str, str] = field(default_factory=dict)
    in_query: dict[str, str] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    body: dict[str, Any] | None = None

    def hostile(self) -> Iterator[Asked]:
        """Every value in every field, one at a time."""
        for name in self.in_path:
            for text in filter(None, TEXTS):
                yield self._asked(path={**self.in_path, name: text})
        for name in self.in_query:
            for text in TEXTS:
                yield self._asked(query={name: text})
        for name in self.body or ():
            for value in VALUES:
                yield self._asked(body={**(self.body or {}), name: value})
        if self.body is not None:
            for value in VALUES:
                yield self._asked(body=value)

    def _asked(
        self,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: Any = ...,
    ) -> Asked:
        where = self.path
        for name, text in (path or self.in_path).items():
            where = where.replace("{" + name + "}", quote(text, safe=""))
        needed = {name: text for name, text in self.in_query.items() if name in self.required}
        pairs = {**needed, **(query or {})}
        encoded = "&".join(f"{quote(name)}={quote(text, safe='')}" for name, text in pairs.items())
        return Asked(self.method, where, encoded, self.body if body is ... else body)


def operations(described: Mapping[str, Any]) -> Iterator[Operation]:
    """All of them."""
    schemas = described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for method, told in methods.items():
            found = Operation(method.upper(), path)
            for parameter in told.get("parameters", ()):
                value = _plausible(parameter["name"], parameter["schema"], schemas)
                values = found.in_path if parameter["in"] == "path" else found.in_query
                values[parameter["name"]] = str(value)
                if parameter.get("required"):
                    found.required.add(parameter["name"])
            content = told.get("requestBody", {}).get("content", {}).get("application/json")
            if content is not None:
                found.body = _object(content["schema"], schemas)
            yield found


def _resolved(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in schema:
        return _resolved(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _resolved(schema[several][0], schemas)
    return schema


def _object(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    properties = _resolved(schema, schemas).get("properties", {})
    return {name: _plausible(name, found, schemas) for name, found in properties.items()}


def _plausible(name: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that may well be good."""
    found = _resolved(schema, schemas)
    for said in ("const", "default"):
        if schema.get(said) is not None:
            return schema[said]
    if "enum" in found:
        return found["enum"][0]
    match found.get("type"):
        case "integer" | "number":
            return found.get("minimum", 1)
        case "boolean":
            return False
        case "array":
            return []
        case "object":
            return {}
        case _:
            return "BTCUSDT" if "symbol" in name else "1"


@asynccontextmanager
async def _daemon(database: str, folder: Path) -> AsyncIterator[tuple[Daemon, str]]:
    settings = {**separate_roles(database), "API_REQUESTS_PER_MINUTE": "10000000", "LOG_LEVEL": "debug"}
    daemon = Daemon(settings, folder=folder, arguments=("serve",))
    daemon.start()
    try:
        await daemon.wait_ready()
        yield daemon, await daemon.api_url()
        await daemon.stop()
    finally:
        await daemon.kill()


async def _answers(session: aiohttp.ClientSession, url: str, asked: list[Asked]) -> list[tuple[int, str]]:
    """Status and text of each, some at a time."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def ask_one(one: Asked) -> tuple[int, str]:
        data = None if one.body is None and one.method == "GET" else json.dumps(one.body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        where = URL(f"{url}{one.path}?{one.query}", encoded=True)
        async with places, session.request(one.method, where, data=data, headers=headers) as answer:
            return answer.status, await answer.text()

    return list(await asyncio.gather(*map(ask_one, asked)))


async def test_no_value_of_any_field_is_more_than_a_value(database: str, tmp_path: Path) -> None:
    before = await ask(database, _TABLES)
    async with _daemon(database, tmp_path) as (daemon, url):
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/openapi.json") as answer:
                found = list(operations(await answer.json()))
            asked = [one for operation in found for one in operation.hostile()]
            assert len({one.path for one in asked}) > len(found) > 20
            answers = await _answers(session, url, asked)
            assert {200, 400, 404, 422} <= {status for status, _ in answers}
            async with session.get(f"{url}/health") as answer:
                assert answer.status == 200
        wrong = [
            (one, status, text[:300])
            for one, (status, text) in zip(asked, answers, strict=True)
            if status >= _UNEXPECTED
        ]
        assert not wrong, wrong[:10]
        leaks = (PASSWORD, "root:", "pg_authid", "psycopg", "Traceback", "SELECT ", "/etc/")
        told = [
            (one, text[:300])
            for one, (_, text) in zip(asked, answers, strict=True)
            if _tells(one, text, leaks)
        ]
        assert not told, told[:10]
        counted = (await daemon.metrics()).labels("api_requests_total", "route")
        routes = {re.sub(r":\w+}", "}", route) for route in counted}  # {id:int} is {id} in OpenAPI
        assert routes <= {operation.path for operation in found} | {"unmatched"}  # H16
        assert PASSWORD not in daemon.child.text()
    assert await ask(database, _TABLES) == before


def _tells(one: Asked, text: str, leaks: tuple[str, ...]) -> bool:
    """Whether the answer says what nobody outside should know, and what was not just sent."""
    sent = f"{one.path}{one.query}{one.body}"
    return any(leak in text and quote(leak, safe="") not in sent and leak not in sent for leak in leaks)
