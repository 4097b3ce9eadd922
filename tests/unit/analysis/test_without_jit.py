"""The same tests on the same kernels as plain Python: what numba compiles is what is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

_HERE = Path(__file__).parent


def test_the_kernels_without_numba() -> None:
    names = (
        "test_bars.py",
        "test_bar_cases.py",
        "test_bar_making.py",
        "test_arbitrage.py",
        "test_arbitrage_cases.py",
    )
    tests = [str(_HERE / name) for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_numba_compiles_here_unless_it_is_told_not_to() -> None:
    code = (
        "from src.analysis.bars import kernels; import os;"
        "assert hasattr(kernels.bars_of_trades, 'py_func') == (os.environ.get('NUMBA_DISABLE_JIT') != '1')"
    )
    for disabled in ("0", "1"):
        environment = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True)
