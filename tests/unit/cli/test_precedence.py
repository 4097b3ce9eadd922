"""The daemon is served before others where the system lets it, and goes on as it is where not."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.processes import ROOT

_NOBODY = 65_534


def _told(before: str = "pass") -> int:
    script = f"import os; from src.cli.daemon import go_first; {before}; print(go_first())"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may ask for more than its share")
def test_root_is_served_first() -> None:
    assert _told() == min(-5, os.nice(0))


def test_who_may_not_goes_on_as_before() -> None:
    root = os.geteuid() == 0
    assert _told(f"os.setuid({_NOBODY})" if root else "pass") == os.nice(0)
