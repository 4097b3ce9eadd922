"""Errors as problem details (RFC 9457), one shape for all of them.

    {"type": "about:blank", "title": "Unprocessable Content", "status": 422, "detail": "1 field is wrong",
     "errors": [{"field": "query.limit", "message": "Input should be less than or equal to 1000"}]}

What is our own fault says no more than an ``id``, which stands in the log beside the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from math import ceil
from secrets import token_hex
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from ..errors import (
    AlreadyRunning,
    BadData,
    BadFields,
    ConfigError,
    MarketdError,
    NotPublished,
    QueueFull,
    RateLimited,
    Retryable,
    TooWide,
    UnknownSymbol,
)
from ..telemetry.log import get_logger

MEDIA_TYPE: Final = "application/problem+json"
_MOST_ERRORS = 20
_RETRY_S = 1.0

TOLD: Final = "marketd.told"
"""Key in a request's scope: what went wrong was logged and answered."""

_log = get_logger("api")


class FieldError(BaseModel):
    """One field of the request that is wrong."""

    field: str = Field(description="Where it stands, such as `query.limit` or `body.parameters.symbol`.")
    message: str


class Problem(BaseModel):
    """What went wrong, in the shape of RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    errors: list[FieldError] = Field(default=[], description="The fields that are wrong, where some are.")
    id: str = Field(default="", description="Of an error on our side: it stands in the log.")


_SCHEMA = {"schema": {"$ref": "#/components/schemas/Problem"}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"description": "The request cannot be answered.", "content": {MEDIA_TYPE: _SCHEMA}},
    "5XX": {"description": "Not now, or an error on our side.", "content": {MEDIA_TYPE: _SCHEMA}},
}
"""``responses=`` of every route, for OpenAPI."""


class ProblemError(HTTPException):
    """Raise it (``problem`` makes it) and the answer is a ``Problem``, with ``more`` members of another protocol."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.title = title
        self.errors = errors
        self.more = more or {}


def problem(
    status: int,
    title: str = "",
    detail: str = "",
    *,
    field: str = "",
    retry_after: float | None = None,
    headers: Mapping[str, str] | None = None,
) -> ProblemError:
    """What to raise: ``raise problem(404, "Unknown symbol", "...")``. ``field`` names the one that is wrong."""
    wait = {} if retry_after is None else {"Retry-After": str(max(1, ceil(retry_after)))}
    errors = [FieldError(field=field, message=detail)] if field else []
    return ProblemError(
        status, title or phrase(status), detail, errors=errors, headers={**wait, **(headers or {})}
    )


def short_of_memory() -> ProblemError:
    """For whoever comes while there is hardly any left."""
    return problem(
        503, detail="memory is short here and collecting goes first; ask again later", retry_after=10
    )


def phrase(status: int) -> str:
    """The standard's words for a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


def answer(error: ProblemError, *, problem_id: str = "") -> Response:
    """The problem as an answer."""
    body: dict[str, Any] = {"type": "about:blank", "title": error.title, "status": error.status_code}
    if error.detail:
        body["detail"] = error.detail
    if error.errors:
        body["errors"] = [field.model_dump() for field in error.errors]
    if problem_id:
        body["id"] = problem_id
    body |= error.more
    return Response(encode(body), error.status_code, error.headers, MEDIA_TYPE)


def encode(value: object) -> bytes:
    """JSON, also of text that no encoder takes: somebody sent half a character, and it is named back to him."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return orjson.dumps(_printable(value))


def _printable(value: object) -> object:
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def of_marketd(error: MarketdError) -> ProblemError | None:
    """The problem that one of our own errors is, by what the caller can do about it; None: nothing, it is ours."""
    match error:
        case BadFields():
            fields = [FieldError(field=name, message=message) for name, message in error.fields]
            return ProblemError(422, phrase(422), str(error), errors=fields[:_MOST_ERRORS])
        case QueueFull():
            return problem(
                429, "Too many tasks wait", str(error), retry_after=max(error.retry_after, _RETRY_S)
            )
        case BadData():
            return problem(400, detail=str(error))
        case TooWide():
            return problem(400, "Too much at once", str(error))
        case UnknownSymbol() | NotPublished():
            return problem(404, detail=str(error))
        case AlreadyRunning():
            return problem(409, detail=str(error))
        case RateLimited():
            return problem(429, detail=str(error), retry_after=error.retry_after)
        case Retryable():
            # What the database or the venue said is for the log: it may name hosts and statements.
            return problem(503, detail="try again in a moment", retry_after=max(error.retry_after, _RETRY_S))
        case ConfigError():
            return problem(503, "Not configured", str(error))
        case _:
            return None


def unexpected(error: Exception, place: str) -> Response:
    """The answer to what nobody expected. What it was goes into the log alone, under an id that both have."""
    problem_id = token_hex(8)
    _log.error("request_failed", msg=f"{place}: {type(error).__name__}", problem=problem_id, exc_info=error)
    return answer(problem(500, detail="the log says what, under this id"), problem_id=problem_id)


def handle(app: FastAPI) -> None:
    """Teach ``app`` to answer in this shape whatever is raised."""
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(MarketdError, _of_ours)
    app.add_exception_handler(Exception, _of_unexpected)


async def _of_http(request: Request, error: Exception) -> Response:
    if isinstance(error, ProblemError):
        return answer(error)
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for these
    detail = "" if error.detail == phrase(error.status_code) else error.detail
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods(request)):
        headers["Allow"] = ", ".join(methods)
    return answer(ProblemError(error.status_code, phrase(error.status_code), detail, headers=headers))


def _methods(request: Request) -> list[str]:
    """What can be done at the path of a request, by all its routes; the framework names those of one of them."""
    path = getattr(request.scope.get("route"), "path_format", "")
    return sorted(method.upper() for method in request.app.openapi()["paths"].get(path, ()))


async def _of_validation(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for these
    fields = [
        FieldError(field=".".join(map(str, found["loc"])), message=str(found["msg"]))
        for found in error.errors()[:_MOST_ERRORS]
    ]
    number = len(error.errors())
    detail = "1 field is wrong" if number == 1 else f"{number} fields are wrong"
    return answer(ProblemError(422, phrase(422), detail, errors=fields))


async def _of_ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, MarketdError)  # noqa: S101 - registered for these
    found = of_marketd(error)
    if found is None:
        return unexpected(error, place_of(request.scope))
    if isinstance(error, Retryable):
        _log.warning("request_put_off", msg=str(error), reason=error.reason, place=place_of(request.scope))
    return answer(found)


async def _of_unexpected(request: Request, error: Exception) -> Response:
    request.scope[TOLD] = True
    return unexpected(error, place_of(request.scope))


def place_of(scope: Mapping[str, Any]) -> str:
    """The route a request was for, never its own text: one of a short fixed list, for logs and labels."""
    return getattr(scope.get("route"), "path", None) or "unmatched"
