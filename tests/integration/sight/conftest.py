"""The commands here ask a clock what is due; in every test it is the same time of the day."""

from __future__ import annotations

from functools import partial

import pytest

from src.clock import VenueClock
from tests.support.moments import MIDDAY


@pytest.fixture(autouse=True)
def at_midday(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that run in the test's own process begin at ``ledgers.NOW``."""
    for command in ("coverage", "gaps", "import_"):
        monkeypatch.setattr(f"src.cli.{command}.command.VenueClock", partial(VenueClock, start=MIDDAY))
