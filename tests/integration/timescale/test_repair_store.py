"""Rows of the past: stored beside the live writer, counted in the ledger, one load at a time into a month."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from src.adapters.timescale.candles.repair import RepairStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.errors import BadData
from src.model import Authority, WriteResult
from tests.support.eventually import eventually

from .helpers import CANDLE, as_tuple, connect, fetch, minutes, opened, stored


@pytest.fixture
async def store(database: str) -> AsyncIterator[RepairStore]:
    session = SharedSession(DatabaseOptions(database, role="backfill"), purpose="history")
    yield RepairStore(session)
    await session.close()


async def test_rows_are_stored_once_and_counted(database: str, store: RepairStore) -> None:
    rows = [replace(row, source="binance_rest", authority=Authority.REST) for row in minutes(3)]
    assert await store.write(rows) == WriteResult(3, 0, 0)
    assert await store.write(rows) == WriteResult(0, 0, 3)
    assert await stored(database) == [as_tuple(row) for row in rows]
    assert await fetch(database, "SELECT sum(have) FROM coverage_days") == [(3,)]
    assert await store.stored("BTCUSDT", rows[0].open_ms, rows[2].open_ms) == rows[:2]
    assert await store.write([]) == WriteResult(0, 0, 0)


async def test_the_guard_is_that_of_the_live_writer(database: str, store: RepairStore) -> None:
    better = replace(CANDLE, authority=Authority.REST, source="binance_rest", trade_count=2000)
    async with opened(database) as live:
        await live.write([CANDLE], [])
        assert await store.write([better]) == WriteResult(0, 1, 0)
        assert (await live.write([CANDLE], [])).unchanged == 1
    assert await stored(database) == [as_tuple(better)]


async def test_an_unusable_row_stores_nothing_and_can_be_put_aside(database: str, store: RepairStore) -> None:
    bad = replace(CANDLE, open_ms=CANDLE.open_ms + 60_000, low=-1.0)
    with pytest.raises(BadData):
        await store.write([CANDLE, bad])
    assert await stored(database) == []
    await store.quarantine(bad, reason="check_violation", detail="low")
    assert await fetch(database, "SELECT reason, symbol FROM rejected_rows") == [
        ("check_violation", "BTCUSDT")
    ]
    assert await store.write([CANDLE]) == WriteResult(1, 0, 0)


async def test_a_month_that_is_being_loaded_is_waited_for(database: str, store: RepairStore) -> None:
    other = SharedSession(DatabaseOptions(database, role="backfill"), purpose="history")
    assert await RepairStore(other).write([]) == WriteResult(0, 0, 0)
    async with await connect(database) as loading:
        await loading.set_autocommit(False)
        await loading.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended("
            "'market_data/binance_futures_um/candles_1m/BTCUSDT/' || to_char(to_timestamp(%s), 'YYYY-MM'), 0))",
            [CANDLE.open_ms // 1000],
        )
        writing = asyncio.create_task(store.write([CANDLE]), name="write")

        async def waits() -> bool:
            rows = await fetch(
                database,
                "SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database"
                " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()",
            )
            return bool(rows)

        await eventually(waits)
        assert (await RepairStore(other).write([replace(CANDLE, symbol="ETHUSDT")])).inserted == 1
        await other.close()
        assert not writing.done()
        await loading.commit()
        assert await writing == WriteResult(1, 0, 0)
