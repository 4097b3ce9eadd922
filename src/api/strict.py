"""Bodies before anybody reads them: JSON as it should be, and nothing that two readers would read differently."""

from __future__ import annotations

import json
from typing import Any

import orjson

from .problems import ProblemError, problem

_DEEPEST = 16


def check_json(body: bytes) -> None:
    """Raises ``ProblemError`` 400 for what is not JSON (NaN and lone surrogates are not), keys given twice, NUL and
    depths that nothing here has."""
    try:
        orjson.loads(body)
        value = json.loads(body, object_pairs_hook=_once)
    except ProblemError:
        raise
    except (ValueError, RecursionError):
        raise problem(400, detail="the body is not JSON", field="body") from None
    _check(value, 1)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise problem(400, detail="a key is given twice", field="body")
    return found


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise problem(400, detail="a text has the character NUL", field="body")
        return
    if not isinstance(value, dict | list):
        return
    if depth > _DEEPEST:
        raise problem(400, detail=f"deeper than {_DEEPEST} levels", field="body")
    for item in value if isinstance(value, list) else (*value.keys(), *value.values()):
        _check(item, depth + 1)
