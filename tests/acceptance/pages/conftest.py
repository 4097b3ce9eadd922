"""The built pages before a real database, looked at with Chromium."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.reader import ReadPool
from src.api.static_files import ROOT as STATIC
from src.telemetry.metrics import Metrics
from tests.support.browser import Page, browser, chromium

EXCHANGE = "binance_futures_um"


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    """A browser; without one, or without pages, there is nothing to look at."""
    if chromium() is None:
        pytest.skip("no Chromium on this machine; on Debian: apt-get install chromium")
    if not (STATIC / "index.html").is_file():
        pytest.skip("the pages are not built; scripts/pages.sh says why")
    async with browser() as page:
        yield page


@pytest.fixture
async def reader(database: str) -> AsyncIterator[ReadPool]:
    pool = ReadPool(DatabaseOptions(database, exchange=EXCHANGE), Metrics())
    await pool.open()
    yield pool
    await pool.close()
