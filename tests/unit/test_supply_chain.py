"""What is locked is listed with its licence, and a secret in the history is found."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import ROOT, clean_environment

_LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))
_SHIPPED = [
    name for name in _LOCKS if name != "requirements-audit.lock"
]  # that one is in no environment of ours


def _run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=clean_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def _sbom(*arguments: str) -> str:
    done = _run(sys.executable, "scripts/sbom.py", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _locked() -> Iterator[tuple[str, str]]:
    for lock in _SHIPPED:
        lines = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
        yield from lines
    packages = json.loads((ROOT / "web/package-lock.json").read_text(encoding="utf-8"))["packages"]
    yield from (
        (place.rpartition("node_modules/")[2], told["version"]) for place, told in packages.items() if place
    )


@cache
def _licences() -> str:
    return (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")


def test_the_list_of_licences_is_current() -> None:
    assert _licences() == _sbom("--licences"), "python scripts/sbom.py --licences > docs/licences.md"


def test_every_locked_package_has_its_licence_there() -> None:
    rows = re.findall(r"^\| (\S+) \| (\S+) \| (.+) \| \w+ \|$", _licences(), re.MULTILINE)
    listed = {(name, version): licence for name, version, licence in rows}
    packages = list(_locked())
    assert len(packages) > 150
    assert {one for one in packages if listed.get(one, "?") == "?"} == set()


def test_the_bill_of_materials_has_what_cyclonedx_asks_for() -> None:
    bill = json.loads(_sbom())
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.5", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    components: list[dict[str, Any]] = bill["components"]
    assert {(one["name"], one["version"]) for one in components} == set(_locked())
    references = [one["bom-ref"] for one in components]
    assert len(set(references)) == len(references)
    for one in components:
        assert one["type"] == "library"
        assert re.fullmatch(r"pkg:(pypi|npm)/[\w.%/-]+@\S+", one["purl"])
        if one["purl"].startswith("pkg:pypi"):
            assert one["properties"], "what is installed is checked by hash"
    assert bill == json.loads(_sbom()), "the same locks, the same document"


def test_a_secret_that_was_taken_back_is_found_in_the_history(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
        done = _run("git", "-C", str(tmp_path), *identity, *arguments, GIT_CONFIG_GLOBAL=os.devnull)
        assert done.returncode == 0, done.stderr

    git("init", "-q")
    key = "AKIA" + "Z" * 16
    for text in ("nothing\n", f"nothing\nkey = {key}\n", "nothing\n"):
        (tmp_path / "file").write_text(text, encoding="utf-8")
        git("add", "file")
        git("commit", "-q", "-m", "a change")
    found = _run("scripts/secrets.sh", str(tmp_path))
    assert found.returncode == 1
    assert re.fullmatch(r"secrets\.sh: a secret was added to file in [0-9a-f]+\n", found.stdout)
    assert key not in found.stdout + found.stderr


@pytest.mark.skipif(
    not (ROOT / ".git").exists(), reason="not a checkout: there is no history to look through"
)
def test_no_secret_is_in_our_own_history() -> None:
    found = _run("scripts/secrets.sh")
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize(("secrets", "code"), [("true", 3), ("false", 1)])
def test_an_audit_that_can_ask_nobody_says_so(secrets: str, code: int, tmp_path: Path) -> None:
    """It must not look like one that found nothing, nor hide what it found before."""
    nobody = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_CONFIG_FILE": os.devnull}
    script = (ROOT / "scripts" / "audit.sh").read_text(encoding="utf-8")
    assert "./scripts/setup.sh --dev >&2" in script
    # The environment is there, or this test would not run; making it again is the one thing that is left out.
    body = script.replace("./scripts/setup.sh --dev >&2", ":").replace(".venv/bin/python", sys.executable)
    assert body.count("./scripts/secrets.sh ||") == 1
    body = body.replace("./scripts/secrets.sh ||", f"{secrets} ||")
    body = body.replace('cd "$(dirname "${BASH_SOURCE[0]}")/.."', f'cd "{ROOT}"')
    done = _run("bash", "-c", body, MARKETD_AUDIT_DIR=str(tmp_path / "audit"), **nobody)
    assert done.returncode == code, done.stdout + done.stderr
    assert "*not audited*" in done.stderr
    assert json.loads((tmp_path / "audit" / "sbom.cdx.json").read_text(encoding="utf-8"))["components"]
