from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import LiteralString

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.clock import VenueClock
from src.collectors.live.buffer import CandleBuffer
from src.collectors.live.writer import Writer
from src.model import MINUTE_MS, Authority
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import connect, fetch
from tests.support.eventually import eventually
from tests.support.fakes import EPOCH, EPOCH_MS, count, make_candle, total


class Bench:
    """A writer on a real database; time runs a hundred times too fast, so a window is 30 ms."""

    def __init__(self, database: str) -> None:
        self.database = database
        self.clock, self.metrics, self.health = VenueClock(speed=100, start=EPOCH), Metrics(), Health()
        self.buffer = CandleBuffer(self.clock, self.metrics)
        self.store = CandleStore(DatabaseOptions(database), self.metrics)
        self.writer = Writer(self.buffer, self.store, self.clock, self.metrics, self.health)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.writer.run(), name="writer")
            try:
                yield
            finally:
                await self.writer.drain(20)
                await self.store.close()

    def put(self, number: int, minute: int = 1) -> None:
        for index in range(number):
            self.buffer.put(make_candle(f"S{index:03}USDT", EPOCH_MS - minute * MINUTE_MS))

    async def one(self, statement: LiteralString) -> object:
        return (await fetch(self.database, statement))[0][0]


async def test_a_poison_row_costs_only_itself(database: str) -> None:
    bench = Bench(database)
    async with bench.running():
        bench.put(647)
        bench.buffer.put(make_candle("NUL\0USDT"))
        bench.buffer.put(make_candle("SURR\ud800USDT"))
        bench.buffer.put(replace(make_candle("LOWUSDT"), low=-1.0))
        await eventually(lambda: not len(bench.buffer), timeout=60)
    assert await bench.one("SELECT count(*) FROM candles_1m") == 647
    assert await bench.one("SELECT count(*) FROM rejected_rows") == 3
    assert total(bench.metrics, "rows_rejected_total") == 3
    assert count(bench.metrics, "rows_committed_total", source="binance_ws", result="inserted") == 647


async def test_a_session_killed_again_and_again_loses_and_doubles_nothing(database: str) -> None:
    bench = Bench(database)
    async with bench.running():
        for minute in range(1, 11):
            bench.put(200, minute)
            await asyncio.sleep(0)
            await fetch(
                database,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                " AND backend_type = 'client backend'",
            )
            await eventually(lambda: not len(bench.buffer), timeout=60)
    assert await bench.one("SELECT count(*) FROM candles_1m") == 2000
    committed, deduped = (total(bench.metrics, f"rows_{what}_total") for what in ("committed", "deduped"))
    assert committed + deduped == 2000
    assert count(bench.metrics, "flush_total", result="retried") >= 1
    assert bench.health.database_writable


async def test_a_locked_table_is_waited_for_with_one_flush_in_flight(database: str) -> None:
    bench = Bench(database)
    async with bench.running():
        await eventually(bench.writer.settled.is_set, timeout=60)
        async with await connect(database) as other, other.transaction():
            await other.execute("LOCK TABLE candles_1m IN ACCESS EXCLUSIVE MODE")
            bench.put(100)
            await eventually(lambda: count(bench.metrics, "flush_total", result="retried") >= 1, timeout=60)
            bench.put(100, minute=2)
            waiting = await bench.one(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            assert isinstance(waiting, int)
            assert waiting <= 1
            assert not bench.health.database_writable
        await eventually(lambda: not len(bench.buffer), timeout=60)
    assert await bench.one("SELECT count(*) FROM candles_1m") == 200
    assert bench.health.database_writable


async def test_a_missing_column_stops_writing_and_heals_by_itself(database: str) -> None:
    bench = Bench(database)
    async with bench.running():
        await eventually(bench.writer.settled.is_set, timeout=60)
        await fetch(database, "ALTER TABLE candles_1m RENAME COLUMN quote_volume TO quote_volume_gone")
        bench.put(50)
        await eventually(lambda: bench.health.problem, timeout=60)
        assert len(bench.buffer) == 50
        await fetch(database, "ALTER TABLE candles_1m RENAME COLUMN quote_volume_gone TO quote_volume")
        await eventually(lambda: not len(bench.buffer), timeout=60)
    assert await bench.one("SELECT count(*) FROM candles_1m") == 50
    assert bench.health.problem == ""


async def test_the_same_rows_again_change_nothing_and_a_better_one_replaces(database: str) -> None:
    bench = Bench(database)
    async with bench.running():
        bench.put(10)
        await eventually(lambda: total(bench.metrics, "rows_committed_total") == 10, timeout=60)
        bench.put(10)
        await eventually(
            lambda: count(bench.metrics, "rows_deduped_total", where="database") == 10, timeout=60
        )
        row = make_candle("S001USDT")
        bench.buffer.put(
            replace(row, close=row.close - 0.25, authority=Authority.REST, source="binance_rest")
        )
        await eventually(lambda: not len(bench.buffer), timeout=60)
    assert count(bench.metrics, "rows_committed_total", source="binance_rest", result="replaced") == 1
    assert await bench.one("SELECT close FROM candles_1m WHERE symbol = 'S001USDT'") == row.close - 0.25
