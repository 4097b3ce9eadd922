"""What a client may say on a stream connection, and the venue's answers: pure, no transport.

``{"method":"SUBSCRIBE","params":["btcusdt@kline_1m"],"id":1}`` is answered ``{"result":null,"id":1}``, whatever
the names are: an ack proves nothing. Errors: ``{"error":{"code":n,"msg":...},"id":n}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")


@dataclass(frozen=True, slots=True)
class Request:
    """One well-formed client message."""

    method: str
    params: list[Any]
    number: int | None


class Malformed(Exception):
    """A message the venue answers with an error; ``answer`` is that text."""

    def __init__(self, code: int, text: str, number: int | None = None) -> None:
        super().__init__(text)
        self.answer = error(code, text, number)


def error(code: int, text: str, number: int | None) -> bytes:
    """The venue's error answer."""
    answer: dict[str, Any] = {"error": {"code": code, "msg": text}}
    return orjson.dumps(answer if number is None else answer | {"id": number})


def result(value: Any, number: int | None) -> bytes:
    """The venue's ordinary answer."""
    return orjson.dumps({"result": value, "id": number})


def parse(text: str | bytes) -> Request:
    """Read one client message; raises ``Malformed`` with the venue's codes 0 to 3."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as reason:
        raise Malformed(3, f"Invalid JSON: {reason}") from reason
    if not isinstance(message, dict):
        raise Malformed(2, "Invalid request: expected an object at line 1 column 1")
    number = message.get("id")
    if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 0):
        raise Malformed(2, "Invalid request: request ID must be an unsigned integer")
    method = message.get("method")
    if method is None:
        raise Malformed(2, "Invalid request: missing field `method`", number)
    if method not in METHODS:
        expected = ", ".join(f"`{name}`" for name in METHODS)
        raise Malformed(2, f"Invalid request: unknown variant `{method}`, expected one of {expected}", number)
    return Request(method, _params(method, message.get("params"), number), number)


def _params(method: str, params: Any, number: int | None) -> list[Any]:
    if method == "LIST_SUBSCRIPTIONS":
        return []
    if not isinstance(params, list):
        raise Malformed(2, "Invalid request: missing field `params`", number)
    if method in {"SUBSCRIBE", "UNSUBSCRIBE"}:
        if not all(isinstance(name, str) for name in params):
            raise Malformed(2, "Invalid request: stream names must be strings", number)
        return params
    if not params or not isinstance(params[0], str):
        raise Malformed(2, "Invalid request: property name must be a string", number)
    if params[0] != "combined":
        raise Malformed(0, "Unknown property", number)
    if method == "SET_PROPERTY" and (len(params) != 2 or not isinstance(params[1], bool)):
        raise Malformed(1, "Invalid value type: expected Boolean", number)
    return params
