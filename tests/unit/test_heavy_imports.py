"""What is large or starts threads when it is imported stays in pool processes."""

from __future__ import annotations

import subprocess
import sys

from tests.support.processes import ROOT

_HEAVY = ("polars", "pyarrow", "numba", "llvmlite", "numpy", "web3", "eth_hash", "Crypto")


def test_nothing_of_polars_or_numba_reaches_the_process_of_the_daemon() -> None:
    code = (
        "import sys, src.adapters.timescale.importing.importer, src.adapters.binance.archive.client;"
        "import src.analysis, src.analysis.bars.ranges, src.analysis.arbitrage.jobs, src.analysis.prices.jobs;"
        "import src.cli.daemon, src.collectors.running.daemon, src.wiring;"
        f"print(*(name for name in {_HEAVY} if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_kernels_are_what_imports_numba() -> None:
    code = "import sys, src.analysis.bars.advance; sys.exit('numba' not in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
