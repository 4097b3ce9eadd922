"""Rules of the tree that no tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT

_SOURCES = sorted((ROOT / "src").rglob("*.py"))
_PYTHON = [
    *_SOURCES,
    *(path for folder in ("tests", "benchmarks", "fuzz") for path in sorted((ROOT / folder).rglob("*.py"))),
]
_MOST_LINES = {"src": 320, "tests": 400, "benchmarks": 400, "fuzz": 300}
_MACHINE_PATH = re.compile(rb"(^|[\s\"'=(:])/(home|root|work|Users)/")
_LOCK_FORBIDDEN = re.compile(
    r"://|--(index-url|extra-index-url|find-links|trusted-host)|^[^#]* @ ", re.MULTILINE
)


def _absolute_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name]


def test_no_tracked_path_is_a_link() -> None:
    assert [path.name for path in _tracked() if path.is_symlink()] == []


@pytest.mark.parametrize("package", ["src", "marketd"])
def test_the_package_never_names_itself(package: str) -> None:
    # Run as src and installed as marketd: a self-import by name would load everything twice.
    offenders = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _SOURCES
        for name in _absolute_imports(path)
        if name.split(".", 1)[0] == package
    ]
    assert offenders == []


def test_tests_and_benchmarks_know_the_package_as_src_only() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in _PYTHON
        for name in _absolute_imports(path)
        if name.split(".", 1)[0] == "marketd"
    ]
    assert offenders == []


def test_files_stay_small() -> None:
    # What protoc writes is as long as it is; scripts/protos.sh makes it, nobody reads it.
    names = {
        path: path.relative_to(ROOT) for path in _PYTHON if not path.stem.endswith(("_pb2", "_pb2_grpc"))
    }
    sizes = {name: len(path.read_text(encoding="utf-8").splitlines()) for path, name in names.items()}
    assert {str(name): size for name, size in sizes.items() if size > _MOST_LINES[name.parts[0]]} == {}


_LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))


@pytest.mark.parametrize("lock", _LOCKS)
def test_locks_pin_by_hash_and_name_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert _LOCK_FORBIDDEN.search(text) is None
    requirements = re.findall(
        r"^(\S+==\S+)(?: ; [^\\\n]+)?((?: \\\n +--hash=sha256:[0-9a-f]{64})+)", text, re.MULTILINE
    )
    assert len(requirements) == len(re.findall(r"^[a-zA-Z0-9]", text, re.MULTILINE)) > 0


def test_the_locks_agree_with_each_other() -> None:
    versions: dict[str, set[str]] = {}
    for lock in ("requirements.lock", "requirements-dev.lock", "requirements-build.lock"):
        for name, version in re.findall(r"^([^\s=]+)==(\S+)", (ROOT / lock).read_text("utf-8"), re.MULTILINE):
            versions.setdefault(name, set()).add(version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_no_tracked_file_names_a_path_of_somebodys_machine() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in _tracked()
        if path.is_file()
        for number, line in enumerate(path.read_bytes().splitlines(), 1)
        if _MACHINE_PATH.search(line)
    ]
    assert offenders == []


def test_scripts_are_executable_and_stop_at_the_first_error() -> None:
    for script in [*(ROOT / "scripts").glob("*.sh"), ROOT / ".ci" / "run"]:
        text = script.read_text(encoding="utf-8")
        assert script.stat().st_mode & 0o111, script
        assert text.startswith("#!/usr/bin/env bash\n"), script
        assert re.search(r"^set -[eu]*uo? pipefail$", text, re.MULTILINE), script
