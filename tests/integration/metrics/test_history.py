"""Days of metrics from archive files: client, store and ledger are real, venue and archive are small servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from src.adapters.binance.archive.client import ArchiveOptions, BinanceArchive
from src.adapters.binance.archive.paths import BinanceLayout, member_name
from src.adapters.binance.archive.small_files import SmallFileReader
from src.adapters.rate_limiter import RateLimiter
from src.adapters.timescale.history.archive_notes import ArchiveNoteStore
from src.adapters.timescale.instruments import InstrumentStore
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.ledger.notes import CoverageNoteStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.collectors.metrics.blanks import BlankDays
from src.collectors.metrics.check import Verdict
from src.collectors.metrics.history import HistoryParts, MetricHistory
from src.model import (
    DAY_MS,
    FIVE_MINUTES_MS,
    METRIC_COLUMNS,
    Authority,
    Dataset,
    FuturesMetric,
    Listing,
    Span,
)
from src.ports.metrics import MetricSeries
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch
from tests.support.archive_server import ArchiveServer, archive_server
from tests.support.eventually import eventually
from tests.support.metric_venue import row_of
from tests.support.zips import zipped

from .world import World, left_in, world

SYMBOL = "币安人生USDT"
HEADER = (
    "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio"
)


def midnight_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def day_text(symbol: str, day: date, *, first: int = 1, wrong_by: int = 0, blank_column: str = "") -> str:
    """A day file whose labels begin with the ``first`` 5 min; with values of ``wrong_by`` periods later."""
    lines = [HEADER]
    for number in range(288):
        end_ms = midnight_ms(day) + (number + 1) * FIVE_MINUTES_MS
        label = datetime.fromtimestamp(midnight_ms(day) / 1000, UTC) + timedelta(minutes=5 * (first + number))
        values = row_of(symbol, end_ms + wrong_by * FIVE_MINUTES_MS)
        said = zip(METRIC_COLUMNS, values, strict=True)
        cells = ["" if name == blank_column else str(value) for name, value in said]
        lines.append(f"{label:%Y-%m-%d %H:%M:%S},{symbol},{','.join(cells)}")
    return "\n".join([lines[0], *reversed(lines[1:])])


@dataclass
class Past:
    it: World
    server: ArchiveServer
    history: MetricHistory
    ledger: CoverageStore
    notes: ArchiveNoteStore
    folder: Path
    yesterday: date

    def publish(self, day: date, **how: Any) -> str:
        file = BinanceLayout().file(Dataset.METRICS, Span.DAILY, SYMBOL, SYMBOL, day)
        content = zipped({member_name(file): day_text(SYMBOL, day, **how).encode()})
        self.server.put(file.path, content)
        return file.path

    async def states(self, url: str) -> dict[date, str]:
        rows = await fetch(
            url, "SELECT day, state FROM coverage_days WHERE dataset = 'metrics_5m' ORDER BY day"
        )
        return dict(rows)


@asynccontextmanager
async def past(database: str, folder: Path, *, swept: bool = True, speed: float = 1.0) -> AsyncIterator[Past]:
    """A week is due; REST knows all of them, and the last 41 h are stored when it is ``swept``."""
    async with world(database, [SYMBOL], speed=speed) as it, archive_server() as server:
        permits = RateLimiter(it.clock, Metrics(), limit=10_000)
        options = ArchiveOptions(url=f"{server.url}/archive", list_url=f"{server.url}/list")
        archive = BinanceArchive(options, permits, it.clock, Metrics())
        session = SharedSession(DatabaseOptions(database), purpose="history")
        ledger = CoverageStore(session)
        notes = ArchiveNoteStore(session)
        parts = HistoryParts(
            archive,
            BinanceLayout(),
            SmallFileReader(),
            it.rest,
            it.store,
            it.store,
            ledger,
            CoverageNoteStore(session),
            notes,
            InstrumentStore(session),
        )
        since_ms = (it.clock.now_ms() // DAY_MS - 6) * DAY_MS
        history = MetricHistory(
            parts,
            it.clock,
            it.metrics,
            folder=folder,
            since=lambda _: since_ms,
            after=(it.sweep.valued,),
        )
        await archive.open()
        try:
            await ledger.follow(
                Dataset.METRICS, [Listing(SYMBOL, since_ms, 4_000_000_000_000)], it.clock.now_ms()
            )
            await it.sweep.load()
            if swept:
                await it.sweep.sweep()
            newest = datetime.fromtimestamp((it.clock.now_ms() - DAY_MS - 7_200_000) / 1000, UTC).date()
            yield Past(it, server, history, ledger, notes, folder, newest)
        finally:
            await archive.close()
            await session.close()


@asynccontextmanager
async def running(history: MetricHistory) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(history.run(), name="history")
        try:
            yield
        finally:
            task.cancel()


async def values_of(url: str, day: date) -> dict[int, tuple[Any, ...]]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = await fetch(
        url,
        "SELECT (extract(epoch FROM create_time) * 1000)::bigint, sum_open_interest, sum_open_interest_value,"
        " count_toptrader_long_short_ratio, sum_toptrader_long_short_ratio, count_long_short_ratio,"
        " sum_taker_long_short_vol_ratio FROM binance_futures_metrics_5m"
        " WHERE create_time > %s AND create_time <= %s",
        [start, start + timedelta(days=1)],
    )
    return {end_ms: tuple(values) for end_ms, *values in rows}


async def test_incomplete_days_are_filled_whatever_their_labels(database: str, tmp_path: Path) -> None:
    async with past(database, tmp_path) as it:
        days = [it.yesterday - timedelta(days=number) for number in range(3)]
        it.publish(days[0], first=0)
        it.publish(days[1], first=1)
        it.publish(days[2], first=0)
        assert not await it.history.look()
        states = await it.states(database)
        for day in days[1:]:
            assert states[day] == "complete"
            found = await values_of(database, day)
            assert len(found) == 288
            assert all(values == row_of(SYMBOL, end_ms) for end_ms, values in found.items())
        assert left_in(tmp_path) == []
        files = await fetch(database, "SELECT count(*)::int FROM archive_files WHERE state = 'imported'")
        assert files[0][0] >= 2
        asked = len(it.server.asked)
        await it.history.look()
        assert len(it.server.asked) <= asked + 4, "what is complete is not asked for again"


async def test_a_day_that_disagrees_with_rest_stops_the_merge_with_an_alert(
    database: str, tmp_path: Path
) -> None:
    async with past(database, tmp_path) as it:
        older = it.yesterday - timedelta(days=2)
        it.publish(it.yesterday, wrong_by=1)
        it.publish(older)
        await it.history.look()
        assert it.it.count("metric_archive_disagrees") == 1
        assert it.it.count("metric_archive_checks_total", result="disagrees") == 1
        assert await fetch(database, "SELECT count(*)::int FROM archive_files") == [(0,)]
        assert len(await values_of(database, older)) < 288

        it.publish(it.yesterday)
        await it.history.look()
        assert it.it.count("metric_archive_disagrees") == 0
        assert len(await values_of(database, older)) == 288


async def test_without_a_published_day_nothing_is_merged_and_nothing_is_alarming(
    database: str, tmp_path: Path
) -> None:
    async with past(database, tmp_path) as it:
        assert await it.history.check(it.yesterday) is Verdict.UNKNOWN
        assert it.it.count("metric_archive_disagrees") == 0


async def test_files_that_are_unusable_are_refused_and_the_others_live(database: str, tmp_path: Path) -> None:
    async with past(database, tmp_path) as it:
        it.publish(it.yesterday)
        bad, good = it.yesterday - timedelta(days=1), it.yesterday - timedelta(days=2)
        it.publish(bad, first=2)
        it.publish(good)
        await it.history.look()
        assert (await it.states(database))[good] == "complete"
        assert await fetch(
            database, "SELECT first_day, detail FROM archive_files WHERE state = 'quarantined'"
        ) == [(bad, "labels")]
        assert it.it.count("metric_files_total", dataset="metrics_5m", result="refused") == 1


async def test_the_folder_is_made_and_one_that_cannot_be_is_no_end(database: str, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    async with past(database, blocked / "archive") as it:
        it.publish(it.yesterday)
        assert not await it.history.look()
        assert it.it.count("metric_archive_checks_total", result="unknown") == 1
    async with past(database, tmp_path / "not" / "yet") as it:
        it.publish(it.yesterday)
        await it.history.look()
        assert it.it.count("metric_archive_checks_total", result="agrees") == 1


async def test_archive_fills_what_a_failing_series_left_null(database: str, tmp_path: Path) -> None:
    async with past(database, tmp_path) as it:
        day = it.yesterday - timedelta(days=1)
        await fetch(
            database,
            "UPDATE binance_futures_metrics_5m SET count_long_short_ratio = NULL, count_long_short_ratio_rank = -1",
        )
        it.publish(it.yesterday)
        it.publish(day)
        await it.history.look()
        found = await values_of(database, day)
        assert all(values == row_of(SYMBOL, end_ms) for end_ms, values in found.items())
        assert it.it.venue.requests[SYMBOL, MetricSeries.TAKER] >= 2, "the check asked REST as well"


async def test_the_first_look_waits_for_somebody_to_be_stored(database: str, tmp_path: Path) -> None:
    """On a fresh database the ledger is there before the first row, and a look in vain would cost an hour."""
    async with past(database, tmp_path, swept=False) as it:
        older = it.yesterday - timedelta(days=2)
        it.publish(it.yesterday)
        it.publish(older)
        async with running(it.history):
            # As long as a look takes: whoever does not wait has looked by then, and counted one more.
            await it.history.look()
            await it.it.sweep.sweep()
            await eventually(partial(_is_complete, it, database, older), timeout=60)
        assert it.it.count("metric_archive_checks_total", result="agrees") == 1
        assert it.it.count("metric_archive_checks_total", result="unknown") == 1


async def test_what_could_not_be_compared_is_compared_soon(database: str, tmp_path: Path) -> None:
    """The archive is away at first; the next look comes within two minutes of the venue's time, not in an hour."""
    async with past(database, tmp_path, speed=30) as it:
        older = it.yesterday - timedelta(days=2)
        async with running(it.history):
            await eventually(lambda: it.it.count("metric_archive_checks_total", result="unknown") >= 1)
            it.publish(it.yesterday)
            it.publish(older)
            began = it.it.clock.now()
            await eventually(partial(_is_complete, it, database, older), timeout=60)
            assert it.it.clock.now() - began < 1800


