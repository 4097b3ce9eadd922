"""Answers that are JSON already: what a route returns to have big data encoded once, and by orjson."""

from __future__ import annotations

from starlette.responses import Response

from .problems import encode


class Json(Response):
    """``content`` as JSON. FastAPI checks no more of it: the route's ``response_model`` says its shape for OpenAPI."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        return content if isinstance(content, bytes) else encode(content)
