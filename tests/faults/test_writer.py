"""B15, E24: rows that no database takes, and a flush that is cancelled in the middle. The writer in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.store import CandleStore
from src.clock import VenueClock
from src.collectors.buffer import CandleBuffer
from src.collectors.writer import Writer
from src.model import MINUTE_MS, Authority, Candle, floor_minute
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.faults.database import session, writer_waits, writers
from tests.integration.timescale.helpers import server_address, through
from tests.support.chaosproxy import ChaosProxy
from tests.support.daemon import Samples
from tests.support.eventually import eventually
from tests.support.oracle import Oracle
from tests.support.venue import Venue, VenueOptions
from tests.support.world import SCHEMA

pytestmark = pytest.mark.fault

_MINUTES = 6
_POISON = ("BTC\x00USDT", "\ud800USDT")
"""NUL, which PostgreSQL's text does not take, and a lone surrogate, which UTF-8 does not have."""


class _Bench:
    """A buffer, and writers one after the other that empty it into one database."""

    def __init__(self, venue: Venue, database_url: str, proxied: str) -> None:
        self.metrics, self.health, self.clock = Metrics(), Health(), VenueClock()
        self.buffer = CandleBuffer(self.clock, self.metrics)
        self.oracle = Oracle(venue, database_url, schema=SCHEMA)
        self._options = DatabaseOptions(url=proxied, schema=SCHEMA)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[asyncio.Task[None]]:
        """A writer's ``run`` as a task; its session is closed at the end."""
        store = CandleStore(self._options, self.metrics)
        writer = Writer(self.buffer, store, self.clock, self.metrics, self.health, window=0.1)
        task = asyncio.create_task(writer.run(), name="writer")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})
            await store.close()

    async def until_empty(self) -> Samples:
        await eventually(lambda: not len(self.buffer), timeout=30, message="the buffer is empty")
        return Samples(generate_latest(self.metrics.registry).decode())


@asynccontextmanager
async def a_bench(
    folder: Path, database: str, *, proxied: str | None = None
) -> AsyncIterator[tuple[_Bench, list[Candle], int]]:
    """The bench, the rows that it shall store, and the end of the last of their minutes.

    ``proxied`` is the way of the writer to the database, where it shall not be the direct one.
    """
    async with Venue.open(VenueOptions(history=_MINUTES + 1), folder) as venue:
        until_ms = floor_minute(venue.started_ms)
        first_ms = until_ms - (_MINUTES + 1) * MINUTE_MS
        rows = [
            _candle(venue, symbol, open_ms)
            for symbol in venue.symbols
            for open_ms in range(first_ms, until_ms, MINUTE_MS)
        ]
        yield _Bench(venue, database, proxied or database), rows, until_ms


async def test_b15_poison_rows(tmp_path: Path, database: str) -> None:
    """All other rows of the batch are committed, in as few transactions as halving takes."""
    async with a_bench(tmp_path, database) as (bench, rows, until_ms):
        last = [row for row in rows if row.open_ms == until_ms - MINUTE_MS]
        first = rows[0]
        _put(bench, [row for row in rows if row not in last])
        _put(bench, [replace(first, symbol=symbol) for symbol in _POISON])
        async with bench.writing():
            seen = await bench.until_empty()
            assert seen.total("rows_rejected_total") == len(_POISON), "the fault did not fire"
            assert seen.total("flush_total", result="bisected") == 1
            assert seen.total("rows_committed_total") == len(rows) - len(last)
            _put(bench, last)
            seen = await bench.until_empty()
        assert seen.total("rows_committed_total") == len(rows) > 1000
        verdict = await bench.oracle.compare(until_ms)
        assert verdict.good, str(verdict)


async def test_e24_flush_cancelled(tmp_path: Path, database: str) -> None:
    """The rows stay ours until the database has said yes: nothing is lost, nothing is stored twice or by a ghost."""
    async with a_bench(tmp_path, database) as (bench, rows, until_ms):
        rounds = 5
        for number in range(rounds):
            part = rows[number::rounds]
            before = len(await bench.oracle.stored())
            _put(bench, part)
            async with session(database) as stranger, stranger.transaction():
                await stranger.execute(f"LOCK TABLE {SCHEMA}.candles_1m IN ACCESS EXCLUSIVE MODE".encode())
                async with bench.writing() as task:
                    await eventually(lambda: writer_waits(database), timeout=30)
                    task.cancel()
                    await asyncio.wait({task}, timeout=5)
                    assert task.cancelled()
                assert len(bench.buffer) == len(part), "rows went with the cancelled flush"
            await eventually(lambda: _nobody_writes(database), timeout=30, message="the session is gone")
            assert len(await bench.oracle.stored()) == before, "a cancelled flush was stored"
            assert [task for task in asyncio.all_tasks() if task.get_name() == "database call"] == []
            async with bench.writing():
                seen = await bench.until_empty()
        assert seen.total("rows_committed_total", result="inserted") == len(rows) > 1000
        assert seen.total("rows_deduped_total") == 0
        verdict = await bench.oracle.compare(until_ms)
        assert verdict.good, str(verdict)


async def test_e24_cancelled_while_the_answer_to_commit_is_under_way(tmp_path: Path, database: str) -> None:
    """The rows are in and the writer does not know: they stay ours, are written again, and are there once."""
    async with ChaosProxy(server_address(database)) as proxy:
        proxied = through(database, proxy.port)
        async with a_bench(tmp_path, database, proxied=proxied) as (bench, rows, until_ms):
            _put(bench, rows)
            proxy.down.latency = 1.0

            async def committed() -> bool:
                return len(await bench.oracle.stored()) == len(rows)

            async with bench.writing() as task:
                await eventually(committed, timeout=30, message="the server has committed")
                task.cancel()
                await asyncio.wait({task}, timeout=5)
                assert task.cancelled()
            assert len(bench.buffer) == len(rows), "the answer came: the fault did not fire"
            proxy.heal()
            async with bench.writing():
                seen = await bench.until_empty()
            assert seen.total("rows_deduped_total", where="database") == len(rows) > 1000
            assert seen.total("rows_committed_total") == 0
            verdict = await bench.oracle.compare(until_ms)
            assert verdict.good, str(verdict)


def _candle(venue: Venue, symbol: str, open_ms: int) -> Candle:
    values: Any = venue.values(symbol, open_ms)
    return Candle(*(symbol, open_ms, *values, "binance_ws", Authority.STREAM))


def _put(bench: _Bench, rows: Sequence[Candle]) -> None:
    for row in rows:
        bench.buffer.put(row)


async def _nobody_writes(database: str) -> bool:
    return not await writers(database)
