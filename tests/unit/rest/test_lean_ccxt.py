from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.support.processes import ROOT

REPORT = """
import json, sys
{before}
from src.adapters.binance.rest.exchange import Exchange
import ccxt.async_support as ccxt
try:
    ccxt.kraken()
    refusal = ""
except RuntimeError as error:
    refusal = str(error)
print(json.dumps({{
    "modules": len([name for name in sys.modules if name.startswith("ccxt")]),
    "finders": [type(finder).__name__ for finder in sys.meta_path],
    "method": callable(Exchange("http://127.0.0.1:1", lambda: 0.0).fapiPublicGetKlines),
    "refusal": refusal,
    "errors": issubclass(ccxt.DDoSProtection, ccxt.NetworkError),
}}))
"""


def report(before: str = "") -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", REPORT.format(before=before)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_only_the_exchange_that_is_asked_is_loaded() -> None:
    found = report()
    assert found["method"]
    assert found["errors"]
    assert found["modules"] < 60
    assert "kraken is not loaded" in found["refusal"]
    assert "_Finder" not in found["finders"]


def test_a_ccxt_that_does_not_bear_it_is_loaded_whole() -> None:
    """As if a release made something of an exchange while it is imported."""
    breaking = """
from src.adapters.binance.rest import lean_ccxt
def refuse(name):
    raise ImportError(name)
lean_ccxt._refusing = refuse
"""
    found = report(breaking)
    assert found["method"]
    assert found["modules"] > 200
    assert found["refusal"] == ""
    assert "_Finder" not in found["finders"]


def test_a_ccxt_that_is_there_already_is_taken_as_it_is() -> None:
    found = report("import ccxt.async_support")
    assert found["method"]
    assert found["modules"] > 200
