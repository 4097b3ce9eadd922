"""``marketd import --from-dir``: takes the files of a ``marketd export`` back, through the guarded writers."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from ...adapters.export import restoring
from ...adapters.export.manifest import NAME, Entry, Manifest, damaged, read
from ...adapters.timescale.candles.repair import RepairStore
from ...adapters.timescale.history.restored import put_instruments
from ...adapters.timescale.metrics.funding import FundingStore
from ...adapters.timescale.metrics.store import MetricStore
from ...adapters.timescale.options import DatabaseOptions
from ...adapters.timescale.sessions.role_lock import SessionLock
from ...adapters.timescale.sessions.shared import SharedSession
from ...adapters.timescale.trades.store import TradeStore
from ...clock import VenueClock
from ...collectors.retention import fill_from
from ...config import Settings
from ...errors import EXIT_OK, ConfigError
from ...wiring.options import database_options
from .. import output
from ..context import Context
from ..coverage.command import chosen
from ..export.command import DATASETS, in_days

_ROLE = "import"
_LINE_S = 30.0
_AT_ONCE = {
    "instruments": 100_000,
    "candles_1m": 5000,
    "metrics_5m": 80,
    "funding": 2000,
    "agg_trades": 20_000,
}
"""Rows of one transaction. A row of metrics can be six values, and 500 of those are one."""
_SHOWN = 20

Rows = Sequence[tuple[Any, ...]]
Put = Callable[[str, Rows], Awaitable[tuple[int, int]]]
"""Writes rows of a symbol; how many were new, and how many came in the place of rows that knew less."""


@dataclass(frozen=True, slots=True)
class WantedFolder:
    """What the person asked for; days are included on both ends, and a month that they touch is taken whole."""

    folder: Path
    globs: tuple[str, ...]
    first: date | None
    last: date | None
    dry_run: bool


@dataclass(slots=True)
class Tally:
    """What became of the rows of one dataset."""

    files: int = 0
    rows: int = 0
    inserted: int = 0
    replaced: int = 0
    expired: int = 0

    def tell(self, dataset: str) -> None:
        known = self.rows - self.inserted - self.replaced - self.expired
        text = (
            f"{self.files:,} files, {self.rows:,} rows: {self.inserted:,} new, {self.replaced:,} in place of rows"
            f" that knew less, {known:,} that a better or equal row was there for"
        )
        if self.expired:
            text += f", {self.expired:,} older than RETENTION_DAYS keeps"
        output.pairs([(dataset, text)])


@dataclass(slots=True)
class Tallies:
    by_dataset: dict[str, Tally] = field(default_factory=dict)

    def of(self, dataset: str) -> Tally:
        return self.by_dataset.setdefault(dataset, Tally())


def run(context: Context, wanted: WantedFolder) -> int:
    """Verify every file first, then write; nothing is written when one is damaged. The same again changes nothing.

    Raises ``ConfigError`` that names the damaged files, ``AlreadyRunning``, ``Unavailable`` or ``Misconfigured``.
    """
    settings = context.settings("DATABASE_URL")
    ours = database_options(settings, f"{time.time_ns():x}", _ROLE)
    manifest = read(wanted.folder)
    _refuse_incomplete(manifest, ours)
    entries = _entries(manifest, wanted)
    if any(entry.symbol for entry in manifest.entries.values()) and not any(one.symbol for one in entries):
        output.note("the export has no data of what was asked for")
    problems = [text for entry in entries for text in damaged(manifest, entry)]
    if problems:
        more = [f"and {len(problems) - _SHOWN:,} more"] if len(problems) > _SHOWN else []
        raise ConfigError(
            *problems[:_SHOWN], *more, "nothing was imported; export again, or copy those files again"
        )
    if wanted.dry_run:
        _tell_plan(entries)
    else:
        asyncio.run(_import(settings, ours, manifest, entries))
    return EXIT_OK


def _refuse_incomplete(manifest: Manifest, ours: DatabaseOptions) -> None:
    path = manifest.folder / NAME
    if not manifest.complete:
        what = f" ({'; '.join(manifest.unfinished)})" if manifest.unfinished else ""
        raise ConfigError(
            f"{path}: the export was stopped before its end{what}; run the same `marketd export` again"
        )
    if manifest.exchange != ours.exchange:
        raise ConfigError(
            f"{path}: is of the exchange {manifest.exchange}; set BINANCE_WS_DB_EXCHANGE={manifest.exchange}"
        )


def _entries(manifest: Manifest, wanted: WantedFolder) -> list[Entry]:
    """Listings first, which trades need, then data by its order in time."""
    found = list(manifest.entries.values())
    if unknown := {entry.dataset for entry in found} - set(DATASETS):
        raise ConfigError(f"{manifest.folder / NAME}: unknown datasets: {', '.join(sorted(unknown))}")
    known = sorted({entry.symbol for entry in found if entry.symbol})
    symbols = set(chosen(known, wanted.globs, unknown="--symbols {}: the export has no symbol called so"))
    kept = [
        entry
        for entry in found
        if not entry.symbol
        or (entry.symbol in symbols and in_days(*_days(entry.period), wanted.first, wanted.last))
    ]
    return sorted(kept, key=lambda entry: (DATASETS.index(entry.dataset), *entry.key))


def _days(period: str) -> tuple[date, date]:
    """The days [since, until) of a month or a day."""
    if len(period) == len("2026-05"):
        since = date.fromisoformat(f"{period}-01")
        return since, (since + timedelta(days=31)).replace(day=1)
    since = date.fromisoformat(period)
    return since, since + timedelta(days=1)


def _tell_plan(entries: Iterable[Entry]) -> None:
    counts: Counter[str] = Counter()
    for entry in entries:
        counts[entry.dataset] += entry.rows
    output.pairs(
        [(dataset, f"{rows:,} rows, every file as the manifest says") for dataset, rows in counts.items()]
    )


async def _import(
    settings: Settings, ours: DatabaseOptions, manifest: Manifest, entries: Sequence[Entry]
) -> None:
    tallies = Tallies()
    now_ms = VenueClock(speed=settings.speed).now_ms()
    keep_ms = fill_from(now_ms, settings.retention_days, settings.chunk_days)
    async with AsyncExitStack() as stack:
        lock = SessionLock(ours)
        stack.push_async_callback(lock.close)
        await lock.open()
        job = Importing(stack, ours, manifest.folder, keep_ms, tallies)
        await job.run(entries)
        await lock.finish_run()
    for dataset, tally in tallies.by_dataset.items():
        tally.tell(dataset)


class Importing:
    """One run over a list of entries; a session for each exchange that they are of."""

    def __init__(
        self, stack: AsyncExitStack, ours: DatabaseOptions, folder: Path, keep_ms: int, tallies: Tallies
    ) -> None:
        self._stack = stack
        self._ours = ours
        self._folder = folder
        self._keep_ms = keep_ms
        self._tallies = tallies
        self._puts: dict[tuple[str, str], Put] = {}

    async def run(self, entries: Sequence[Entry]) -> None:
        told = time.monotonic()
        for number, entry in enumerate(entries, start=1):
            await self._entry(entry)
            if time.monotonic() - told >= _LINE_S:
                told = time.monotonic()
                output.note(f"{number:,} of {len(entries):,} partitions, now {entry.symbol} {entry.period}")

    async def _entry(self, entry: Entry) -> None:
        # Polars, which only this needs, takes a second to load.
        from ...adapters.export.parquet import rows

        tally = self._tallies.of(entry.dataset)
        put = self._put(entry.dataset, entry.exchange)
        for file in entry.files:
            tally.files += 1
            for some in rows(self._folder / file.path, entry.dataset, _AT_ONCE[entry.dataset]):
                tally.rows += len(some)
                kept = self._kept(entry.dataset, some)
                tally.expired += len(some) - len(kept)
                if kept:
                    inserted, replaced = await put(entry.symbol, kept)
                    tally.inserted += inserted
                    tally.replaced += replaced

    def _kept(self, dataset: str, some: Rows) -> Rows:
        """Without what retention would drop again."""
        if not self._keep_ms or dataset == "instruments":
            return some
        place = 1 if dataset == "agg_trades" else 0
        return [row for row in some if row[place] >= self._keep_ms * 1000]

    def _put(self, dataset: str, exchange: str) -> Put:
        key = (dataset, exchange)
        if key not in self._puts:
            session = SharedSession(replace(self._ours, exchange=exchange), purpose=f"import-{dataset}")
            self._stack.push_async_callback(session.close)
            self._puts[key] = _MAKERS[dataset](session)
        return self._puts[key]


def _instruments(session: SharedSession) -> Put:
    async def put(_: str, rows: Rows) -> tuple[int, int]:
        return await put_instruments(session, rows), 0

    return put


def _candles(session: SharedSession) -> Put:
    store = RepairStore(session)

    async def put(symbol: str, rows: Rows) -> tuple[int, int]:
        result = await store.write([restoring.candle(symbol, row) for row in rows])
        return result.inserted, result.replaced

    return put


def _metrics(session: SharedSession) -> Put:
    store = MetricStore(session)

    async def put(symbol: str, rows: Rows) -> tuple[int, int]:
        result = await store.write([part for row in rows for part in restoring.metric(symbol, row)])
        return result.inserted, result.replaced

    return put


def _funding(session: SharedSession) -> Put:
    store = FundingStore(session)

    async def put(symbol: str, rows: Rows) -> tuple[int, int]:
        result = await store.write([part for row in rows for part in restoring.funding(symbol, row)])
        return result.inserted, result.replaced

    return put


def _trades(session: SharedSession) -> Put:
    store = TradeStore(session)

    async def put(symbol: str, rows: Rows) -> tuple[int, int]:
        result = await store.write([restoring.trade(symbol, row) for row in rows])
        return result.inserted, 0

    return put


_MAKERS: dict[str, Callable[[SharedSession], Put]] = {
    "instruments": _instruments,
    "candles_1m": _candles,
    "metrics_5m": _metrics,
    "funding": _funding,
    "agg_trades": _trades,
}
