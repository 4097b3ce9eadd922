"""The runbook speaks of what there is: events, metrics, settings, tables, exit codes, files, headings."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import generate_latest

from src import errors
from src.config.load import known_names
from src.telemetry.metrics import Metrics
from tests.support.processes import ROOT

_PATH = ROOT / "docs" / "troubleshooting.md"
_TEXT = _PATH.read_text(encoding="utf-8")
_NOT_OURS = {
    "max_connections",
    "max_locks_per_transaction",
    "deadlock",
    "target_session_attrs",
}


def _quoted(pattern: str) -> set[str]:
    return set(re.findall(rf"`({pattern})`", _TEXT))


def _source() -> str:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "sql").rglob("*.sql")]
    return "\n".join(path.read_text(encoding="utf-8") for path in files)


def test_events_reasons_and_tables_it_names_are_in_the_code() -> None:
    named = {
        word for word in _quoted(r"[a-z]+(?:_[a-z0-9]+)+") if not word.startswith("marketd_")
    } - _NOT_OURS
    assert named
    source = _source()
    assert [word for word in sorted(named) if not re.search(rf"\b{word}\b", source)] == []


def test_metrics_it_names_are_exported() -> None:
    exported = generate_latest(Metrics().registry).decode()
    named = set(re.findall(r"\bmarketd_[a-z_]+\b", _TEXT))
    families = {line.split()[2] for line in exported.splitlines() if line.startswith("# TYPE ")}
    assert named - families == set()


def test_settings_it_names_exist() -> None:
    upper = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", _TEXT))
    known = {*known_names(), "MARKETD_VAR", "MARKETD_ENV_FILE"}
    assert upper - known == set()


def test_exit_codes_it_explains_are_those_of_the_program() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) ", _TEXT, re.MULTILINE)}
    ours = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert ours - {errors.EXIT_USAGE} <= told


def test_links_lead_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", _TEXT, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for target in re.findall(r"\]\(([^)]+)\)", _TEXT):
        path, _, anchor = target.partition("#")
        assert not path or (Path(_PATH.parent) / path).exists(), target
        assert path or anchor in anchors, target
