"""Each target of ``fuzz`` for twenty seconds, as ``scripts/fuzz.sh`` does for longer."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from fuzz.targets import TARGETS
from tests.support.processes import Child

SECONDS = 20
pytestmark = pytest.mark.skipif(find_spec("atheris") is None, reason="no atheris for this machine")


@pytest.mark.parametrize("target", TARGETS)
async def test_twenty_seconds_find_nothing(target: str, tmp_path: Path) -> None:
    arguments = ("-m", "fuzz", target, "--seconds", str(SECONDS), "--folder", str(tmp_path))
    child = Child(arguments, environment={}, log=tmp_path / "log")
    try:
        code = await child.wait(within=240)
    finally:
        await child.kill()
    found = sorted(path.read_bytes() for path in (tmp_path / target / "found").iterdir())
    assert (code, found) == (0, []), child.tail(40)
    runs = re.findall(r"stat::number_of_executed_units: +(\d+)", child.text())
    assert runs and int(runs[-1]) > 100, "it hardly ran"
