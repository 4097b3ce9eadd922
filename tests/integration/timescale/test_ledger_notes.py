"""Looks, absences and the rolling audit on the real ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest

from src.adapters.timescale.ledger.audit import ROUND_DAYS, LedgerAudit
from src.adapters.timescale.ledger.days import day_of, start_of
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.ledger.notes import CoverageNoteStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import DAY_MS, MINUTE_MS, ArchiveFile, Dataset, Gap, Listing, Span
from src.telemetry.metrics import Metrics
from tests.support.fakes import count

from .coverage import fill, list_symbol
from .helpers import CANDLE, START_MS, fetch, opened

DAY = day_of(START_MS)
MIDNIGHT_MS = start_of(DAY)
HOUR_MS = 60 * MINUTE_MS
SHA = "a" * 64


@dataclass
class Bench:
    url: str
    ledger: CoverageStore
    notes: CoverageNoteStore
    session: SharedSession


@pytest.fixture
async def bench(database: str) -> AsyncIterator[Bench]:
    session = SharedSession(DatabaseOptions(database), purpose="ledger")
    yield Bench(database, CoverageStore(session), CoverageNoteStore(session), session)
    await session.close()


def file(day: date = DAY, symbol: str = "AUSDT") -> ArchiveFile:
    return ArchiveFile(f"x/{symbol}-1m-{day}.zip", Dataset.CANDLES, symbol, Span.DAILY, day)


async def test_a_look_is_counted_and_says_when_the_next_may_be(bench: Bench) -> None:
    listings = [Listing(name, MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS) for name in ("BUSDT", "AUSDT")]
    await bench.ledger.follow(Dataset.CANDLES, listings, MIDNIGHT_MS)
    days = await bench.ledger.open_days(Dataset.CANDLES, DAY, DAY)
    assert [(item.attempts, item.next_look_ms) for item in days] == [(0, 0), (0, 0)]
    await bench.notes.looked(days[:1], MIDNIGHT_MS + HOUR_MS)
    await bench.notes.looked(days[:1], MIDNIGHT_MS + 2 * HOUR_MS)
    days = await bench.ledger.open_days(Dataset.CANDLES, DAY, DAY)
    assert [(item.attempts, item.next_look_ms) for item in days] == [(2, MIDNIGHT_MS + 2 * HOUR_MS), (0, 0)]


async def test_an_absence_is_counted_once_and_asked_for_after_1_7_and_30_days(bench: Bench) -> None:
    await bench.ledger.follow(
        Dataset.CANDLES, [Listing("AUSDT", MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)], MIDNIGHT_MS
    )
    gone = [MIDNIGHT_MS + minute * MINUTE_MS for minute in (3, 4, 9)]
    now_ms = MIDNIGHT_MS + 2 * DAY_MS
    for days in (1, 7, 30, 30):
        await bench.notes.mark_absent(file(), SHA, gone, now_ms)
        now_ms += days * DAY_MS
        assert await bench.notes.absences_due(Dataset.CANDLES, now_ms - 1, 10) == []
        assert await bench.notes.absences_due(Dataset.CANDLES, now_ms, 10) == [
            Gap("AUSDT", gone[0], gone[2] - 4 * MINUTE_MS, "absent"),
            Gap("AUSDT", gone[2], gone[2] + MINUTE_MS, "absent"),
        ]
    assert len(await bench.notes.absences_due(Dataset.CANDLES, now_ms, 1)) == 1
    assert await bench.notes.absences_due(Dataset.CANDLES, now_ms, 10, since_ms=gone[1]) == [
        Gap("AUSDT", gone[1], gone[1] + MINUTE_MS, "absent"),
        Gap("AUSDT", gone[2], gone[2] + MINUTE_MS, "absent"),
    ]
    assert await fetch(bench.url, "SELECT absent FROM coverage_days") == [(3,)]
    proofs = await fetch(bench.url, "SELECT DISTINCT archive_path, archive_sha256, asks FROM absent_minutes")
    assert proofs == [(file().path, SHA, 4)]


async def test_an_absence_is_put_off_while_it_is_due(bench: Bench) -> None:
    await bench.ledger.follow(
        Dataset.CANDLES, [Listing("AUSDT", MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)], MIDNIGHT_MS
    )
    asked, proved_again = MIDNIGHT_MS + 3 * MINUTE_MS, MIDNIGHT_MS + 4 * MINUTE_MS
    gaps = [Gap("AUSDT", asked, proved_again + MINUTE_MS, "absent")]
    begun_ms = MIDNIGHT_MS + 2 * DAY_MS
    await bench.notes.mark_absent(file(), SHA, [asked, proved_again], begun_ms)
    now_ms = begun_ms + DAY_MS
    assert await bench.notes.absences_due(Dataset.CANDLES, now_ms, 10) == gaps
    await bench.notes.mark_absent(file(), SHA, [proved_again], now_ms)
    await bench.notes.postpone_absences(Dataset.CANDLES, gaps, now_ms, now_ms + DAY_MS)
    assert await bench.notes.absences_due(Dataset.CANDLES, now_ms + DAY_MS - 1, 10) == []
    due = await bench.notes.absences_due(Dataset.CANDLES, now_ms + DAY_MS, 10)
    assert due == [Gap("AUSDT", asked, asked + MINUTE_MS, "absent")], "the other one has waited for a week"


async def test_absences_complete_a_day(bench: Bench) -> None:
    await bench.ledger.follow(
        Dataset.CANDLES, [Listing("AUSDT", MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)], MIDNIGHT_MS
    )
    await fill(bench.url, ["AUSDT"], MIDNIGHT_MS + 2 * MINUTE_MS, MIDNIGHT_MS + DAY_MS)
    await bench.notes.mark_absent(file(), SHA, [MIDNIGHT_MS, MIDNIGHT_MS + MINUTE_MS], START_MS)
    assert await bench.ledger.open_days(Dataset.CANDLES, DAY, DAY) == []
    assert await fetch(bench.url, "SELECT state FROM coverage_days") == [("complete",)]


async def test_what_is_stored_is_not_absent(bench: Bench) -> None:
    await bench.ledger.follow(
        Dataset.CANDLES, [Listing("AUSDT", MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)], MIDNIGHT_MS
    )
    async with opened(bench.url) as store:
        await store.write([replace(CANDLE, symbol="AUSDT", open_ms=MIDNIGHT_MS)], [])
    await bench.notes.mark_absent(file(), SHA, [MIDNIGHT_MS, MIDNIGHT_MS + MINUTE_MS], START_MS)
    assert await fetch(bench.url, "SELECT have, absent FROM coverage_days") == [(1, 1)]


async def test_an_end_that_is_learnt_later_releases_what_was_absent_after_it(bench: Bench) -> None:
    """The tail of a delisting's last day, absent by proof while the end was known to the day only."""
    day = [Listing("AUSDT", MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)]
    await bench.ledger.follow(Dataset.CANDLES, day, MIDNIGHT_MS)
    nowhere = [MIDNIGHT_MS + 5 * MINUTE_MS, *range(MIDNIGHT_MS + HOUR_MS, MIDNIGHT_MS + DAY_MS, MINUTE_MS)]
    await bench.notes.mark_absent(file(), SHA, nowhere, MIDNIGHT_MS + 2 * DAY_MS)
    line = "SELECT expected, absent FROM market_data.coverage_days ORDER BY day LIMIT 1"
    [before] = await fetch(bench.url, line)
    assert before == (1440, 1381)
    for store in (bench.ledger, CoverageStore(bench.session)):  # and once more by another process
        await store.follow(Dataset.CANDLES, [replace(day[0], end_ms=MIDNIGHT_MS + HOUR_MS)], MIDNIGHT_MS)
        [after] = await fetch(bench.url, line)
        assert after == (60, 1), "only the one inside is still to be accounted for"
    assert await bench.ledger.count(Dataset.CANDLES, [("AUSDT", DAY)]) == [], "counting anew says the same"


