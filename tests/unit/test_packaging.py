"""The folder is called src, installs as marketd, and brings its SQL along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

from tests.support.processes import ROOT, clean_environment

_BUILD_S = 120
_PAGES = {"index.html": "<!doctype html>", "icon.svg": "<svg/>", "assets/index-0123.js": "1"}


def _declared() -> list[str]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        packages: list[str] = tomllib.load(file)["tool"]["setuptools"]["packages"]
    return packages


def _in_tree() -> list[str]:
    folders = {path.parent.relative_to(ROOT / "src") for path in (ROOT / "src").rglob("*.py")}
    return sorted([".".join(["marketd", *folder.parts]) for folder in folders] + ["marketd.sql"])


def test_every_package_of_the_tree_is_declared() -> None:
    assert sorted(_declared()) == _in_tree()


def test_every_folder_with_code_is_a_package() -> None:
    bare = {path.parent for path in (ROOT / "src").rglob("*.py")} - {
        path.parent for path in (ROOT / "src").rglob("__init__.py")
    }
    assert bare == set()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built through an sdist, as an index would get it, with the build tools of this environment."""
    tree, out = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("dist")
    for name in ("src", "sql"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    # Without web/, setup.py builds nothing: the pages are what was built before.
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    for name, text in _PAGES.items():
        (tree / "src/api/static" / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / "src/api/static" / name).write_text(text)
    # The sdist first, then the wheel from it: what the sdist forgets, the wheel lacks.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel; its dependencies are those of this one."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    site = next(folder.glob("lib/python3*/site-packages"))
    (site / "dependencies.pth").write_text(next(path for path in sys.path if path.endswith("site-packages")))
    install = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "-qq"]
    install += ["--no-deps", "--no-index", "--disable-pip-version-check", str(wheel)]
    subprocess.run(install, check=True, timeout=_BUILD_S, stdin=subprocess.DEVNULL)
    return folder / "bin"


def test_the_wheel_holds_all_modules_and_all_sql_and_no_src(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    expected = {f"marketd/{path.relative_to(ROOT / 'src')}" for path in (ROOT / "src").rglob("*.py")}
    expected |= {f"marketd/sql/{path.relative_to(ROOT / 'sql')}" for path in (ROOT / "sql").rglob("*.sql")}
    assert names >= expected
    assert {name.split("/", 1)[0] for name in names} == {"marketd"}


def test_the_wheel_holds_the_pages_that_were_built(wheel: Path) -> None:
    found = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("marketd/api/static/")}
    assert found == {f"marketd/api/static/{name}" for name in _PAGES}


@pytest.mark.parametrize("command", [["marketd", "--help"], ["python", "-m", "marketd", "--help"]])
def test_the_installed_command_runs_from_another_folder(
    installed: Path, command: list[str], tmp_path: Path
) -> None:
    environment = clean_environment({"MARKETD_ENV_FILE": os.devnull, "MARKETD_CONFIG_FILE": os.devnull})
    done = subprocess.run(
        [str(installed / command[0]), *command[1:]],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "--backfill" in done.stdout


def test_the_installed_package_finds_its_own_sql(installed: Path, tmp_path: Path) -> None:
    code = "from marketd.paths import sql_root; print(*sorted(p.name for p in (sql_root() / 'migrations').iterdir()))"
    done = subprocess.run(
        [str(installed / "python"), "-c", code],
        cwd=tmp_path,
        env=clean_environment({}),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    expected = sorted(path.name for path in (ROOT / "sql" / "migrations").glob("*.sql"))
    assert [name for name in done.stdout.split() if name.endswith(".sql")] == expected != []


def test_setup_leaves_the_target_of_a_linked_environment_alone(tmp_path: Path) -> None:
    checkout, other = tmp_path / "checkout", tmp_path / "other"
    (checkout / "scripts").mkdir(parents=True)
    other.mkdir()
    (other / "kept").touch()
    shutil.copy(ROOT / "scripts" / "setup.sh", checkout / "scripts")
    (checkout / ".venv").symlink_to(other)
    command = [str(checkout / "scripts" / "setup.sh")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_S, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1 and ".venv is a symbolic link" in done.stderr
    assert (other / "kept").exists()
