"""Days of trades from the sandbox's archive: each file once, and none for what is stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from src.adapters.binance.archive.client import ArchiveOptions, BinanceArchive
from src.adapters.binance.archive.paths import BinanceLayout
from src.adapters.rate_limiter import Budgets
from src.adapters.timescale.history.archive_notes import ArchiveNoteStore
from src.adapters.timescale.importing.importer import ArchiveImports, ImporterOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.clock import VenueClock
from src.collectors.trades import history as history_module
from src.collectors.trades.history import TradeArchive, TradeHistory
from src.model import DAY_MS
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch

from .test_repair import as_trades

START_MS = 1_780_000_020_000
MIDNIGHT_MS = START_MS // DAY_MS * DAY_MS
"""2026-05-28."""
SYMBOLS = ("BTCUSDT", "ETHUSDT")


@dataclass
class World:
    sandbox: Sandbox
    store: TradeStore
    history: TradeHistory
    downloads: Path

    def fetched(self) -> list[str]:
        """The days whose ZIPs were fetched, by symbol and label."""
        keys = [one.key for one in self.sandbox.venue.stats.downloads if one.status == 200]
        return [key.rpartition("/")[2].removesuffix(".zip") for key in keys if key.endswith(".zip")]


@pytest.fixture
async def world(database: str, tmp_path: Path) -> AsyncIterator[World]:
    """The file of a day comes a day and an hour after its end: yesterday's is not out."""
    options = SandboxOptions(symbols=3, sleeper_share=0.0, start_ms=START_MS, publish_after_s=86_400 - 3600)
    async with Sandbox(options) as sandbox:
        clock, metrics, ready = VenueClock(), Metrics(), asyncio.Event()
        clock.set(sandbox.now())
        given = ArchiveOptions(url=sandbox.archive_url, list_url=sandbox.archive_list_url)
        archive = BinanceArchive(given, Budgets(clock, metrics).archive, clock, metrics)
        await archive.open()
        imports = ArchiveImports(DatabaseOptions(database), ImporterOptions(workers=1), metrics)
        session = SharedSession(DatabaseOptions(database), purpose="trades")
        store = TradeStore(session)
        history = TradeHistory(
            TradeArchive(archive, BinanceLayout(), imports, ArchiveNoteStore(session)),
            store, SYMBOLS, clock, metrics, folder=tmp_path, since=lambda now_ms: MIDNIGHT_MS - 2 * DAY_MS, ready=ready,
        )  # fmt: skip
        yield World(sandbox, store, history, tmp_path)
        await imports.close()
        await session.close()
        await archive.close()


async def test_the_days_that_are_out_are_imported_once(world: World, database: str) -> None:
    await world.history.look()
    names = [f"{symbol}-aggTrades-2026-05-26" for symbol in SYMBOLS]
    assert world.fetched() == names
    for symbol in SYMBOLS:
        truth = world.sandbox.trades_truth(symbol, MIDNIGHT_MS - 2 * DAY_MS, MIDNIGHT_MS - DAY_MS)
        rows = await fetch(
            database,
            "SELECT count(*), min(trade_id), max(trade_id) FROM agg_trades WHERE symbol = %s",
            [symbol],
        )
        assert rows == [(len(truth), truth[0].number, truth[-1].number)]
    states = "SELECT state, count(*)::int FROM archive_files GROUP BY state ORDER BY state"
    assert await fetch(database, states) == [("imported", 2), ("missing", 2)]
    assert list(world.downloads.iterdir()) == []
    await world.history.look()
    assert world.fetched() == names, "nothing is fetched twice, nor what was not there a moment ago"


async def test_files_wait_while_memory_is_short(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "_MEMORY_S", 0.01)
    fetched: list[list[str]] = []

    def short() -> bool:
        fetched.append(world.fetched())
        return len(fetched) < 5

    monkeypatch.setattr(world.history, "_memory_short", short)
    await world.history.look()
    assert fetched[:5] == [[]] * 5
    assert world.fetched() == [f"{symbol}-aggTrades-2026-05-26" for symbol in SYMBOLS]


async def test_a_day_that_is_stored_whole_is_not_fetched(world: World) -> None:
    first_ms, noon_ms = MIDNIGHT_MS - 2 * DAY_MS - 10_000, MIDNIGHT_MS - 3 * DAY_MS // 2
    for symbol in SYMBOLS:
        truth = world.sandbox.trades_truth(symbol, first_ms, MIDNIGHT_MS + 10_000)
        if symbol == "ETHUSDT":
            truth = [one for one in truth if not noon_ms < one.time_ms < noon_ms + 9_000]
        await world.store.write(as_trades(symbol, truth))
    await world.history.look()
    assert world.fetched() == ["ETHUSDT-aggTrades-2026-05-26"]
    assert await world.store.open_gaps(SYMBOLS, START_MS, 10) == []