async def test_a_found_row_that_is_proved_absent_again_begins_anew(bench: Bench) -> None:
    await bench.ledger.follow(
        Dataset.CANDLES, [Listing("AUSDT", MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)], MIDNIGHT_MS
    )
    await bench.notes.mark_absent(file(), SHA, [MIDNIGHT_MS], START_MS)
    async with opened(bench.url) as store:
        await store.write([replace(CANDLE, symbol="AUSDT", open_ms=MIDNIGHT_MS)], [])
    assert await fetch(bench.url, "SELECT have, absent FROM coverage_days") == [(1, 0)]
    await fetch(bench.url, "DELETE FROM candles_1m")
    await bench.notes.mark_absent(file(), SHA, [MIDNIGHT_MS], START_MS)
    assert await fetch(bench.url, "SELECT asks, found_at FROM absent_minutes") == [(1, None)]
    await bench.ledger.recount(await bench.ledger.open_days(Dataset.CANDLES, DAY, DAY))
    assert await fetch(bench.url, "SELECT have, absent, dirty FROM coverage_days") == [(0, 1, False)]


async def test_rows_and_proofs_that_come_together_never_count_twice(bench: Bench) -> None:
    """The same minutes are stored and proved absent at once; in the end each is one or the other."""
    await bench.ledger.follow(
        Dataset.CANDLES, [Listing("AUSDT", MIDNIGHT_MS, MIDNIGHT_MS + DAY_MS)], MIDNIGHT_MS
    )
    minutes = [MIDNIGHT_MS + minute * MINUTE_MS for minute in range(80)]
    async with opened(bench.url) as store:

        async def write() -> None:
            for open_ms in minutes:
                await store.write([replace(CANDLE, symbol="AUSDT", open_ms=open_ms)], [])

        async def prove() -> None:
            for open_ms in minutes:
                await bench.notes.mark_absent(file(), SHA, [open_ms], START_MS)

        await asyncio.gather(write(), prove())
    assert await fetch(bench.url, "SELECT have, absent FROM coverage_days") == [(80, 0)]
    assert await fetch(bench.url, "SELECT count(*) FROM absent_minutes WHERE found_at IS NULL") == [(0,)]


