"""The application: routes, the shape of errors, and what every request passes first."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from . import docs_page, static_files
from .feed import live
from .gate import Gate
from .limits import Limits
from .origins import Origins
from .parts import Parts
from .problems import PROBLEMS, FieldError, Problem, handle
from .routes import ROUTERS

_ABOUT = """Everything that marketd keeps of the market, and the work that it does on it.

Times in answers are UTC milliseconds (`*_ms`, `open_time`); in requests milliseconds or RFC 3339. An unknown symbol is
404, an empty range an empty list. Errors are problem details (RFC 9457). Where tokens are set, give one as
`Authorization: Bearer TOKEN`; its scope is read, task or admin, each of which holds the one before it.
"""
_ZIP_FROM_BYTES = 1_024
_ZIP_LEVEL = 1
"""The level above it takes three times as long for a tenth less, on the loop that the candles share."""

PUBLIC = (
    "/health",
    "/healthz",
    "/readyz",
    docs_page.PATH,
    docs_page.STYLE_PATH,
    docs_page.OPENAPI_PATH,
    *static_files.PUBLIC,
)
"""What strangers may see: no data."""


@dataclass(frozen=True, slots=True)
class Access:
    """Under which names, how much. ``public`` are more paths like ``PUBLIC``."""

    origins: Origins
    limits: Limits
    public: Collection[str] = ()


def make_app(parts: Parts, access: Access) -> ASGIApp:
    """The whole of HTTP as one ASGI application."""
    api = make_routes(parts)
    zipped = GZipMiddleware(api, minimum_size=_ZIP_FROM_BYTES, compresslevel=_ZIP_LEVEL)
    return Gate(
        zipped,
        guard=parts.guard,
        origins=access.origins,
        limits=access.limits,
        metrics=parts.metrics,
        public=(*PUBLIC, *access.public),
    )


def make_routes(parts: Parts) -> FastAPI:
    """The routes alone, as OpenAPI describes them."""
    api = _Api(
        title="marketd",
        version=parts.version,
        description=_ABOUT,
        openapi_url=docs_page.OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        responses=PROBLEMS,
        separate_input_output_schemas=False,
    )
    api.state.parts = parts
    handle(api)
    for router in ROUTERS:
        api.include_router(router)
    api.include_router(live.router)
    api.include_router(docs_page.router)
    api.include_router(static_files.router)
    return api


class _Api(FastAPI):
    """FastAPI, with the problems' shape and the token in what it says of itself."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            found = super().openapi()
            schemas = found.setdefault("components", {}).setdefault("schemas", {})
            for model in (FieldError, Problem):
                schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schema.pop("$defs", None)
                schemas[model.__name__] = schema
            found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            found["security"] = [{}, {"token": []}]
        assert self.openapi_schema is not None  # noqa: S101 - super() keeps it
        return self.openapi_schema
