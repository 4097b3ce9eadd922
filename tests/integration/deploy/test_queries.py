"""Rules and dashboards: right by promtool, about metrics that exist, every alert with an entry in the runbook."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import GCCollector, PlatformCollector, ProcessCollector, generate_latest

from src.telemetry.metrics import Metrics
from tests.integration.deploy.promql import (
    DASHBOARDS,
    PROMETHEUS,
    RULES,
    alerts,
    exported,
    metrics_in,
    needs_promtool,
    panel_queries,
    panels,
    promtool,
    recorded_in,
    rules,
)
from tests.support.processes import ROOT

_RUNBOOK = "docs/troubleshooting.md"
_GRAFANA = ROOT / "deploy" / "grafana"


@pytest.fixture(scope="module")
def names() -> set[str]:
    """What a daemon exports (``test_prometheus`` looks at a real one's scrape)."""
    metrics = Metrics()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=metrics.registry)
    return exported(generate_latest(metrics.registry).decode())


@needs_promtool
def test_rules_and_scrape_configuration_are_right() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("check", "rules", RULES.name)


@needs_promtool
def test_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "marketd.rules.test.yml")


def test_every_alert_is_tested_and_has_its_entry_in_the_runbook() -> None:
    tested = set(re.findall(r"alertname: (\w+)", (PROMETHEUS / "marketd.rules.test.yml").read_text()))
    headings = set(re.findall(r"^### (\w+)$", (ROOT / _RUNBOOK).read_text(encoding="utf-8"), re.MULTILINE))
    named = {rule["alert"] for rule in alerts()}
    assert tested == named
    assert {heading for heading in headings if heading.startswith("Marketd")} == named
    links = {rule["alert"]: rule["annotations"]["runbook"] for rule in alerts()}
    assert links == {name: f"{_RUNBOOK}#{name.lower()}" for name in named}


def test_rules_are_about_metrics_that_exist(names: set[str]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    for rule in rules():
        assert metrics_in(rule["expr"]) - names == set(), rule
        assert recorded_in(rule["expr"]) - recorded == set(), rule


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_about_metrics_that_exist(path: Path, names: set[str]) -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    queries = list(panel_queries(path))
    assert queries
    for query in queries:
        assert metrics_in(query) - names == set(), query
        assert recorded_in(query) - recorded == set(), query


@needs_promtool
@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_query_of_a_dashboard_is_promql(path: Path, tmp_path: Path) -> None:
    group = [{"record": f"q:{number}", "expr": query} for number, query in enumerate(panel_queries(path))]
    text = yaml.safe_dump({"groups": [{"name": "queries", "rules": group}]})
    (tmp_path / "queries.yml").write_text(text, encoding="utf-8")
    promtool("check", "rules", "queries.yml", folder=tmp_path)


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_dashboards_are_provisioned_whole(path: Path) -> None:
    board = json.loads(path.read_text(encoding="utf-8"))
    assert board["uid"] == path.stem
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["instance"]["type"] == "query"
    ids = [panel["id"] for panel in panels(path)]
    assert len(ids) == len(set(ids))
    for panel in panels(path):
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        assert panel["description"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}", panel["title"]
            assert "$" not in target["expr"].replace("$instance", ""), "a variable that nobody defines"


def test_dashboards_do_not_share_a_uid_or_cover_each_others_panels() -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len(boards) >= 3
    for board in boards:
        cells = [
            (panel["gridPos"]["x"] + column, panel["gridPos"]["y"] + row)
            for panel in board["panels"]
            for column in range(panel["gridPos"]["w"])
            for row in range(panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(column for column, _ in cells) < 24


def test_grafana_is_told_where_dashboards_and_prometheus_are() -> None:
    provisioning = _GRAFANA / "provisioning"
    [provider] = yaml.safe_load((provisioning / "dashboards" / "marketd.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["allowUiUpdates"] is False
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    [source] = yaml.safe_load((provisioning / "datasources" / "marketd.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    assert source["url"] == "${PROMETHEUS_URL}"
