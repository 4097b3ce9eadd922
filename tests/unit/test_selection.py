"""Which tests a run selects, tried on a real pytest in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.selection import fault_sample
from tests.support.processes import ROOT, clean_environment

_TESTS = """
import pytest

@pytest.mark.fault
@pytest.mark.parametrize("instant", range(20))
def test_fault(instant): ...

@pytest.mark.slow
def test_slow(): ...

@pytest.mark.fault
@pytest.mark.slow
def test_slow_fault(): ...

@pytest.mark.fault
@pytest.mark.root
@pytest.mark.parametrize("place", range(3))
def test_privileged(place): ...

def test_plain(): ...

def test_skipped():
    pytest.skip("the moon is full")
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    (tmp_path / "test_it.py").write_text(_TESTS)
    (tmp_path / "data" / "months").mkdir(parents=True)
    (tmp_path / "data" / "months" / "2026-02.csv").write_text("")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    fault\n    slow\n    root\n")
    return tmp_path


def _run(suite: Path, *arguments: str, seed: str = "seed") -> str:
    plugins = ["-p", "tests.fixtures.selection", "-p", "tests.fixtures.summary", "-p", "no:cacheprovider"]
    environment = {
        "PYTHONPATH": str(ROOT),
        "MARKETD_FAULT_SEED": seed,
        "MARKETD_TEST_DATA": str(suite / "data"),
    }
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", *plugins, *arguments],
        cwd=suite,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _passed(output: str) -> set[str]:
    return set(re.findall(r"::(\S+) PASSED", output)) | set(re.findall(r"PASSED \S+::(\S+)", output))


@pytest.mark.parametrize("workers", ["0", "2"])
def test_by_default_a_tenth_of_the_fault_runs_and_those_of_root_and_nothing_slow(
    suite: Path, workers: str
) -> None:
    output = _run(suite, "-n", workers)
    passed = _passed(output)
    assert "test_plain" in passed
    assert len({name for name in passed if name.startswith("test_fault[")}) == 2
    assert not {name for name in passed if "slow" in name}
    assert len({name for name in passed if "privileged" in name}) == (3 if os.geteuid() == 0 else 0)
    assert f"left out: {18 if os.geteuid() == 0 else 21} fault (run them --faults)" in output
    assert "left out: 2 slow (run them --slow)" in output


def test_the_options_select_their_kind_alone(suite: Path) -> None:
    faults = _passed(_run(suite, "--faults"))
    slow = _passed(_run(suite, "--slow"))
    both = _passed(_run(suite, "--faults", "--slow"))
    privileged = {f"test_privileged[{place}]" for place in range(3)} if os.geteuid() == 0 else set()
    assert faults == {f"test_fault[{instant}]" for instant in range(20)} | privileged
    assert slow == {"test_slow", "test_slow_fault"}
    assert both == faults | slow


def test_a_test_that_is_named_runs(suite: Path) -> None:
    assert _passed(_run(suite, "test_it.py::test_slow")) == {"test_slow"}


def test_the_seed_is_printed_and_decides(suite: Path) -> None:
    assert "fault runs: seed one" in _run(suite, seed="one")
    ids = [f"test[{number}]" for number in range(95)]
    assert fault_sample(ids, "one") == fault_sample(list(reversed(ids)), "one")
    assert fault_sample(ids, "one") != fault_sample(ids, "two")
    assert len(fault_sample(ids, "one")) == 10
    assert len(fault_sample(ids[:1], "one")) == 1


def test_what_was_skipped_is_listed_with_its_reason_and_the_data_is_counted(suite: Path) -> None:
    output = _run(suite, "-n", "2")
    assert re.search(r"skipped, the moon is full:\n  test_it.py::test_skipped\n", output)
    assert f"real data: 1 files in {suite / 'data'}" in output
