"""Gaps over REST, against the sandbox and a real database: what is stored in the end is the venue's truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from src.adapters.binance.rest.client import RestOptions
from src.adapters.binance.rest.trades import FUTURES, SPOT, TradesRest
from src.adapters.rate_limiter import Budgets
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.clock import VenueClock
from src.collectors.trades.live import TradeStoring
from src.collectors.trades.repair import TradeRepair
from src.model import Trade
from src.sandbox.market.trades import AggTrade
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch

START_MS = 1_780_000_020_000
HOUR_MS = 3_600_000
SINCE_MS = START_MS - 2 * HOUR_MS


def as_trades(symbol: str, found: Iterable[AggTrade]) -> list[Trade]:
    return [
        Trade(symbol, one.number, one.time_ms, float(one.price), float(one.quantity), one.is_buyer_maker)
        for one in found
    ]


@dataclass
class World:
    sandbox: Sandbox
    store: TradeStore
    repair: TradeRepair
    database: str
    spot: bool

    def truth(self, from_ms: int, to_ms: int) -> list[Trade]:
        return as_trades("BTCUSDT", self.sandbox.trades_truth("BTCUSDT", from_ms, to_ms, spot=self.spot))

    async def until_still(self) -> None:
        """Look until nothing is left to do at once."""
        while await self.repair.look():
            pass

    async def stored(self) -> list[Trade]:
        rows = await fetch(
            self.database,
            "SELECT symbol, trade_id, (extract(epoch FROM ts) * 1000)::bigint, price, quantity, is_buyer_maker"
            " FROM agg_trades ORDER BY trade_id",
        )
        return [Trade(*row) for row in rows]

    async def gaps(self) -> list[tuple[Any, ...]]:
        return await fetch(
            self.database,
            "SELECT first_id, last_id, state, attempts FROM trade_gaps WHERE state <> 'filled' ORDER BY 1",
        )


@asynccontextmanager
async def world(
    database: str, *, spot: bool = False, since_ms: int = SINCE_MS, symbol: str = "BTCUSDT"
) -> AsyncIterator[World]:
    async with Sandbox(SandboxOptions(symbols=3, sleeper_share=0.0, start_ms=START_MS)) as sandbox:
        clock, metrics = VenueClock(), Metrics()
        clock.set(sandbox.now())
        budgets, ready = Budgets(clock, metrics), asyncio.Event()
        ready.set()
        endpoint, budget = (SPOT, budgets.spot) if spot else (FUTURES, budgets.fapi)
        rest = TradesRest(endpoint, RestOptions(base_url=sandbox.rest_url), budget, clock, metrics)
        await rest.open()
        exchange = "binance_spot" if spot else "binance_futures_um"
        session = SharedSession(DatabaseOptions(database, exchange=exchange), purpose="trades")
        store = TradeStore(session)
        repair = TradeRepair(
            rest, TradeStoring(store, metrics, "rest"), store, [symbol], clock, metrics,
            since=lambda now_ms: since_ms, follow=spot, ready=ready,
        )  # fmt: skip
        try:
            yield World(sandbox, store, repair, database, spot)
        finally:
            await rest.close()
            await session.close()


async def test_from_the_first_instant_to_what_the_stream_brought_nothing_is_missing(database: str) -> None:
    async with world(database) as there:
        live = there.truth(START_MS - 60_000, START_MS)
        await there.store.write(live)
        await there.until_still()
        assert await there.stored() == there.truth(SINCE_MS, START_MS)
        assert await there.gaps() == []


async def test_holes_in_the_middle_are_filled_whatever_their_number(database: str) -> None:
    async with world(database) as there:
        truth = there.truth(SINCE_MS, START_MS)
        kept = [trade for at, trade in enumerate(truth) if at // 100 % 2 == 0]
        await there.store.write(kept)
        await there.until_still()
        assert [trade for trade in await there.stored() if trade.ts_ms < kept[-1].ts_ms] == [
            trade for trade in truth if trade.ts_ms < kept[-1].ts_ms
        ]
        assert await there.gaps() == []


async def test_spot_goes_on_by_itself_and_reaches_further_back(database: str) -> None:
    since_ms = START_MS - 3 * HOUR_MS
    async with world(database, spot=True, since_ms=since_ms) as there:
        await there.until_still()
        found = await there.stored()
        assert found == there.truth(since_ms, found[-1].ts_ms + 1)
        assert found[-1].ts_ms > START_MS - 10_000
        assert await there.gaps() == []


async def test_what_the_venue_does_not_have_is_looked_for_later(database: str) -> None:
    """Ids between two trades that the venue's own numbers leave out."""
    async with world(database) as there:
        truth = there.truth(START_MS - 60_000, START_MS)
        last = truth[-1]
        beyond = Trade("BTCUSDT", last.trade_id + 10_000, last.ts_ms + 500, 1.0, 1.0, True)
        await there.store.write([*there.truth(SINCE_MS, START_MS), beyond])
        await there.until_still()
        ((first_id, last_id, state, attempts),) = await there.gaps()
        assert first_id > last.trade_id
        assert (last_id, state, attempts) == (beyond.trade_id - 1, "open", 1)


async def test_what_is_too_old_for_rest_waits_for_the_archive(database: str) -> None:
    async with world(database, since_ms=START_MS - 60 * HOUR_MS) as there:
        old = there.truth(START_MS - 50 * HOUR_MS, START_MS - 50 * HOUR_MS + 120_000)
        await there.store.write([*old[:5], *old[10:]])
        await there.repair.look()
        assert (await there.gaps())[0] == (old[5].trade_id, old[9].trade_id, "open", 1)
        assert sum(there.sandbox.venue.stats.requests.values()) == 0, "REST is not asked for it at all"


async def test_a_symbol_without_trades_that_early_is_not_asked_for_again_and_again(database: str) -> None:
    """Each question costs a hundredth of the minute's budget."""
    async with world(database, symbol="NOSUCHUSDT") as there:
        for _ in range(5):
            assert not await there.repair.look()
        assert sum(there.sandbox.venue.stats.requests.values()) == 1


async def test_a_young_symbol_is_asked_for_its_first_trades_once(database: str) -> None:
    async with world(database) as there:
        first = there.truth(SINCE_MS, SINCE_MS + 600_000)[-1]
        await there.store.write([first])
        listed = there.sandbox.venue.universe.find("BTCUSDT").periods[0]
        listed.first = first.ts_ms // 60_000 + 1  # as if it had been listed after that
        before = there.sandbox.venue.stats.requests.copy()
        for _ in range(5):
            await there.repair.look()
        asked = there.sandbox.venue.stats.requests - before
        assert asked == {"/fapi/v1/aggTrades 200": 1}


async def test_a_gap_that_the_venue_refuses_to_fill_leaves_others_their_turn(database: str) -> None:
    """The venue does not know the symbol any more; its gaps are the newest, and only the newest few are asked for."""
    async with world(database, symbol="NOSUCHUSDT") as there:
        await there.store.write(
            [Trade("NOSUCHUSDT", number, START_MS - 60_000 + number, 1.0, 1.0, True) for number in (10, 20)]
        )
        assert not await there.repair.look()
        assert await there.gaps() == [(11, 19, "open", 1)]
