"""``marketd import``: takes over the candles of a tradecat database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date

from ..adapters.timescale.foreign import ForeignDatabase, foreign_options, source_name
from ..adapters.timescale.options import DatabaseOptions
from ..adapters.timescale.store import CandleStore
from ..adapters.timescale.takeovers import Takeovers
from ..clock import VenueClock
from ..collectors.takeover import Scope, Takeover, months
from ..config import Settings
from ..errors import EXIT_OK, ConfigError
from ..model import DAY_MS, MINUTE_MS, Dataset, Listing
from ..wiring.options import database_options, selection
from . import output
from .context import Context
from .coverage import chosen
from .import_view import Watch, report

_ROLE = "import"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the person asked for; days are included on both ends."""

    dsn: str
    globs: tuple[str, ...]
    first: date | None
    last: date | None
    dry_run: bool


def run(context: Context, wanted: Wanted) -> int:
    """Take over, or with ``dry_run`` only say what there is.

    Raises ``ConfigError``, ``AlreadyRunning``, ``Unavailable`` or ``Misconfigured``; the same command then goes on.
    """
    settings = context.settings("DATABASE_URL")
    ours = database_options(settings, f"{time.time_ns():x}", _ROLE)
    work = _plan if wanted.dry_run else _take_over
    asyncio.run(work(settings, ours, wanted))
    return EXIT_OK


async def _plan(settings: Settings, ours: DatabaseOptions, wanted: Wanted) -> None:
    async with AsyncExitStack() as stack:
        foreign = await _foreign(stack, ours, wanted)
        notes = _notes(stack, ours, wanted, foreign)
        listings, done = await _listings(notes, settings), await notes.done()
        scope = _scope(settings, wanted)
        all_months = left = unknown = symbols = minutes = 0
        for symbol in await foreign.symbols():
            span = await foreign.span(symbol) if scope.admits(symbol) else None
            if span is None:
                continue
            symbols += 1
            unknown += symbol not in listings
            first, last = max(span[0], scope.since_ms), min(span[1] + MINUTE_MS, scope.until_ms)
            there = [month for month, _, _ in months(first, last)]
            all_months += len(there)
            left += sum((symbol, month) not in done for month in there)
            minutes += max(0, last - first) // MINUTE_MS
    output.pairs(
        [
            ("table", str(foreign.table)),
            ("symbols", f"{symbols:,}, {unknown:,} of them not known here: their rows would be refused"),
            ("months", f"{all_months:,}, {left:,} of them still to take over"),
            (
                "rows",
                f"{minutes:,} at most, one for each minute between the first and the last of each symbol",
            ),
        ]
    )


async def _take_over(settings: Settings, ours: DatabaseOptions, wanted: Wanted) -> None:
    async with AsyncExitStack() as stack:
        foreign = await _foreign(stack, ours, wanted)
        notes = _notes(stack, ours, wanted, foreign)
        store = CandleStore(ours)
        stack.push_async_callback(store.close)
        await store.open()
        job = Takeover(foreign, store, notes, await _listings(notes, settings))
        with Watch() as watch:
            job.on_progress = watch.show
            done = await job.run(_scope(settings, wanted))
        await store.finish_run()
    report(done, str(foreign.table))


async def _foreign(stack: AsyncExitStack, ours: DatabaseOptions, wanted: Wanted) -> ForeignDatabase:
    foreign = ForeignDatabase(foreign_options(wanted.dsn, ours))
    stack.push_async_callback(foreign.close)
    await foreign.open()
    return foreign


def _notes(
    stack: AsyncExitStack, ours: DatabaseOptions, wanted: Wanted, foreign: ForeignDatabase
) -> Takeovers:
    notes = Takeovers(ours, Dataset.CANDLES, source_name(wanted.dsn, foreign.table))
    stack.push_async_callback(notes.close)
    return notes


async def _listings(notes: Takeovers, settings: Settings) -> Mapping[str, Sequence[Listing]]:
    listings = await notes.listings()
    if not listings:
        raise ConfigError(
            f"schema {settings.kline_db_schema}: no listing is known yet, so no row can be judged; run the daemon"
            " once (`marketd --all`), then import"
        )
    return listings


def _scope(settings: Settings, wanted: Wanted) -> Scope:
    admits = selection(settings).admits_name
    until = DAY_MS + _ms(wanted.last) if wanted.last else VenueClock(speed=settings.speed).now_ms()
    return Scope(
        lambda symbol: admits(symbol) and bool(chosen([symbol], wanted.globs)),
        _ms(wanted.first) if wanted.first else 0,
        until,
    )


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
