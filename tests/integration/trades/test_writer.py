"""The buffer and its writer on a real database: what goes in comes out, or is a gap, or is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.trades.store import TradeStore
from src.clock import VenueClock
from src.collectors.live.buffer import CandleBuffer
from src.collectors.running.daemon import Closer, Daemon, Part
from src.collectors.running.turn import Turn
from src.collectors.trades.live import TradeBuffer, TradeStoring, TradeWriter
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import connect, fetch
from tests.support.cluster import Cluster
from tests.support.eventually import eventually
from tests.support.trade_files import sample


def count(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0


async def ids(url: str) -> list[int]:
    return [row[0] for row in await fetch(url, "SELECT trade_id FROM agg_trades ORDER BY trade_id")]


@asynccontextmanager
async def writing(url: str, buffer: TradeBuffer, metrics: Metrics) -> AsyncIterator[TradeStore]:
    session = SharedSession(DatabaseOptions(url, deadline_s=60.0), purpose="trades")
    store = TradeStore(session)
    writer = TradeWriter(buffer, TradeStoring(store, metrics, "stream"), window_s=0.05)
    running = asyncio.create_task(writer.run(), name="writer")
    try:
        yield store
    finally:
        running.cancel()
        await asyncio.wait({running})
        await session.close()


async def test_what_is_put_is_stored_and_counted(database: str) -> None:
    metrics = Metrics()
    buffer = TradeBuffer(metrics)
    async with writing(database, buffer, metrics):
        for number in (*range(5), *range(3, 10)):
            buffer.put(sample(number))
        await eventually(lambda: count(metrics, "trades_stored_total", source="stream") == 10, timeout=60)
    assert await ids(database) == list(range(5000, 5010))
    assert count(metrics, "trades_repeated_total", source="stream") == 2
    assert count(metrics, "trades_waiting") == 0


async def test_the_oldest_of_a_full_buffer_go_and_their_ids_are_a_gap(database: str) -> None:
    metrics = Metrics()
    buffer = TradeBuffer(metrics, capacity=10)
    buffer.put(sample(0))
    async with writing(database, buffer, metrics) as store:
        await eventually(lambda: count(metrics, "trades_stored_total", source="stream") == 1, timeout=60)
        for number in range(1, 31):  # at once: the writer has no turn in between
            buffer.put(sample(number))
        await eventually(lambda: count(metrics, "trades_stored_total", source="stream") == 11, timeout=60)
        assert count(metrics, "trades_dropped_total", reason="buffer") == 20
        assert count(metrics, "trade_gap_ids_total") == 20
        (gap,) = await store.open_gaps(["BTCUSDT"], sample(31).ts_ms, 10)
    assert (gap.first_id, gap.last_id) == (5001, 5020)


async def test_one_trade_that_cannot_be_stored_costs_itself_alone(database: str) -> None:
    metrics = Metrics()
    buffer = TradeBuffer(metrics)
    for number in range(20):
        good = sample(number)
        buffer.put(replace(good, price=float("nan")) if number == 13 else good)
    async with writing(database, buffer, metrics):
        await eventually(lambda: count(metrics, "trades_stored_total", source="stream") == 19, timeout=60)
    assert await ids(database) == [number for number in range(5000, 5020) if number != 5013]
    rejected = [
        sample_.value
        for family in metrics.trades_rejected.collect()
        for sample_ in family.samples
        if sample_.name.endswith("_total")
    ]
    assert sum(rejected) == 1


async def test_a_database_that_is_away_is_waited_for(cluster: Cluster) -> None:
    metrics = Metrics()
    buffer = TradeBuffer(metrics)
    url = await asyncio.to_thread(lambda: cluster.url)
    async with writing(url, buffer, metrics):
        buffer.put(sample(0))
        await eventually(lambda: count(metrics, "trades_stored_total", source="stream") == 1, timeout=60)
        await asyncio.to_thread(cluster.stop)
        for number in range(1, 50):
            buffer.put(sample(number))
        await eventually(lambda: len(buffer) == 49, timeout=60, message="what could not be stored is back")
        await asyncio.to_thread(cluster.start)
        await eventually(lambda: count(metrics, "trades_stored_total", source="stream") == 50, timeout=60)
    assert await ids(url) == list(range(5000, 5050))


async def test_what_is_in_memory_at_a_stop_is_stored(database: str) -> None:
    """As the daemon stops: the collectors are cancelled, then what they left is drained."""
    metrics, stop = Metrics(), asyncio.Event()
    buffer = TradeBuffer(metrics)
    session = SharedSession(DatabaseOptions(database), purpose="trades")
    writer = TradeWriter(buffer, TradeStoring(TradeStore(session), metrics, "stream"), window_s=3600.0)
    keeper = Draining(writer)

    async def stream() -> None:
        for number in range(50_000):
            buffer.put(sample(number))
        stop.set()
        await asyncio.Event().wait()

    daemon = Daemon(
        CandleBuffer(VenueClock(), metrics),
        keeper,
        Health(),
        collectors=[Part("trades", stream), Part("trades_writer", writer.run)],
        closers=[Closer("session", session.close)],
    )
    await daemon.run(stop)
    assert len(buffer) == 0
    assert await fetch(database, "SELECT count(*)::int, min(trade_id), max(trade_id) FROM agg_trades") == [
        (50_000, 5000, 54_999)
    ]


async def test_a_write_that_is_cut_off_is_not_forgotten(database: str) -> None:
    """Cancelled while its statement waits for the lock of the symbol."""
    metrics = Metrics()
    buffer = TradeBuffer(metrics)
    session = SharedSession(DatabaseOptions(database), purpose="trades")
    writer = TradeWriter(buffer, TradeStoring(TradeStore(session), metrics, "stream"), window_s=0.0)
    buffer.put(sample(0))
    assert await writer.drain(60.0) == 0
    async with await connect(database) as other, other.transaction():
        await other.execute("SELECT FROM trade_reach FOR UPDATE")
        buffer.put(sample(1))
        running = asyncio.create_task(writer.run(), name="writer")
        await eventually(lambda: len(buffer) == 0, timeout=60, message="it is being written")
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled()
        assert len(buffer) == 1
    assert await writer.drain(60.0) == 0
    await session.close()
    assert await ids(database) == [5000, 5001]


async def test_a_drain_ends_whatever_the_database_does(cluster: Cluster) -> None:
    metrics = Metrics()
    buffer = TradeBuffer(metrics)
    url = await asyncio.to_thread(lambda: cluster.url)
    session = SharedSession(DatabaseOptions(url), purpose="trades")
    writer = TradeWriter(buffer, TradeStoring(TradeStore(session), metrics, "stream"))
    buffer.put(sample(0))
    async with await connect(url) as other:
        await other.execute("BEGIN")
        await other.execute("LOCK TABLE trade_reach")
        assert await writer.drain(0.2) == 1, "the time is over"
    await asyncio.to_thread(cluster.stop)
    assert await writer.drain(3600.0) == 1, "two tries"
    assert len(buffer) == 1
    await session.close()


class Draining:
    """A keeper whose drain is a writer's."""

    def __init__(self, writer: TradeWriter) -> None:
        self.settled = Turn()
        self.settled.set()
        self._writer, self._ended = writer, asyncio.Event()

    async def run(self) -> None:
        await self._ended.wait()

    async def drain(self, seconds: float) -> int:
        self._ended.set()
        return await self._writer.drain(seconds)