async def _is_complete(it: Past, database: str, day: date) -> bool:
    return (await it.states(database)).get(day) == "complete"


def _rows_without(day: date, *columns: str) -> list[FuturesMetric]:
    """All rows of a day as REST says them, but for some columns."""
    rows = []
    for number in range(1, 289):
        end_ms = midnight_ms(day) + number * FIVE_MINUTES_MS
        said = dict(zip(METRIC_COLUMNS, map(Decimal, map(str, row_of(SYMBOL, end_ms))), strict=True))
        kept = {name: None if name in columns else value for name, value in said.items()}
        rows.append(FuturesMetric.of(SYMBOL, end_ms, kept, "binance_rest", Authority.REST))
    return rows


async def test_what_a_series_never_said_is_brought_by_the_archive_though_the_day_has_all_its_rows(
    database: str, tmp_path: Path
) -> None:
    async with past(database, tmp_path) as it:
        day = it.yesterday - timedelta(days=2)
        await it.it.store.write(_rows_without(day, "sum_taker_long_short_vol_ratio"))
        assert (await it.states(database))[day] == "complete"
        it.publish(it.yesterday)
        path = it.publish(day)
        await it.history.look()
        found = await values_of(database, day)
        assert all(values == row_of(SYMBOL, end_ms) for end_ms, values in found.items())
        assert len(found) == 288
        await it.history.look()
        assert len(it.server.requests(path)) == 1


