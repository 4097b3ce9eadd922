"""A sandbox exchange in this process, twenty times as fast as time."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from src.clock import VenueClock
from src.sandbox import Sandbox, SandboxOptions

from .listening import SPEED, clock_of


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Forty symbols, some with Chinese names, none asleep."""
    async with Sandbox(SandboxOptions(symbols=40, speed=SPEED, seed=7, sleeper_share=0.0)) as running:
        yield running


@pytest.fixture
def clock(sandbox: Sandbox) -> VenueClock:
    return clock_of(sandbox)
