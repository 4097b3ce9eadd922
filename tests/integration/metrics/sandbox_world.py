"""Everything of metrics but the daemon, against the sandbox exchange; its truth is what the table must have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from src.adapters.binance.rest.client import RestOptions
from src.adapters.binance.rest.metrics import MetricsRest
from src.adapters.rate_limiter import RateLimiter
from src.adapters.timescale.metrics.store import MetricStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.clock import VenueClock
from src.collectors.metrics.sweep import MetricsSweep
from src.model import DAY_MS
from src.sandbox.market.metrics import Metric
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch
from tests.support.moments import MIDDAY_MS

from .world import Listed

TAKER = 5
"""The place of the taker ratio in a row."""

Rows = dict[tuple[str, int], tuple[Any, ...]]
"""Six values by symbol and end of the period, UTC milliseconds."""


@dataclass
class World:
    sandbox: Sandbox
    clock: VenueClock
    rest: MetricsRest
    session: SharedSession
    listed: Listed
    metrics: Metrics

    def sweep(self) -> MetricsSweep:
        return MetricsSweep(self.rest, MetricStore(self.session), self.listed, self.clock, self.metrics)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0

    def truth(self, since_ms: int, until_ms: int) -> Rows:
        """Every row whose period begins in [since, until), as the table must have it."""
        rows: Rows = {}
        for symbol in self.listed.symbols:
            rows |= rows_of(symbol, self.sandbox.metrics_truth(symbol, since_ms, until_ms))
        return rows


def rows_of(symbol: str, metrics: Iterable[Metric]) -> Rows:
    """What the venue says of a symbol, as the table must have it."""
    return {
        (symbol, one.end_ms): tuple(
            map(
                Decimal,
                (
                    one.open_interest,
                    one.open_interest_value,
                    one.top_accounts,
                    one.top_positions,
                    one.accounts,
                    one.taker,
                ),
            )
        )
        for one in metrics
    }


@asynccontextmanager
async def world(database: str, *, symbols: int, speed: float = 1.0) -> AsyncIterator[World]:
    async with Sandbox(SandboxOptions(symbols=symbols, speed=speed, start_ms=MIDDAY_MS)) as sandbox:
        clock, metrics = VenueClock(speed=speed), Metrics()
        clock.set(sandbox.now())
        budget = RateLimiter(clock, Metrics(), limit=100_000, max_in_flight=16)
        rest = MetricsRest(
            RestOptions(base_url=sandbox.rest_url, timeout=60.0), budget, budget, clock, metrics
        )
        session = SharedSession(DatabaseOptions(database), purpose="metrics", metrics=metrics)
        await rest.open()
        try:
            day_ago_ms = sandbox.now_ms() - DAY_MS
            names = [item.symbol for item in sandbox.venue.universe.instruments.values()]
            living = [name for name in names if sandbox.metrics_truth(name, day_ago_ms, sandbox.now_ms())]
            yield World(sandbox, clock, rest, session, Listed(living[:symbols]), metrics)
        finally:
            await rest.close()
            await session.close()


async def stored(url: str) -> Rows:
    """All rows of the table."""
    rows = await fetch(
        url,
        "SELECT symbol, (extract(epoch FROM create_time) * 1000)::bigint, sum_open_interest, sum_open_interest_value,"
        " count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio, count_long_short_ratio,"
        " sum_taker_long_short_vol_ratio FROM binance_futures_metrics_5m",
    )
    return {(symbol, end_ms): tuple(values) for symbol, end_ms, *values in rows}
