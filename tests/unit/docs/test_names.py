"""What the documents name exists: settings, metrics, endpoints, tables, commands and their options, files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from src.config.load import known_names
from tests.support import reference
from tests.support.processes import ROOT

_DOCUMENTS = [
    *(
        ROOT / name
        for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "sql/README.md", "web/README.md")
    ),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "deploy").rglob("*.md")),
    *sorted((ROOT / "src").rglob("README.md")),
]
"""Not docs/adr: what was decided names what there was."""
_OPERATED = [
    *_DOCUMENTS,
    *(
        path
        for path in sorted((ROOT / "deploy").rglob("*"))
        if path.suffix in (".yml", ".yaml", ".conf", ".service")
    ),
]
_OURS = {
    "MARKETD_VAR", "MARKETD_STOP_SECONDS", "MARKETD_DEBIAN_MIRROR", "MARKETD_CONFIG_FILE", "MARKETD_ENV_FILE",
    "MARKETD_TEST_DATA", "MARKETD_TEST_DATABASE_URL", "MARKETD_TEST_PICTURES", "MARKETD_FAULT_SEED",
    "MARKETD_RUN_FILE", "MARKETD_API", "MARKETD_LOG_BYTES", "MARKETD_SOAK_SPEED", "UPDATE_SNAPSHOT",
}  # fmt: skip
"""Of scripts and tests."""

every_document = pytest.mark.parametrize("path", _DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def _code(text: str) -> Iterator[str]:
    """What stands in code: blocks, and words between backquotes."""
    for block, word in re.findall(r"^```\w*\n(.*?)^```|`([^`\n]+)`", text, re.MULTILINE | re.DOTALL):
        yield block or word


def _unknown_settings(text: str) -> set[str]:
    """Settings that are assigned or named alone in code."""
    known = set(known_names()) | {f"{name}_FILE" for name in known_names()} | _OURS
    named = set()
    for code in _code(text):
        named |= set(re.findall(r"^#?\s*([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)(?==|$)", code.strip(), re.MULTILINE))
    return {name for name in named if name.split("_")[0] in _FIRST_WORDS} - known


_FIRST_WORDS = {name.split("_")[0] for name in known_names()} | {"MARKETD"}
"""A name that begins as one of our settings and is none is a mistake, or one that is gone."""


@every_document
def test_settings_it_names_exist(path: Path) -> None:
    assert _unknown_settings(path.read_text(encoding="utf-8")) == set()


def test_metrics_that_are_named_exist() -> None:
    families = {name.strip("`") for name, _, _ in reference.metrics()}
    exposed = families | {f"{name}_{end}" for name in families for end in ("bucket", "count", "sum")}
    for path in _OPERATED:
        text = path.read_text(encoding="utf-8")
        named = set(re.findall(r"(?<![\w/.-])(marketd_[a-z0-9_]+)(?![\w/.:-])", text))
        unknown = {name for name in named if not name.endswith("_")} - exposed - _NOT_METRICS
        # nginx has names of its own for upstreams and zones.
        assert path.suffix == ".conf" or unknown == set(), path


_NOT_METRICS = {"marketd_owner", "marketd_writer", "marketd_reader"}
"""Roles of the database."""


def test_endpoints_that_are_named_exist() -> None:
    paths = {name.strip("`").split(" ")[1] for name, _, _ in reference.endpoints()} | {
        "/docs",
        "/udf",
        "/openapi.json",
    }
    patterns = [re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path)) + "$") for path in paths]
    unknown = set()
    for path in _OPERATED:
        for named in re.findall(
            r"(?:/api/v1|(?<![\w.])/udf)(?:/[\w{}-]+)*", path.read_text(encoding="utf-8")
        ):
            prefix = any(one.startswith(named + "/") for one in paths)
            if not prefix and not any(pattern.match(named) for pattern in patterns):
                unknown.add(f"{path.relative_to(ROOT)}: {named}")
    assert unknown == set()


@every_document
def test_commands_it_names_exist_with_their_options(path: Path) -> None:
    known = {
        name.strip("`"): set(options.replace("`", "").split()) for name, _, options in reference.commands()
    }
    wrong = []
    for code in _code(path.read_text(encoding="utf-8")):
        for call in re.findall(r"(?:^|[;&|]\s*|\$ )(?:\S+=\S+ )*(marketd [^\n#|;&]+)", code, re.MULTILINE):
            wrong += _wrong(call, known)
    assert wrong == []


def _wrong(call: str, known: dict[str, set[str]]) -> list[str]:
    words = call.split()
    name, options = words[0], set(known["marketd"]) | {"--help", "--version"}
    for word in words[1:]:
        if f"{name} {word}" in known:
            name = f"{name} {word}"
            options |= known[name]
    given = [word.partition("=")[0] for word in words if word.startswith("--") and len(word) > 2]
    bad = [f"{call}: {word}" for word in given if word not in options]
    if name == "marketd" and len(words) > 1 and re.fullmatch(r"[a-z]+", words[1]):
        bad.append(f"{call}: no such command")
    return bad


def test_what_is_wrong_is_found() -> None:
    known = {
        name.strip("`"): set(options.replace("`", "").split()) for name, _, options in reference.commands()
    }
    assert _wrong("marketd coverage --from 2026-01-20", known) == []
    assert _wrong("marketd coverage --form 2026-01-20", known)
    assert _wrong("marketd cover", known)
    assert _unknown_settings("`BACKFILL_FROM=2d` and `API_PORT`") == set()
    assert _unknown_settings("```\nBACKFILL_SINCE=2d\n```") == {"BACKFILL_SINCE"}


def test_tables_that_queries_in_documents_read_exist() -> None:
    known = {name.strip("`") for name, _, _ in reference.tables()}
    for path in _DOCUMENTS:
        for code in _code(path.read_text(encoding="utf-8")):
            for table in re.findall(
                r"\b(?:from|FROM|JOIN|join) (?:market_data\.)?([a-z_0-9]+)\b(?![.(])", code
            ):
                if re.search(r"\bselect\b", code, re.IGNORECASE):
                    assert table in known or table.startswith(("pg_", "timescaledb_")), f"{path}: {table}"


@every_document
def test_files_it_names_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    named = re.findall(r"`((?:docs|deploy|scripts|sql|src|tests|benchmarks|web|fuzz)/[\w./-]+)`", text)
    there = (ROOT, path.parent)
    missing = [name for name in named if not any((folder / name).exists() for folder in there)]
    assert [name for name in missing if not _made(name)] == []


def _made(name: str) -> bool:
    return "NAME" in name or name.startswith(("src/api/static", "web/node_modules", "deploy/docker/secrets"))
