"""Named queries from ``sql/queries/*.sql``; Python holds no SQL text.

A file is a list of ``-- name: word`` headers, each followed by one statement. Queries come out typed
``LiteralString``, the only type psycopg takes, so a type checker refuses SQL that was put together at run time.
"""

from __future__ import annotations

import re
from functools import cache
from typing import LiteralString

from ...errors import ConfigError
from ...paths import sql_root

_HEADER = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*\n", re.MULTILINE)


def parse(text: str) -> dict[str, LiteralString]:
    """Query by name. Comment lines are left out, so they may hold a ``%``.

    Raises ``ValueError`` for a name given twice or text before the first header.
    """
    preamble, *parts = _HEADER.split(text)
    if _COMMENT.sub("", preamble).strip():
        raise ValueError("SQL before the first '-- name:' header")
    queries: dict[str, LiteralString] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        if name in queries:
            raise ValueError(f"two queries are called {name}")
        queries[name] = _COMMENT.sub("", body).strip().removesuffix(";").rstrip()
    return queries


@cache
def _load(file: str) -> dict[str, LiteralString]:
    path = sql_root() / "queries" / f"{file}.sql"
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); is marketd installed whole?"
        ) from error


def query(file: str, name: str) -> LiteralString:
    """The query ``name`` of ``sql/queries/<file>.sql``. It is one: the text comes from our own files."""
    return _load(file)[name]
