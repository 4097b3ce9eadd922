"""The role ``trades``: trades of chosen symbols, live, over REST and from the archive, of futures and of spot."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..adapters.binance.archive.client import ArchiveOptions, BinanceArchive
from ..adapters.binance.archive.paths import ROOT, SPOT_ROOT, BinanceLayout
from ..adapters.binance.archive.pieces import LARGE
from ..adapters.binance.rest.trades import FUTURES, SPOT, TradeEndpoint, TradesRest
from ..adapters.binance.stream.client import TradeStream
from ..adapters.rate_limiter import RateLimiter
from ..adapters.timescale.history.archive_notes import ArchiveNoteStore
from ..adapters.timescale.importing.importer import ArchiveImports, ImporterOptions
from ..adapters.timescale.options import DatabaseOptions
from ..adapters.timescale.sessions.role_lock import SessionLock
from ..adapters.timescale.sessions.shared import SharedSession
from ..adapters.timescale.trades.store import TradeStore
from ..collectors.backfill.scope import fill_since
from ..collectors.retention import fill_from
from ..collectors.running.daemon import Closer, Keeper, Part
from ..collectors.running.memory_watch import Load
from ..collectors.running.role import LockKeeper
from ..collectors.trades.files import TradeCollection, TradeMarket
from ..collectors.trades.history import TradeArchive, TradeHistory
from ..collectors.trades.live import LiveTradeCollector, TradeBuffer, TradeStoring, TradeWriter
from ..collectors.trades.repair import TradeRepair
from ..config import Settings
from ..errors import ConfigError
from ..ports.trades import Collected
from . import options
from .core import Core
from .roles import TRADES, Role

SPOT_EXCHANGE = "binance_spot"
"""The word of spot trades in the column ``exchange``."""
_FILE_DEADLINE_S = 4 * 3600.0
"""Wall seconds for one file: a month of the busiest symbol has sixty million trades."""
_QUEUE_FRAMES = 50_000
"""Trades of one connection that wait to be parsed: a burst of ten seconds."""


def trade_archive_options(settings: Settings) -> ArchiveOptions:
    """A day of trades has up to 100 MB, a month over a gigabyte."""
    return replace(options.archive_options(settings), max_file_bytes=LARGE.packed)


def trade_imports(core: Core, database: DatabaseOptions) -> ArchiveImports:
    """One process, ended when it has had nothing to do for a minute."""
    given = ImporterOptions(workers=1, deadline_s=_FILE_DEADLINE_S)
    return ArchiveImports(database, given, core.metrics)


class TradeTasks:
    """``ports.trades.TradeCollector`` for the task CollectBinance; what it needs is made when it is first asked."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._archive: BinanceArchive | None = None
        self._imports: list[ArchiveImports] = []
        self._collection: TradeCollection | None = None
        self._making = asyncio.Lock()

    async def collect(
        self,
        symbol: str,
        market: str,
        *,
        label: str | None,
        percentage: float,
        piece_rows: int,
        tell: Callable[[str], Awaitable[None]],
    ) -> Collected:
        """See ``ports.trades.TradeCollector``."""
        async with self._making:
            collection = self._collection or await self._make()
        return await collection.collect(
            symbol, market, label=label, percentage=percentage, piece_rows=piece_rows, tell=tell
        )

    async def close(self) -> None:
        for imports in self._imports:
            await imports.close()
        if self._archive is not None:
            await self._archive.close()

    async def _make(self) -> TradeCollection:
        core = self._core
        settings = core.settings
        self._archive = BinanceArchive(
            trade_archive_options(settings), core.budgets.archive, core.clock, core.metrics
        )
        await self._archive.open()
        futures = core.database(TRADES)
        markets = {}
        for name, database, root in (
            ("futures", futures, ROOT),
            ("spot", replace(futures, exchange=SPOT_EXCHANGE), SPOT_ROOT),
        ):
            imports = trade_imports(core, database)
            self._imports.append(imports)
            markets[name] = TradeMarket(self._archive, BinanceLayout(root), imports)
        folder = Path(settings.collect_dir) if settings.collect_dir else None
        downloads = Path(settings.archive_folder) / "collect"
        self._collection = TradeCollection(markets, folder, downloads, core.clock)
        return self._collection


@dataclass(frozen=True, slots=True)
class _Market:
    """What one market needs; the futures' and the spot's have nothing in common but the archive's host."""

    name: str
    symbols: tuple[str, ...]
    session: SharedSession
    store: TradeStore
    rest: TradesRest
    imports: ArchiveImports
    repair: TradeRepair
    history: TradeHistory


