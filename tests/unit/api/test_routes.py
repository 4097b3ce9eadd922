"""What holds for every route there is, and for every one that is added."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from inspect import iscoroutinefunction
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from src.api.app import PUBLIC, make_routes
from src.api.feed import live
from src.api.security import Needs, Scope, needs
from tests.support.api import made_parts, routes_of

_API = make_routes(made_parts())
_CHANGES = {"POST", "PUT", "PATCH", "DELETE"}
_PLACE = re.compile(r"(^|_)(url|uri|path|file|host|proxy|endpoint|address|dsn|schema)(_|$)", re.IGNORECASE)
_TAKEN = {"pool_address", "db_overrides"}
"""Of a pool on the chain: 40 hexadecimal digits; and what a setting must allow."""
NOTHING = 0
_NOT_HTTP = {live.PATH}
"""Web sockets, which demand the scope for themselves."""


def http_routes(routes: Sequence[BaseRoute]) -> list[APIRoute]:
    """Every route of HTTP."""
    return [route for route in routes_of(routes) if isinstance(route, APIRoute)]


def methods_of(route: APIRoute) -> set[str]:
    return set(route.methods or ())


def scope_of(route: APIRoute) -> int:
    """What it needs; ``NOTHING`` where nobody said it."""
    found = [one.call.scope for one in route.dependant.dependencies if isinstance(one.call, Needs)]
    return max(found, default=NOTHING)


def is_public(path: str) -> bool:
    """Whether strangers may see it; a path that ends in / stands for all below it."""
    return path in PUBLIC or any(path.startswith(one) for one in PUBLIC if one.endswith("/") and one != "/")


def _named(route: APIRoute) -> str:
    return f"{' '.join(sorted(methods_of(route)))} {route.path}"


every_route = pytest.mark.parametrize("route", http_routes(_API.routes), ids=_named)


def test_there_are_no_routes_but_those_that_are_looked_at_here() -> None:
    assert {"/health", "/readyz"} <= {route.path for route in http_routes(_API.routes)}
    others = {
        getattr(route, "path", repr(route))
        for route in routes_of(_API.routes)
        if not isinstance(route, APIRoute)
    }
    assert {path for path in others if not is_public(path)} == _NOT_HTTP


@every_route
def test_every_route_says_what_it_needs(route: APIRoute) -> None:
    """``APIRouter(dependencies=[needs(Scope.READ)])``, and more of a route that needs more; or it is in ``PUBLIC``."""
    assert (scope_of(route) == NOTHING) == is_public(route.path)


@every_route
def test_what_changes_something_needs_more_than_reading(route: APIRoute) -> None:
    if methods_of(route) & _CHANGES:
        assert scope_of(route) > Scope.READ


@every_route
def test_no_route_works_in_a_thread(route: APIRoute) -> None:
    """Threads would share the interpreter with the loop that candles come in on, and have no deadline."""
    assert [call for call in _called(route.dependant) if not _is_on_the_loop(call)] == []


def _called(dependant: Dependant) -> Iterator[Any]:
    yield dependant.call
    for one in dependant.dependencies:
        yield from _called(one)


def _is_on_the_loop(call: Any) -> bool:
    return iscoroutinefunction(call) or iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004 - of an object


def test_public_paths_are_only_looked_at() -> None:
    for route in http_routes(_API.routes):
        if is_public(route.path):
            assert methods_of(route) <= {"GET", "HEAD"}


def test_a_route_that_says_nothing_is_found() -> None:
    router = APIRouter(dependencies=[needs(Scope.READ)])
    bare = APIRouter()
    for one in (router, bare):
        one.get("/a")(_nothing)
        one.post("/b", dependencies=[needs(Scope.TASK)])(_nothing)
    app = FastAPI(openapi_url=None)
    app.include_router(router)
    app.include_router(bare)
    found = [scope_of(route) for route in http_routes(app.routes)]
    assert found == [Scope.READ, Scope.TASK, NOTHING, Scope.TASK]


async def _nothing() -> None:
    return None


def _fields() -> Iterator[str]:
    described = _API.openapi()
    for methods in described["paths"].values():
        for operation in methods.values():
            yield from (item["name"] for item in operation.get("parameters", ()))
            for content in operation.get("requestBody", {}).get("content", {}).values():
                yield from _properties(content["schema"], described["components"]["schemas"])


def _properties(schema: dict[str, object], schemas: dict[str, dict[str, object]]) -> Iterator[str]:
    schema = schemas.get(str(schema.get("$ref", "")).rpartition("/")[2], schema)
    properties = schema.get("properties", {})
    assert isinstance(properties, dict)
    for name, field in properties.items():
        yield name
        yield from _properties(field, schemas)


def test_nobody_outside_says_where_we_connect_or_what_we_open() -> None:
    """H12: no field of a request is an address, a path or a name of a host."""
    assert [name for name in _fields() if _PLACE.search(name) and name not in _TAKEN] == []
