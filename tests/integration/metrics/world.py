"""A sweep with everything real but the venue, which is a small server: REST client, limiter, store and clock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.adapters.binance.rest.client import RestOptions
from src.adapters.binance.rest.metrics import MetricsRest
from src.adapters.rate_limiter import RateLimiter
from src.adapters.timescale.metrics.store import MetricStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.clock import VenueClock
from src.collectors.metrics.sweep import MetricsSweep
from src.telemetry.metrics import Metrics
from tests.support.metric_venue import MetricVenue, metric_venue
from tests.support.moments import MIDDAY


def left_in(folder: Path) -> list[str]:
    """The names of what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


@dataclass
class Listed:
    """The symbols that trade."""

    symbols: Collection[str]


@dataclass
class World:
    venue: MetricVenue
    clock: VenueClock
    rest: MetricsRest
    store: MetricStore
    metrics: Metrics
    listed: Listed
    sweep: MetricsSweep

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0

    def again(self) -> MetricsSweep:
        """Another sweep that knows nothing yet, as after a restart."""
        return MetricsSweep(self.rest, self.store, self.listed, self.clock, Metrics())


@asynccontextmanager
async def world(
    database: str, symbols: Collection[str], *, speed: float = 1.0, **options: Any
) -> AsyncIterator[World]:
    clock, metrics = VenueClock(speed=speed, start=MIDDAY), Metrics()
    async with metric_venue(clock.now, **options) as venue:
        budget = RateLimiter(clock, Metrics(), limit=100_000, max_in_flight=16)
        rest = MetricsRest(RestOptions(base_url=venue.url, timeout=60.0), budget, budget, clock, metrics)
        store = MetricStore(SharedSession(DatabaseOptions(database), purpose="metrics", metrics=metrics))
        listed = Listed(symbols)
        await rest.open()
        try:
            yield World(
                venue, clock, rest, store, metrics, listed, MetricsSweep(rest, store, listed, clock, metrics)
            )
        finally:
            await rest.close()
            await store.close()
