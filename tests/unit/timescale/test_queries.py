"""SQL lives in files, each query is used, and each use has its query."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.adapters.timescale import queries
from src.adapters.timescale.queries import parse, query
from src.errors import ConfigError
from src.paths import sql_root

_ADAPTER = Path(queries.__file__).parent
_PACKAGE = _ADAPTER.parents[1]
_NAMED = re.compile(r"(\w+)\.(\w+)")


def test_headers_split_a_file_and_comments_stay_behind() -> None:
    text = "-- about 100 % of it\n\n-- name: one\n-- why\nSELECT '--' AS a\n    -- and 5 %\n;\n\n"
    text += "-- name: two\nSELECT 2;\n"
    assert parse(text) == {"one": "SELECT '--' AS a", "two": "SELECT 2"}


@pytest.mark.parametrize(
    "text", ["SELECT 1;\n-- name: one\nSELECT 1;\n", "-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;\n"]
)
def test_a_file_that_is_not_a_list_of_queries_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"one|before"):
        parse(text)


def test_a_file_that_is_not_there_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"nothing\.sql"):
        query("nothing", "here")


def test_every_query_is_used_and_every_use_has_its_query() -> None:
    written = {
        (path.stem, name)
        for path in (sql_root() / "queries").glob("*.sql")
        for name in parse(path.read_text(encoding="utf-8"))
    }
    used = set(_uses())
    assert used - written == set()
    assert written - used == set()


def test_no_sql_stands_in_python() -> None:
    keywords = ("SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM", "CREATE TABLE", "COPY ")
    for path in _ADAPTER.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not node.value.lstrip().startswith(keywords), f"{path.name}:{node.lineno}"


def _uses() -> Iterator[tuple[str, str]]:
    """The arguments of query(...), and what kernels ask their ``Tables``.

    The helpers that fix the file's name are told apart by what they wrap.
    """
    wrappers = {"_execute": "candles", "_all": "inspection"}
    for path in _PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            words = [
                arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
            ]
            if isinstance(node.func, ast.Attribute):
                yield from _asked(node.func.attr, words)
            elif isinstance(node.func, ast.Name) and _ADAPTER in path.parents and words:
                if node.func.id == "query" and len(words) == 2:
                    yield words[0], words[1]
                elif node.func.id == "_query":
                    yield from _asked("rows", words)
                elif node.func.id in wrappers:
                    yield wrappers[node.func.id], words[0]


def _asked(method: str, words: list[str]) -> Iterator[tuple[str, str]]:
    """``tables.read("file.name", ...)`` and its like; what is written has a table that it comes in by."""
    if (
        method in {"rows", "records", "read", "pieces", "write"}
        and words
        and (found := _NAMED.fullmatch(words[0]))
    ):
        file, name = found.groups()
        yield file, name
        if method == "write":
            yield file, f"{name}_incoming"