async def test_blank_days_are_asked_for_once_whatever_the_archive_has(database: str, tmp_path: Path) -> None:
    """A file that is blank itself, and one that was never published."""
    async with past(database, tmp_path) as it:
        blank, unpublished = (it.yesterday - timedelta(days=number) for number in (2, 3))
        for day in (blank, unpublished):
            await it.it.store.write(_rows_without(day, "count_long_short_ratio"))
        it.publish(it.yesterday)
        it.publish(blank, blank_column="count_long_short_ratio")
        finder, since = BlankDays(it.it.store, it.notes), unpublished
        for _ in range(2):
            assert {item.day for item in await finder.due(since, it.it.clock.now_ms())} == {
                blank,
                unpublished,
            }
        await it.history.look()
        found = await values_of(database, blank)
        assert {values[4] for values in found.values()} == {None}
        for now_ms in (it.it.clock.now_ms(), it.it.clock.now_ms() + 6 * DAY_MS):
            again = BlankDays(it.it.store, it.notes)
            assert await again.due(since, now_ms) == []
        later_ms = it.it.clock.now_ms() + 8 * DAY_MS
        assert [item.day for item in await finder.due(since, later_ms)] == [unpublished]


async def test_rows_that_were_deleted_by_hand_are_filled_again(database: str, tmp_path: Path) -> None:
    async with past(database, tmp_path) as it:
        day = it.yesterday - timedelta(days=2)
        it.publish(it.yesterday)
        it.publish(day)
        await it.history.look()
        whole = await values_of(database, day)
        assert len(whole) == 288
        first = datetime(day.year, day.month, day.day, 1, tzinfo=UTC)
        await fetch(
            database,
            "DELETE FROM binance_futures_metrics_5m WHERE create_time BETWEEN %s AND %s",
            [first, first + timedelta(hours=2)],
        )
        assert (await it.states(database))[day] == "dirty"
        await it.history.look()
        assert await values_of(database, day) == whole
        assert (await it.states(database))[day] == "complete"