async def test_the_audit_finds_every_wrong_line_within_thirty_days(bench: Bench) -> None:
    days = 2 * ROUND_DAYS + 5
    listing = Listing("AUSDT", MIDNIGHT_MS - days * DAY_MS, MIDNIGHT_MS + 400 * DAY_MS)
    await list_symbol(bench.url, listing)
    await bench.ledger.follow(Dataset.CANDLES, [listing], MIDNIGHT_MS)
    await fetch(bench.url, "UPDATE coverage_days SET have = 7 WHERE day < %s", [DAY])
    metrics = Metrics()
    audit = LedgerAudit(bench.ledger, bench.session, metrics)
    found = 0
    for day in range(ROUND_DAYS):
        for hour in (1, 9, 23):
            found += await audit.audit(MIDNIGHT_MS + day * DAY_MS + hour * HOUR_MS)
    assert found == days
    assert count(metrics, "ledger_corrections_total", dataset="candles_1m") == found
    assert await fetch(bench.url, "SELECT count(*) FROM coverage_days WHERE have <> 0") == [(0,)]


async def test_the_audit_counts_every_dataset_that_it_is_given(bench: Bench) -> None:
    listing = Listing("AUSDT", MIDNIGHT_MS - (ROUND_DAYS + 1) * DAY_MS, MIDNIGHT_MS + 400 * DAY_MS)
    await list_symbol(bench.url, listing)
    for dataset in (Dataset.CANDLES, Dataset.METRICS):
        await bench.ledger.follow(dataset, [listing], MIDNIGHT_MS)
    await bench.ledger.expect(Dataset.FUNDING, {("AUSDT", DAY - timedelta(days=ROUND_DAYS)): 3})
    await fetch(bench.url, "UPDATE coverage_days SET have = 7")
    datasets = (Dataset.CANDLES, Dataset.METRICS, Dataset.FUNDING)
    audit = LedgerAudit(bench.ledger, bench.session, Metrics(), datasets)
    assert await audit.audit(MIDNIGHT_MS + 23 * HOUR_MS) == 3
    rows = await fetch(bench.url, "SELECT dataset FROM coverage_days WHERE have = 0 ORDER BY dataset")
    assert rows == [("candles_1m",), ("funding",), ("metrics_5m",)]


async def test_the_audit_of_a_day_is_spread_and_goes_on_after_a_restart(bench: Bench) -> None:
    listing = Listing("AUSDT", MIDNIGHT_MS - 4 * ROUND_DAYS * DAY_MS, MIDNIGHT_MS + DAY_MS)
    await list_symbol(bench.url, listing)
    await bench.ledger.follow(Dataset.CANDLES, [listing], MIDNIGHT_MS)
    await fetch(bench.url, "UPDATE coverage_days SET have = 7")
    audit = LedgerAudit(bench.ledger, bench.session)
    assert await audit.audit(MIDNIGHT_MS + 4 * HOUR_MS) == 1
    assert await audit.audit(MIDNIGHT_MS + 4 * HOUR_MS) == 0
    assert await LedgerAudit(bench.ledger, bench.session).audit(MIDNIGHT_MS + 23 * HOUR_MS) in {3, 4}
    left = await fetch(bench.url, "SELECT day FROM coverage_days WHERE have = 0 ORDER BY day")
    assert left == [(DAY - timedelta(days=ROUND_DAYS * step),) for step in (4, 3, 2, 1)]


async def test_a_dirty_day_is_counted_but_is_no_correction(bench: Bench) -> None:
    listing = Listing("AUSDT", MIDNIGHT_MS - ROUND_DAYS * DAY_MS, MIDNIGHT_MS + DAY_MS)
    await list_symbol(bench.url, listing)
    await bench.ledger.follow(Dataset.CANDLES, [listing], MIDNIGHT_MS)
    await fetch(bench.url, "UPDATE coverage_days SET have = 7, dirty = true")
    assert await LedgerAudit(bench.ledger, bench.session).audit(MIDNIGHT_MS + 23 * HOUR_MS) == 0
    dirty = await fetch(bench.url, "SELECT count(*) FROM coverage_days WHERE NOT dirty")
    assert dirty == [(1,)]


async def test_nothing_to_audit_before_anything_is_listed(bench: Bench) -> None:
    assert await LedgerAudit(bench.ledger, bench.session).audit(MIDNIGHT_MS) == 0
