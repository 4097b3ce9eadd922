"""The image and the compose file: what they promise in words is what stands in them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from src.api.security import Tokens
from src.cli.daemon import STOP_WITHIN_S
from src.config.load import known_names, load
from tests.integration.deploy.promql import RULES, needs_promtool, promtool
from tests.support.processes import ROOT

_FOLDER = ROOT / "deploy" / "docker"
_DOCKERFILE = (_FOLDER / "Dockerfile").read_text(encoding="utf-8")
_COMPOSE: dict[str, Any] = yaml.safe_load((_FOLDER / "compose.yaml").read_text(encoding="utf-8"))
_SERVICES: dict[str, dict[str, Any]] = _COMPOSE["services"]
_OURS = [name for name, service in _SERVICES.items() if service["image"] == "marketd"]
_FOREIGN = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "NUMBA_CACHE_DIR", "MPLCONFIGDIR"}
_FILES = {"MARKETD_ENV_FILE", "MARKETD_CONFIG_FILE"}


@pytest.mark.skipif(
    shutil.which("docker-compose") is None, reason="docker-compose is missing: apt-get install docker-compose"
)
def test_compose_takes_it(tmp_path: Path) -> None:
    """By the schema of the last release that needs no engine, which did not have ``name`` yet."""
    older = {key: value for key, value in _COMPOSE.items() if key != "name"}
    (tmp_path / "compose.yaml").write_text(yaml.safe_dump(older), encoding="utf-8")
    told = subprocess.run(
        ["docker-compose", "-f", str(tmp_path / "compose.yaml"), "config", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr


def test_nobody_but_this_machine_reaches_a_port() -> None:
    ports = [port for service in _SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_memory_is_bounded_and_nobody_gains_rights() -> None:
    for name, service in _SERVICES.items():
        assert service["mem_limit"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name


@pytest.mark.parametrize("name", _OURS)
def test_our_processes_may_do_little_and_have_the_time_to_stop(name: str) -> None:
    service = _SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert float(service["stop_grace_period"].removesuffix("s")) > STOP_WITHIN_S
    assert {"max-size", "max-file"} <= service["logging"]["options"].keys(), "its log has no bound"


@pytest.mark.parametrize("name", _OURS)
def test_every_setting_and_secret_they_are_given_exists(name: str) -> None:
    service = _SERVICES[name]
    assert service["environment"].keys() <= set(known_names())
    for value in service["environment"].values():
        if value.startswith("/run/secrets/"):
            assert value.removeprefix("/run/secrets/") in service["secrets"]


def test_every_secret_and_file_that_is_mounted_is_declared_or_there() -> None:
    used = {secret for service in _SERVICES.values() for secret in service.get("secrets", ())}
    assert used == _COMPOSE["secrets"].keys()
    for service in _SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (_FOLDER / source).exists() if source.startswith(".") else source in _COMPOSE["volumes"]


def test_secrets_are_made_once_and_marketd_takes_them(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    script = _FOLDER / "secrets.sh"
    subprocess.run([str(script), str(folder)], check=True, capture_output=True)
    made = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert made.keys() == _COMPOSE["secrets"].keys()
    assert folder.stat().st_mode & 0o077 == 0, "the files are for everybody who may enter"
    subprocess.run([str(script), str(folder)], check=True, capture_output=True)
    assert {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()} == made
    inside = {
        name: value.replace("/run/secrets", str(folder))
        for name, value in _SERVICES["marketd"]["environment"].items()
    }
    loaded = load(environ={**inside, "MARKETD_ENV_FILE": "/dev/null", "MARKETD_CONFIG_FILE": "/dev/null"})
    loaded.settings.check()
    assert Tokens(loaded.settings.api_tokens_file).load() == 1


@needs_promtool
def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    text = (_FOLDER / "prometheus.yml").read_text(encoding="utf-8")
    token = tmp_path / "token"
    token.touch()
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/metrics-token", str(token)))
    shutil.copy(RULES, tmp_path)
    promtool("check", "config", "prometheus.yml", folder=tmp_path)


def test_the_image_runs_as_nobody_in_particular_under_an_init() -> None:
    last = _DOCKERFILE.rpartition("\nFROM ")[2]
    assert "\nUSER 10001:10001\n" in last
    assert '\nENTRYPOINT ["tini", "--", "marketd"]\n' in last
    assert re.search(r'^HEALTHCHECK .* CMD \["marketd", "healthcheck"', last, re.MULTILINE)
    assert "gcc" not in last, "what compiles stays in the other stage"


def test_no_step_of_the_build_is_let_fail_but_the_one_that_may() -> None:
    """``a && b || true`` would take a marketd that could not be installed for a finished image."""
    lenient = [line.strip() for line in _DOCKERFILE.splitlines() if "|| true" in line]
    assert [line.startswith("&& { ") and "|| true; }" in line for line in lenient] == [True], lenient


def test_images_are_named_without_a_registry() -> None:
    """Where they come from is the engine's matter, as the index is pip's."""
    base = re.findall(r"^ARG BASE=(\S+)$", _DOCKERFILE, re.MULTILINE)
    images = [*base, *(service["image"] for service in _SERVICES.values())]
    assert len(base) == 1
    assert [image for image in images if re.search(r"[.:]", image.split("/")[0]) and "/" in image] == []


def test_every_variable_of_the_image_is_a_setting_or_somebody_elses() -> None:
    names = set(re.findall(r"^(?:ENV| {3}) ([A-Z_]+)=", _DOCKERFILE, re.MULTILINE))
    assert names >= _FILES
    assert names - _FOREIGN - _FILES <= set(known_names())
