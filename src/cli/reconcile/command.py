"""``marketd reconcile``: what is stored against REST against the archive, value by value; changes nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ...adapters.binance.archive.paths import BinanceLayout
from ...adapters.binance.archive.read import read_day
from ...adapters.timescale.candles.repair import RepairStore
from ...adapters.timescale.history.archive_notes import ArchiveNoteStore
from ...collectors.backfill.days import day_ms, day_of, days_between
from ...collectors.backfill.scope import UNSETTLED_MS, Scope, parse_moment
from ...config import Settings
from ...errors import EXIT_FAILURE, EXIT_OK, BadData, ConfigError, NotPublished, UnknownSymbol
from ...model import DAY_MS, MINUTE_MS, Candle, Dataset, Listing, Span, floor_minute
from ...ports import Priority
from ...telemetry import log
from ...telemetry.metrics import Metrics
from ...wiring.core import Core
from ...wiring.history import History
from ...wiring.leasing import leasing
from .. import output
from ..context import Context
from .differences import Difference, differences

_SHOWN = 100
_REQUEST_MS = 499 * MINUTE_MS


def run(context: Context, symbols: tuple[str, ...], since: str, until: str | None, *, as_json: bool) -> int:
    """0 when all agree, else 1. Raises ``ConfigError``, ``Unavailable`` or ``Misconfigured``."""
    settings = context.settings("DATABASE_URL")
    settings.check()
    found = asyncio.run(_Comparison(settings).run(symbols, since, until))
    if as_json:
        output.as_json([asdict(item) for item in found])
    else:
        _draw(found)
    return EXIT_FAILURE if found else EXIT_OK


class _Comparison:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._core = Core(settings, Metrics(), run_id=log.new_run_id())
        self._history = History(self._core, recent_ms=UNSETTLED_MS)
        self._stored = RepairStore(self._history.repair_session)
        self._notes = ArchiveNoteStore(self._history.ledger_session)
        self._folder = Path(settings.archive_folder)

    async def run(self, symbols: tuple[str, ...], since: str, until: str | None) -> list[Difference]:
        core, history = self._core, self._history
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                async with leasing(core.budgets):
                    await core.rest.open()
                    await history.archive.open()
                    core.clock.set(await core.rest.server_time())
                    return await self._compare(self._scope(symbols, since, until), pool)
            finally:
                for closer in (*history.closers(), *core.closers()):
                    await closer.close()

    def _scope(self, symbols: tuple[str, ...], since: str, until: str | None) -> Scope:
        settled_ms = floor_minute(self._core.clock.now_ms() - UNSETTLED_MS)
        until_ms = min(parse_moment(until, "--to"), settled_ms) if until else settled_ms
        scope = Scope(self._core.selection, parse_moment(since, "--from"), until_ms, only=symbols or ("*",))
        if scope.since_ms >= scope.until_ms:
            raise ConfigError("--from, --to: nothing lies between them that is over yet")
        return scope

    async def _compare(self, scope: Scope, pool: ProcessPoolExecutor) -> list[Difference]:
        listings = await self._history.listings.listings()
        scope.refuse_unknown(listings)
        folders = await self._notes.folders()
        found: list[Difference] = []
        for listing in listings:
            start, end = listing.window(scope.since_ms, scope.until_ms)
            if not scope.admits_name(listing.symbol) or start >= end:
                continue
            folder = folders.get((listing.symbol, listing.onboard_ms), listing.symbol)
            for day in days_between(day_of(start), day_of(end - 1)):
                first, last = max(start, day_ms(day)), min(end, day_ms(day) + DAY_MS)
                found += differences(
                    await self._stored.stored(listing.symbol, first, last),
                    await self._rest(listing, first, last),
                    await self._archive(listing, folder, day, first, last, pool),
                )
        return found

    async def _rest(self, listing: Listing, first: int, last: int) -> list[Candle]:
        rows: list[Candle] = []
        for start in range(first, last, _REQUEST_MS):
            try:
                rows += await self._core.rest.candles(
                    listing.symbol, start, min(start + _REQUEST_MS, last), priority=Priority.VERIFY
                )
            except UnknownSymbol:
                return []
        return rows

    async def _archive(
        self, listing: Listing, folder: str, day: date, first: int, last: int, pool: ProcessPoolExecutor
    ) -> list[Candle] | None:
        file = BinanceLayout().file(Dataset.CANDLES, Span.DAILY, folder, listing.symbol, day)
        await asyncio.to_thread(self._folder.mkdir, parents=True, exist_ok=True)
        try:
            local, _ = await self._history.archive.fetch(file, self._folder, priority=Priority.VERIFY)
        except NotPublished:
            return None
        except BadData as error:
            output.note(f"{file.path}: {error}")
            return None
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(pool, read_day, local, file, day_ms(day))
        except BadData as error:
            output.note(f"{file.path}: {error}")
            return None
        finally:
            await asyncio.to_thread(local.unlink, missing_ok=True)
        return [row for row in rows if first <= row.open_ms < last]


def _draw(found: list[Difference]) -> None:
    if not found:
        output.line("no difference: what is stored, REST and the archive agree")
        return
    table = Table("symbol", "minute (UTC)", "field", "stored", "REST", "archive")
    for item in found[:_SHOWN]:
        moment = datetime.fromtimestamp(item.open_ms / 1000, UTC)
        cells = ["-" if cell is None else str(cell) for cell in (item.stored, item.rest, item.archive)]
        table.add_row(item.symbol, f"{moment:%Y-%m-%d %H:%M}", item.field, *cells)
    Console(file=sys.stdout).print(table)
    output.note(
        f"{len(found)} differences" + (f", {_SHOWN} shown; --json has all" if len(found) > _SHOWN else "")
    )
