"""``marketd import``: takes over the tables of a tradecat database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import date

from ...adapters.timescale.candles.repair import RepairStore
from ...adapters.timescale.history.foreign import ForeignDatabase, ForeignSeries, foreign_options, source_name
from ...adapters.timescale.history.takeovers import Takeovers
from ...adapters.timescale.metrics.store import MetricStore
from ...adapters.timescale.options import DatabaseOptions
from ...adapters.timescale.sessions.role_lock import SessionLock
from ...adapters.timescale.sessions.shared import SharedSession
from ...clock import VenueClock
from ...collectors.retention import fill_from, refuse_older
from ...collectors.takeover import Scope, Takeover, judge_candle, judge_metric, months
from ...config import Settings
from ...errors import EXIT_OK, ConfigError
from ...model import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, Candle, Dataset, FuturesMetric, Listing
from ...wiring.options import database_options, selection
from ..context import Context
from ..coverage.command import chosen, is_meant
from .view import Tally, Watch, report

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
        for dataset, table in (await _foreign(stack, ours, wanted)).items():
            notes = _notes(stack, ours, wanted, dataset, table)
            listings, done = await _listings(notes, settings), await notes.done()
            tally = Tally(str(table.table))
            scope = _scope(settings, wanted)
            for symbol in await table.symbols():
                if scope.admits(symbol) and (span := await table.span(symbol)):
                    first, last = max(span[0], scope.since_ms), min(span[1] + 1, scope.until_ms)
                    left = [month for month, _, _ in months(first, last) if (symbol, month) not in done]
                    tally.add(first, last, months=len(list(months(first, last))), left=len(left))
                    tally.unknown += symbol not in listings
            tally.tell(MINUTE_MS if dataset is Dataset.CANDLES else FIVE_MINUTES_MS)


async def _take_over(settings: Settings, ours: DatabaseOptions, wanted: Wanted) -> None:
    async with AsyncExitStack() as stack:
        tables = await _foreign(stack, ours, wanted)
        lock = SessionLock(ours)
        stack.push_async_callback(lock.close)
        await lock.open()
        session = SharedSession(ours, purpose="import-rows")
        stack.push_async_callback(session.close)
        for dataset, table in tables.items():
            notes = _notes(stack, ours, wanted, dataset, table)
            listings = await _listings(notes, settings)
            job: Takeover[Candle] | Takeover[FuturesMetric]
            if dataset is Dataset.CANDLES:
                job = Takeover(table, judge_candle, RepairStore(session).write, notes, listings)
            else:
                job = Takeover(table, judge_metric, MetricStore(session).write, notes, listings)
            with Watch(str(table.table)) as watch:
                job.on_progress = watch.show
                done = await job.run(_scope(settings, wanted))
            report(done, str(table.table))
        await lock.finish_run()


async def _foreign(
    stack: AsyncExitStack, ours: DatabaseOptions, wanted: Wanted
) -> Mapping[Dataset, ForeignSeries]:
    foreign = ForeignDatabase(foreign_options(wanted.dsn, ours))
    stack.push_async_callback(foreign.close)
    tables = await foreign.open()
    if wanted.globs:  # a typing error must not look as if all had been taken over
        known = {symbol for table in tables.values() for symbol in await table.symbols()}
        chosen(sorted(known), wanted.globs, unknown="--symbols {}: that database has no symbol called so")
    return tables


def _notes(
    stack: AsyncExitStack, ours: DatabaseOptions, wanted: Wanted, dataset: Dataset, table: ForeignSeries
) -> Takeovers:
    notes = Takeovers(ours, dataset, source_name(wanted.dsn, table.table))
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
    """What is taken over: nothing that retention would drop again. Raises ``ConfigError`` when that was asked for."""
    now_ms = VenueClock(speed=settings.speed).now_ms()
    kept = (now_ms, settings.retention_days, settings.chunk_days)
    if wanted.first:
        refuse_older(_ms(wanted.first), *kept)
    admits = selection(settings).admits_name
    return Scope(
        lambda symbol: admits(symbol) and is_meant(symbol, wanted.globs),
        _ms(wanted.first) if wanted.first else fill_from(*kept),
        _ms(wanted.last) + DAY_MS if wanted.last else now_ms,
    )


def _ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * DAY_MS