class TradesRole(Role):
    """The live stream is of futures only; spot goes on over REST."""

    name = TRADES

    def __init__(self, core: Core, *, standby: bool, leads: bool) -> None:
        self._core = core
        settings, metrics = core.settings, core.metrics
        if not settings.collects_trades:
            raise ConfigError(
                "TRADE_SYMBOLS or SPOT_TRADE_SYMBOLS: --trades needs symbols, such as BTCUSDT,ETHUSDT"
            )
        self._database = core.database(TRADES)
        self.lock = SessionLock(self._database, metrics)
        self.keeper: Keeper = LockKeeper(
            TRADES, self.lock, waits=standby, health=core.health if leads else None
        )
        self.archive = BinanceArchive(
            trade_archive_options(settings), core.budgets.archive, core.clock, metrics
        )
        self.futures = self._market(
            "trades",
            settings.trade_symbols,
            self._database.exchange,
            ROOT,
            FUTURES,
            settings.binance_rest_url,
            core.budgets.fapi,
        )
        self.spot = self._market(
            "spot_trades",
            settings.spot_trade_symbols,
            SPOT_EXCHANGE,
            SPOT_ROOT,
            SPOT,
            settings.binance_spot_rest_url,
            core.budgets.spot,
        )
        self.buffer = TradeBuffer(metrics)
        self.storing = TradeStoring(self.futures.store, metrics, "stream")
        self.writer = TradeWriter(self.buffer, self.storing)
        stream = replace(options.stream_options(settings), queue_frames=_QUEUE_FRAMES)
        self.live = LiveTradeCollector(
            TradeStream(stream, core.clock, metrics, self.buffer.put),
            settings.trade_symbols,
            ready=core.clock_sync.ready,
        )

    def since(self, now_ms: int) -> int:
        """The first instant that is collected: TRADES_FROM, or later where retention begins later."""
        settings = self._core.settings
        kept = fill_from(now_ms, settings.retention_days, settings.chunk_days)
        return max(fill_since(settings.trades_from, now_ms), kept)

    async def open(self) -> None:
        await self.archive.open()
        for market in self._markets():
            await market.rest.open()

    def collectors(self) -> list[Part]:
        supervised, turn = self._core.supervised, self.keeper.settled
        parts = []
        for market in self._markets():
            parts.append(supervised(f"{market.name}_repair", market.repair.run, turn=turn))
            parts.append(
                supervised(
                    f"{market.name}_history",
                    market.history.run,
                    progress=market.history.progress,
                    turn=turn,
                )
            )
        if self.futures.symbols:
            parts.append(supervised("trades", self.live.run, progress=lambda: self.storing.rows, turn=turn))
            parts.append(supervised("trades_writer", self.writer.run, turn=turn))
        return parts

    def closers(self) -> list[Closer]:
        return [
            *(Closer(f"{market.name}_rest", market.rest.close) for market in (self.futures, self.spot)),
            *(Closer(f"{market.name}_imports", market.imports.close) for market in (self.futures, self.spot)),
            *(Closer(f"{market.name}_session", market.session.close) for market in (self.futures, self.spot)),
            Closer("trades_archive", self.archive.close),
            Closer("trades_lock", self.lock.close),
        ]

    async def drain(self, seconds: float) -> int:
        return await self.writer.drain(seconds)

    async def finish_run(self) -> None:
        await self.lock.finish_run()

    def _markets(self) -> list[_Market]:
        return [market for market in (self.futures, self.spot) if market.symbols]

    def _market(
        self,
        name: str,
        symbols: tuple[str, ...],
        exchange: str,
        root: str,
        endpoint: TradeEndpoint,
        base_url: str,
        budget: RateLimiter,
    ) -> _Market:
        core = self._core
        settings, metrics, clock = core.settings, core.metrics, core.clock
        database = replace(self._database, exchange=exchange)
        session = SharedSession(database, purpose=name, metrics=metrics)
        store = TradeStore(session)
        rest = TradesRest(
            endpoint, replace(options.rest_options(settings), base_url=base_url), budget, clock, metrics
        )
        imports = trade_imports(core, database)
        ready = core.clock_sync.ready
        repair = TradeRepair(
            rest,
            TradeStoring(store, metrics, "rest"),
            store,
            symbols,
            clock,
            metrics,
            since=self.since,
            follow=endpoint is SPOT,
            ready=ready,
        )
        history = TradeHistory(
            TradeArchive(self.archive, BinanceLayout(root), imports, ArchiveNoteStore(session)),
            store,
            symbols,
            clock,
            metrics,
            folder=Path(settings.archive_folder) / name,
            since=self.since,
            ready=ready,
            memory_short=lambda: core.memory.sheds(Load.HISTORY),
        )
        return _Market(name, symbols, session, store, rest, imports, repair, history)
