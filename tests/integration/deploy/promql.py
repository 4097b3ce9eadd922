"""The queries of deploy/, and which metrics they are about."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.processes import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
RULES = PROMETHEUS / "marketd.rules.yml"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is missing: apt-get install prometheus"
)

_METRIC = re.compile(r"\b(?:marketd|process)_[a-z0-9_]+\b")
_RECORDED = re.compile(r"\bmarketd:[a-z0-9_:]+\b")
_TYPE = re.compile(r"^# TYPE (\S+) (\S+)$", re.MULTILINE)
_PARTS = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}


def rules() -> list[dict[str, Any]]:
    """Every rule, recording and alerting."""
    return [
        rule
        for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def panels(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["panels"]
    return found


def panel_queries(path: Path) -> Iterator[str]:
    """With Grafana's variables filled in, as Prometheus gets them."""
    for panel in panels(path):
        for target in panel["targets"]:
            yield target["expr"].replace("$instance", ".*")


def metrics_in(query: str) -> set[str]:
    return set(_METRIC.findall(query))


def recorded_in(query: str) -> set[str]:
    return set(_RECORDED.findall(query))


def exported(text: str) -> set[str]:
    """Every name that the families of one scrape may have samples of, counted already or not."""
    return {name + part for name, kind in _TYPE.findall(text) for part in (*_PARTS.get(kind, ("",)),)}


def promtool(*arguments: str, folder: Path = PROMETHEUS) -> None:
    """Run promtool; it must be content."""
    told = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
