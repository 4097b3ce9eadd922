"""The API over a real database with a market in it, and asking it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
from starlette.types import ASGIApp

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.reader import ReadPool
from src.api.app import Access, make_app
from src.api.parts import Parts
from src.model import DAY_MS
from src.telemetry.metrics import Metrics
from tests.integration.bars.world import Market
from tests.support.api import Api, served
from tests.support.fakes import StepClock

EXCHANGE = "binance_futures_um"
HOUR_MS = 3_600_000
START_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z, a Sunday."""
NOW_MS = START_MS + 20 * DAY_MS + 10 * HOUR_MS
"""2026-11-21T10:00:00Z: what the API's clock says."""


@dataclass
class MarketApi:
    """A served API and the market that it reads."""

    api: Api
    market: Market
    session: aiohttp.ClientSession

    async def get(self, path: str, **query: Any) -> Any:
        """The answer to a question that must be answered."""
        status, body = await self.ask(path, **query)
        assert status == 200, body
        return body

    async def ask(self, path: str, **query: Any) -> tuple[int, Any]:
        """Status and answer of a question. Names may end in ``_``: ``from_``."""
        params = {name.rstrip("_"): str(value) for name, value in query.items() if value is not None}
        async with self.session.get(path, params=params) as answer:
            return answer.status, await answer.json(content_type=None)

    async def all(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """Every row, piece by piece to the last one, in the order in which the pieces came."""
        rows: list[dict[str, Any]] = []
        cursor = None
        while True:
            body = await self.get(path, **query, cursor=cursor)
            rows += body["data"]
            cursor = body["next"]
            if cursor is None:
                return rows


@asynccontextmanager
async def serving(database: str, now_ms: int = NOW_MS) -> AsyncIterator[MarketApi]:
    """The API on a free port over ``database`` at ``now_ms``, with the reader's sessions that it has in the daemon."""
    reader = ReadPool(DatabaseOptions(database, exchange=EXCHANGE), Metrics())
    await reader.open()

    def app(parts: Parts, access: Access) -> ASGIApp:
        return make_app(replace(parts, clock=StepClock(now_ms / 1000)), access)

    try:
        async with served(reader=reader, app=app) as api, aiohttp.ClientSession(api.url) as session:
            yield MarketApi(api, Market(database, EXCHANGE), session)
    finally:
        await reader.close()
