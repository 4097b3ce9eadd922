"""The ledger of metrics and funding: a metric belongs to the five minutes before its time, funding to its day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

import pytest

from src.adapters.timescale.ledger.days import day_of, start_of
from src.adapters.timescale.ledger.ledger import CoverageStore
from src.adapters.timescale.ledger.notes import CoverageNoteStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.model import DAY_MS, FIVE_MINUTES_MS, ArchiveFile, Dataset, Gap, Listing, Span

from .coverage import EXCHANGE
from .helpers import START_MS, fetch

DAY = day_of(START_MS)
MIDNIGHT_MS = start_of(DAY)
LISTING = Listing("AUSDT", MIDNIGHT_MS, MIDNIGHT_MS + 2 * DAY_MS)


@pytest.fixture
async def session(database: str) -> AsyncIterator[SharedSession]:
    session = SharedSession(DatabaseOptions(database), purpose="ledger")
    yield session
    await session.close()


def begins(number: int) -> int:
    """When the ``number``-th five minutes after midnight begin."""
    return MIDNIGHT_MS + number * FIVE_MINUTES_MS


async def store(url: str, numbers: Collection[int]) -> None:
    """The metrics of the given five minutes, labelled by their end and not counted by the ledger."""
    await fetch(
        url,
        "INSERT INTO binance_futures_metrics_5m (exchange, symbol, create_time, authority, source)"
        " SELECT %s, 'AUSDT', to_timestamp(s) + interval '5 minutes', 2, 't' FROM unnest(%s::bigint[]) AS s",
        [EXCHANGE, [begins(number) // 1000 for number in numbers]],
    )


async def test_rows_count_for_the_day_in_which_their_five_minutes_begin(
    database: str, session: SharedSession
) -> None:
    ledger = CoverageStore(session)
    await ledger.follow(Dataset.METRICS, [LISTING], MIDNIGHT_MS)
    await store(database, [number for number in range(-1, 289) if number not in {4, 5, 287}])
    days = await ledger.open_days(Dataset.METRICS, DAY, DAY)
    await ledger.recount(days)
    [line] = await ledger.open_days(Dataset.METRICS, DAY, DAY)
    assert (line.expected, line.have, line.unaccounted) == (288, 285, 3)
    assert await ledger.holes(Dataset.METRICS, [line], MIDNIGHT_MS + 2 * DAY_MS) == [
        Gap("AUSDT", begins(4), begins(6), "missing"),
        Gap("AUSDT", begins(287), begins(288), "missing"),
    ]
    assert await ledger.holes(Dataset.METRICS, [line], begins(5) + 1) == [
        Gap("AUSDT", begins(4), begins(5), "missing")
    ]


async def test_a_metric_that_nobody_has_is_absent_by_its_beginning(
    database: str, session: SharedSession
) -> None:
    ledger, notes = CoverageStore(session), CoverageNoteStore(session)
    await ledger.follow(Dataset.METRICS, [LISTING], MIDNIGHT_MS)
    await store(database, range(1, 287))
    file = ArchiveFile("m.zip", Dataset.METRICS, "AUSDT", Span.DAILY, DAY)
    await notes.mark_absent(file, "a" * 64, [begins(0), begins(1), begins(287)], START_MS)
    await ledger.recount(await ledger.open_days(Dataset.METRICS, DAY, DAY))
    assert await fetch(database, "SELECT have, absent, state FROM coverage_days") == [(286, 2, "complete")]
    due = await notes.absences_due(Dataset.METRICS, START_MS + 9 * DAY_MS, 10)
    assert due == [
        Gap("AUSDT", begins(0), begins(1), "absent"),
        Gap("AUSDT", begins(287), begins(288), "absent"),
    ]


async def test_deleting_a_metric_makes_the_day_of_its_beginning_dirty(
    database: str, session: SharedSession
) -> None:
    await CoverageStore(session).follow(Dataset.METRICS, [LISTING], MIDNIGHT_MS + DAY_MS)
    await store(database, [287, 288])
    await fetch(
        database,
        "DELETE FROM binance_futures_metrics_5m WHERE create_time = to_timestamp(%s)",
        [begins(288) // 1000],
    )
    assert await fetch(database, "SELECT day FROM coverage_days WHERE dirty") == [(DAY,)]


async def test_funding_is_counted_by_its_day(database: str, session: SharedSession) -> None:
    ledger = CoverageStore(session)
    await ledger.expect(Dataset.FUNDING, {("AUSDT", DAY): 3})
    await fetch(
        database,
        "INSERT INTO funding_rates (exchange, symbol, funding_time, funding_rate, funding_rate_rank, authority, source)"
        " SELECT %s, 'AUSDT', to_timestamp(%s) + n * interval '8 hours', 0.0001, 0, 2, 't'"
        " FROM generate_series(-1, 4) AS n",
        [EXCHANGE, MIDNIGHT_MS // 1000],
    )
    await ledger.recount(await ledger.open_days(Dataset.FUNDING, DAY, DAY))
    assert await fetch(database, "SELECT have, state FROM coverage_days") == [(3, "complete")]
    await fetch(
        database, "DELETE FROM funding_rates WHERE funding_time = to_timestamp(%s)", [MIDNIGHT_MS // 1000]
    )
    assert await fetch(database, "SELECT dirty FROM coverage_days") == [(True,)]
    dirty = await ledger.open_days(Dataset.FUNDING, DAY, DAY)
    await ledger.recount(dirty)
    assert await fetch(database, "SELECT have, state FROM coverage_days") == [(2, "open")]
    with pytest.raises(ValueError, match="expect"):
        await ledger.holes(Dataset.FUNDING, dirty, START_MS)
    with pytest.raises(ValueError, match="expect"):
        file = ArchiveFile("f.zip", Dataset.FUNDING, "AUSDT", Span.MONTHLY, DAY)
        await CoverageNoteStore(session).mark_absent(file, "a" * 64, [MIDNIGHT_MS], START_MS)
