"""Trades over REST against the sandbox: pages by id are the truth, within the budget of their host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from src.adapters.binance.rest.client import RestOptions
from src.adapters.binance.rest.trades import FUTURES, SPOT, TradeEndpoint, TradesRest
from src.adapters.rate_limiter import Budgets
from src.clock import VenueClock
from src.errors import ConfigError, NotPublished, UnknownSymbol
from src.model import Trade
from src.ports import Priority
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics

START_MS = 1_780_000_020_000
HOUR_MS = 3_600_000


@dataclass
class World:
    sandbox: Sandbox
    rest: TradesRest
    metrics: Metrics

    def truth(self, from_ms: int, to_ms: int, *, spot: bool = False) -> list[Trade]:
        found = self.sandbox.trades_truth("BTCUSDT", from_ms, to_ms, spot=spot)
        return [
            Trade(
                "BTCUSDT", one.number, one.time_ms, float(one.price), float(one.quantity), one.is_buyer_maker
            )
            for one in found
        ]


@asynccontextmanager
async def world(endpoint: TradeEndpoint) -> AsyncIterator[World]:
    async with Sandbox(SandboxOptions(symbols=3, sleeper_share=0.0, start_ms=START_MS)) as sandbox:
        clock, metrics = VenueClock(), Metrics()
        clock.set(sandbox.now())
        budgets = Budgets(clock, metrics)
        budget = budgets.fapi if endpoint is FUTURES else budgets.spot
        rest = TradesRest(endpoint, RestOptions(base_url=sandbox.rest_url), budget, clock, metrics)
        await rest.open()
        try:
            yield World(sandbox, rest, metrics)
        finally:
            await rest.close()


@pytest.mark.parametrize("endpoint", [FUTURES, SPOT], ids=["futures", "spot"])
async def test_pages_by_id_are_the_truth(endpoint: TradeEndpoint) -> None:
    async with world(endpoint) as there:
        since_ms = START_MS - HOUR_MS
        truth = there.truth(since_ms, START_MS, spot=endpoint is SPOT)
        found = await there.rest.since("BTCUSDT", since_ms, priority=Priority.REPAIR)
        assert found == truth[:1000]
        found = await there.rest.from_id("BTCUSDT", truth[1000].trade_id, priority=Priority.REPAIR)
        assert found[: len(truth) - 1000] == truth[1000:]
        received = there.metrics.registry.get_sample_value(
            "marketd_trades_received_total", {"source": "rest"}
        )
        assert received == 1000 + len(found)


async def test_what_is_too_old_or_unknown_is_said_so() -> None:
    async with world(FUTURES) as there:
        old = there.truth(START_MS - 50 * HOUR_MS, START_MS - 49 * HOUR_MS)[0]
        with pytest.raises(NotPublished):
            await there.rest.from_id("BTCUSDT", old.trade_id, priority=Priority.REPAIR)
        with pytest.raises(UnknownSymbol):
            await there.rest.since("NOSUCH", START_MS, priority=Priority.REPAIR)
        newest = there.truth(START_MS - HOUR_MS, START_MS + HOUR_MS)[-1]
        assert await there.rest.from_id("BTCUSDT", newest.trade_id + 10_000, priority=Priority.REPAIR) == []


def test_the_url_of_spot_is_named_when_it_is_wrong() -> None:
    clock, metrics = VenueClock(), Metrics()
    with pytest.raises(ConfigError, match="BINANCE_SPOT_REST_URL"):
        options = RestOptions(base_url="http://api.example.com")
        TradesRest(SPOT, options, Budgets(clock, metrics).spot, clock, metrics)
