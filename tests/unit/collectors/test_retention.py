"""The bound of retention, and the job that keeps it."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.collectors.retention import Retention, fill_from, refuse_older
from src.errors import ConfigError, Unavailable
from src.model import DAY_MS, Dataset, Expired
from src.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH_MS, StepClock, count


@given(
    st.integers(0, 4_000_000_000_000), st.integers(8, 4000), st.integers(1, 90), st.integers(0, 40 * DAY_MS)
)
def test_what_may_be_filled_is_what_stays(now_ms: int, days: int, chunk_days: int, later: int) -> None:
    """Naive twin: chunk by chunk from the beginning of time, the first one that is not wholly older."""
    first = fill_from(now_ms, days, chunk_days)
    chunk_ms = chunk_days * DAY_MS
    keep_from = now_ms - days * DAY_MS
    assert first % chunk_ms == 0
    assert keep_from < 0 or first <= keep_from < first + chunk_ms
    assert fill_from(now_ms + later, days, chunk_days) >= first


def test_everything_is_kept_unless_told() -> None:
    assert fill_from(EPOCH_MS, None, 7) == 0
    refuse_older(0, EPOCH_MS, None, 7)


def test_older_than_retention_is_refused_up_front() -> None:
    """D15: filling and dropping would go on for ever."""
    first = fill_from(EPOCH_MS, 180, 7)
    refuse_older(first, EPOCH_MS, 180, 7)
    with pytest.raises(ConfigError) as refused:
        refuse_older(first - DAY_MS, EPOCH_MS, 180, 7, asked="BACKFILL_FROM")
    assert str(refused.value) == (
        "BACKFILL_FROM 2026-07-15: RETENTION_DAYS=180 drops what is before 2026-07-16, so it would be filled and"
        " dropped again and again; ask from 2026-07-16 on, or raise RETENTION_DAYS"
    )


class Database:
    """Notes the bounds it is told and says what it dropped; raises ``errors`` first."""

    def __init__(self, *errors: Exception) -> None:
        self.bounds: list[int] = []
        self.errors = list(errors)

    async def expire(self, before_ms: int) -> list[Expired]:
        if self.errors:
            raise self.errors.pop(0)
        self.bounds.append(before_ms)
        return [Expired(Dataset.CANDLES, chunks=2, lines=14, rows=20_000)]


def job(database: Database, clock: StepClock, metrics: Metrics, days: int | None = 30) -> Retention:
    return Retention(database, clock, metrics, retention_days=days, chunk_days=7)


async def run_for(retention: Retention, clock: StepClock, seconds: float) -> None:
    """Run it until that much venue time has passed."""
    passed = asyncio.Event()
    clock.at(clock.now() + seconds, passed.set)
    running = asyncio.create_task(retention.run(), name="retention")
    await passed.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_enforces_at_start_and_as_time_goes_on() -> None:
    database, clock, metrics = Database(), StepClock(), Metrics()
    await run_for(job(database, clock, metrics), clock, 8 * 86_400)
    assert database.bounds[0] == fill_from(EPOCH_MS, 30, 7)
    different = sorted(set(database.bounds))
    assert different == [database.bounds[0] + n * 7 * DAY_MS for n in range(len(different))]
    assert len(different) in (2, 3)
    assert count(metrics, "chunks_expired_total", dataset="candles_1m") == 2 * len(database.bounds)
    assert count(metrics, "rows_expired_total", dataset="candles_1m") == 20_000 * len(database.bounds)


async def test_nothing_is_dropped_before_the_venues_time_is_known() -> None:
    """The computer's date is two years ahead: by it, all would be older than what is kept."""
    database, clock, ready = Database(), StepClock(EPOCH_MS / 1000 + 730 * 86_400), asyncio.Event()
    retention = Retention(database, clock, Metrics(), retention_days=30, chunk_days=7, ready=ready)
    running = asyncio.create_task(retention.run(), name="retention")
    await asyncio.sleep(0.01)
    assert database.bounds == []
    clock.set(EPOCH_MS / 1000)
    ready.set()
    await eventually(lambda: database.bounds)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert database.bounds[0] == fill_from(EPOCH_MS, 30, 7)


async def test_without_retention_nothing_is_ever_dropped() -> None:
    database, clock = Database(), StepClock()
    await run_for(job(database, clock, Metrics(), days=None), clock, 8 * 86_400)
    assert database.bounds == []


async def test_an_error_ends_it_for_the_supervisor() -> None:
    database, clock, metrics = Database(Unavailable("away")), StepClock(), Metrics()
    retention = job(database, clock, metrics)
    with pytest.raises(Unavailable):
        await retention.run()
    await retention.enforce()
    assert len(database.bounds) == 1
