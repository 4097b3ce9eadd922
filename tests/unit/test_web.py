"""The pages' sources: what is locked, that they compile, and the tests that Node runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import ROOT

WEB = ROOT / "web"
_MOST_LINES = 400
_TEST_S = 120
_FORBIDDEN = re.compile(r"innerHTML|\beval\(|new Function\(|toLocale")
"""What would run text as code, and what would show the same number differently from browser to browser."""


def _sources() -> list[Path]:
    return [
        path
        for folder in ("src", "test", "dev")
        for path in sorted((WEB / folder).rglob("*"))
        if path.is_file()
    ]


def test_the_lock_pins_by_hash_and_names_no_place() -> None:
    text = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert "://" not in text
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert len(packages) > 5
    assert [name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []


def test_npm_is_told_to_write_no_download_address() -> None:
    assert "omit-lockfile-registry-resolved=true" in (WEB / ".npmrc").read_text(encoding="utf-8").splitlines()


def test_files_stay_small() -> None:
    sizes = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in _sources()}
    assert {name: size for name, size in sizes.items() if size > _MOST_LINES} == {}


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    html = (WEB / "index.html").read_text(encoding="utf-8")
    assert re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)|//\w", html) is None
    for path in _sources():
        if path.is_relative_to(WEB / "src"):
            text = path.read_text(encoding="utf-8")
            found = set(re.findall(r"https?://[^\s\"'`]+", text)) - {"https://www.tradingview.com/"}
            assert not found, path
            assert (
                re.search(r"innerHTML|\beval\(|new Function\(|localeString|toLocale", text, re.IGNORECASE)
                is None
            ), path


def test_it_compiles_strictly_and_its_own_tests_pass() -> None:
    npm = shutil.which("npm")
    if npm is None or not (WEB / "node_modules").is_dir():
        pytest.skip(
            "no npm, or web/node_modules is not there: scripts/pages.sh makes it where Node is installed"
        )
    done = subprocess.run(
        [npm, "test", "--silent"], cwd=WEB, capture_output=True, text=True, timeout=_TEST_S, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"^# pass [1-9]", done.stdout, re.MULTILINE), done.stdout[-500:]
    assert "# fail 0" in done.stdout
