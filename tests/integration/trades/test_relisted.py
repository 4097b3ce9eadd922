"""A symbol that was listed again, over stream, REST and archive: each contract whole, and neither the other's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from src.adapters.binance.archive.client import ArchiveOptions, BinanceArchive
from src.adapters.binance.archive.paths import BinanceLayout
from src.adapters.binance.rest.client import RestOptions
from src.adapters.binance.rest.trades import FUTURES, TradesRest
from src.adapters.rate_limiter import Budgets
from src.adapters.timescale.history.archive_notes import ArchiveNoteStore
from src.adapters.timescale.importing.importer import ArchiveImports, ImporterOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.clock import VenueClock
from src.collectors.trades.history import TradeArchive, TradeHistory
from src.collectors.trades.live import TradeStoring
from src.collectors.trades.repair import TradeRepair
from src.model import DAY_MS, FIRST_LISTING_MS, MINUTE_MS, Trade
from src.sandbox.market.universe import Period
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch, listed

from .test_repair import as_trades

SYMBOL = "BTCUSDT"
START_MS = 1_780_000_020_000
"""2026-05-28, the evening."""
MIDNIGHT_MS = START_MS // DAY_MS * DAY_MS
OLD_MS = MIDNIGHT_MS - 40 * DAY_MS
END_MS = MIDNIGHT_MS - 19 * 3_600_000
"""The earlier contract ended at five in the morning of the day before,"""
CUT_MS = MIDNIGHT_MS - 12 * 3_600_000
"""and at noon another one was listed."""


@dataclass
class World:
    sandbox: Sandbox
    store: TradeStore
    begun: Callable[[], TradeRepair]
    """A repair as a process that has just started has it."""
    history: TradeHistory
    database: str

    def truth(self, from_ms: int, to_ms: int) -> list[Trade]:
        return as_trades(SYMBOL, self.sandbox.trades_truth(SYMBOL, from_ms, to_ms))

    async def known(self) -> None:
        """The daemon reads that there are two listings, and that the files of the first were moved."""
        await listed(self.database, SYMBOL, OLD_MS, CUT_MS)
        await fetch(
            self.database,
            "UPDATE instruments SET archive_symbol = %s, end_ts = to_timestamp(%s) WHERE onboard_ts = to_timestamp(%s)",
            [f"{SYMBOL}SETTLED", END_MS / 1000, OLD_MS / 1000],
        )

    async def until_still(self) -> None:
        repair = self.begun()
        while await repair.look():
            pass

    async def stored(self, from_ms: int) -> list[Trade]:
        rows = await fetch(
            self.database,
            "SELECT symbol, trade_id, (extract(epoch FROM ts) * 1000)::bigint, price, quantity, is_buyer_maker"
            " FROM agg_trades WHERE ts >= to_timestamp(%s) ORDER BY ts, trade_id",
            [from_ms / 1000],
        )
        return [Trade(*row) for row in rows]

    async def missing(self) -> list[tuple[int, int]]:
        """How many ids of each listing are in gaps that are looked for."""
        rows = await fetch(
            self.database,
            "SELECT (extract(epoch FROM listing_ts) * 1000)::bigint, sum(last_id - first_id + 1)::bigint"
            " FROM trade_gaps WHERE state = 'open' GROUP BY 1 ORDER BY 1",
        )
        return [(listing_ms, number) for listing_ms, number in rows]


@pytest.fixture
async def world(database: str, tmp_path: Path) -> AsyncIterator[World]:
    options = SandboxOptions(symbols=3, sleeper_share=0.0, start_ms=START_MS, publish_after_s=0)
    async with Sandbox(options) as sandbox:
        universe = sandbox.venue.universe
        universe.find(SYMBOL).periods = [
            Period(OLD_MS, OLD_MS // MINUTE_MS, END_MS // MINUTE_MS),
            Period(CUT_MS, CUT_MS // MINUTE_MS),
        ]
        universe.version += 1
        clock, metrics, ready = VenueClock(), Metrics(), asyncio.Event()
        clock.set(sandbox.now())
        ready.set()
        budgets = Budgets(clock, metrics)
        rest = TradesRest(FUTURES, RestOptions(base_url=sandbox.rest_url), budgets.fapi, clock, metrics)
        await rest.open()
        given = ArchiveOptions(url=sandbox.archive_url, list_url=sandbox.archive_list_url)
        archive = BinanceArchive(given, budgets.archive, clock, metrics)
        await archive.open()
        imports = ArchiveImports(DatabaseOptions(database), ImporterOptions(workers=1), metrics)
        session = SharedSession(DatabaseOptions(database), purpose="trades")
        store = TradeStore(session)
        since = MIDNIGHT_MS - 2 * DAY_MS

        def begun() -> TradeRepair:
            return TradeRepair(
                rest, TradeStoring(store, metrics, "rest"), store, [SYMBOL], clock, metrics,
                since=lambda now_ms: since, follow=False, ready=ready,
            )  # fmt: skip

        history = TradeHistory(
            TradeArchive(archive, BinanceLayout(), imports, ArchiveNoteStore(session)),
            store, [SYMBOL], clock, metrics, folder=tmp_path, since=lambda now_ms: since, ready=ready,
        )  # fmt: skip
        try:
            yield World(sandbox, store, begun, history, database)
        finally:
            await imports.close()
            await session.close()
            await archive.close()
            await rest.close()


async def test_stream_rest_and_archive_leave_both_contracts_whole(world: World) -> None:
    old = world.truth(END_MS - 600_000, END_MS)
    await world.store.write([*old[:50], *old[60:]])
    await world.known()
    live = world.truth(START_MS - 60_000, START_MS)
    await world.store.write(live)
    await world.until_still()
    assert await world.stored(CUT_MS) == world.truth(CUT_MS, START_MS), "all of it over REST"
    assert await world.missing() == [(FIRST_LISTING_MS, 10)], "which has none of the earlier contract"
    await fetch(world.database, "UPDATE trade_gaps SET next_ask_at = '-infinity'")
    before = world.sandbox.venue.stats.requests.copy()
    assert not await world.begun().look()
    assert world.sandbox.venue.stats.requests == before, "and is not asked for it"
    await world.history.look()
    since = MIDNIGHT_MS - 2 * DAY_MS
    assert await world.stored(since) == world.truth(since, START_MS)
    assert await world.missing() == []
    reach = await world.store.reach()
    assert sorted(reach) == [(SYMBOL, FIRST_LISTING_MS), (SYMBOL, CUT_MS)]
    assert reach[SYMBOL, CUT_MS].first_id == 1


async def test_a_contract_that_trades_before_its_listing_is_known_loses_nothing(world: World) -> None:
    """The listing is read some minutes after its first trades: they are the earlier contract's until then."""
    old = world.truth(END_MS - 120_000, END_MS)
    await world.store.write(old)
    early = world.truth(CUT_MS, CUT_MS + 300_000)
    await world.store.write(early)
    await world.known()
    await world.store.write(world.truth(START_MS - 60_000, START_MS))
    await world.until_still()
    assert await world.stored(END_MS - 120_000) == [*old, *world.truth(CUT_MS, START_MS)]
    assert await world.missing() == []


async def test_trades_that_were_deleted_by_hand_come_back(world: World) -> None:
    """From REST as far as it reaches, from the archive's file, which was imported before, beyond."""
    await world.known()
    await world.store.write(world.truth(START_MS - 60_000, START_MS))
    await world.until_still()
    await world.history.look()
    since = MIDNIGHT_MS - 2 * DAY_MS
    whole = await world.stored(since)
    await fetch(
        world.database,
        "DELETE FROM agg_trades WHERE ts >= to_timestamp(%s) AND ts < to_timestamp(%s)",
        [(END_MS - 7_200_000) / 1000, (END_MS - 3_600_000) / 1000],
    )
    await fetch(
        world.database,
        "DELETE FROM agg_trades WHERE ts >= to_timestamp(%s) AND ts < to_timestamp(%s)",
        [(CUT_MS + 60_000) / 1000, (CUT_MS + 240_000) / 1000],
    )
    assert await world.missing() == [(FIRST_LISTING_MS, 60 * 22), (CUT_MS, 3 * 22)]
    await world.until_still()
    assert await world.missing() == [(FIRST_LISTING_MS, 60 * 22)]
    await world.history.look()
    assert await world.missing() == []
    assert await world.stored(since) == whole
