"""docs/reference.md lists what there is: commands, endpoints, methods, tables, metrics."""

from __future__ import annotations

import os

from tests.support.processes import ROOT
from tests.support.reference import reference

_PATH = ROOT / "docs" / "reference.md"


def test_the_reference_lists_all_there_is() -> None:
    """``UPDATE_SNAPSHOT=1`` writes the file anew."""
    made = reference()
    if os.environ.get("UPDATE_SNAPSHOT"):
        _PATH.write_text(made, encoding="utf-8")
    assert _PATH.read_text(encoding="utf-8").splitlines() == made.splitlines()
