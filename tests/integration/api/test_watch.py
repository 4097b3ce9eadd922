"""The feed without a writer beside it: what another process commits is asked for, over a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from src.adapters.timescale.candles.store import CandleStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.reader import ReadPool
from src.api.feed.frames import Subscription
from src.api.feed.hub import Hub
from src.api.feed.watch import CandleWatch, TaskWatch
from src.clock import VenueClock
from src.errors import BadData, Unavailable
from src.model import MINUTE_MS, Candle
from src.telemetry.metrics import Metrics
from tests.faults.database import ask
from tests.support.eventually import eventually
from tests.support.fakes import make_candle

SOON_S = 60.0
EXCHANGE = "binance_futures_um"


class Ear:
    """A listener that remembers the text of every frame."""

    def __init__(self) -> None:
        self.heard = b""

    def push(self, frame: bytes) -> bool:
        self.heard += frame
        return True


@pytest.fixture
async def reader(database: str) -> AsyncIterator[ReadPool]:
    pool = ReadPool(DatabaseOptions(database, exchange=EXCHANGE), Metrics())
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub(VenueClock(), Metrics())
    task = asyncio.create_task(hub.run(), name="feed")
    yield hub
    task.cancel()


def candles(clock: VenueClock, *symbols: str, back: int = 1) -> list[Candle]:
    open_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS - back * MINUTE_MS
    return [make_candle(symbol, open_ms) for symbol in symbols]


async def test_candles_of_another_process_are_told_once(database: str, reader: ReadPool, hub: Hub) -> None:
    clock = VenueClock()
    store = CandleStore(DatabaseOptions(database, exchange=EXCHANGE), Metrics())
    await store.open()
    watch = CandleWatch(hub, reader, clock, exchange=EXCHANGE)
    running = asyncio.create_task(watch.run(), name="candle_watch")
    everything, one = Ear(), Ear()
    try:
        hub.hear(everything, Subscription(None))
        hub.hear(one, Subscription(frozenset({"ETHUSDT"})))
        await store.write(candles(clock, "BTCUSDT", "ETHUSDT", back=3), [])
        await eventually(lambda: everything.heard.count(b'"BTCUSDT"') == 1, timeout=SOON_S)
        await eventually(lambda: one.heard.count(b'"ETHUSDT"') == 1, timeout=SOON_S)
        await store.write(candles(clock, "BTCUSDT", back=2), [])
        await eventually(lambda: everything.heard.count(b'"BTCUSDT"') == 2, timeout=SOON_S)
        assert everything.heard.count(b'"ETHUSDT"') == 1
        assert b"BTCUSDT" not in one.heard
    finally:
        running.cancel()
        await store.close()


async def test_the_news_of_tasks_are_told_from_where_one_began_to_follow(
    database: str, reader: ReadPool, hub: Hub
) -> None:
    await ask(database, "INSERT INTO market_data.tasks (task_id, kind) VALUES ('a', 'Bars') RETURNING 1")
    add = "INSERT INTO market_data.task_logs (task_id, line) VALUES ('a', '{}') RETURNING 1"
    await ask(database, add.format("before"))
    watch, ear = TaskWatch(hub, reader), Ear()
    running = asyncio.create_task(watch.run(), name="task_watch")
    try:
        await watch.follow(["a", "none"])
        hub.hear(ear, Subscription(tasks=frozenset({"a", "none"})))
        await ask(database, add.format("first"))
        await eventually(lambda: b"first" in ear.heard, timeout=SOON_S)
        await ask(database, "UPDATE market_data.tasks SET state = 'RUNNING', share = 0.5 RETURNING 1")
        await eventually(lambda: b'"state":"RUNNING","share":0.5,"lines":[]' in ear.heard, timeout=SOON_S)
        await ask(database, add.format("second"))
        await eventually(lambda: b"second" in ear.heard, timeout=SOON_S)
        assert ear.heard.count(b"first") == 1
        assert b"before" not in ear.heard
    finally:
        running.cancel()


async def test_a_task_that_is_asked_for_later_is_told_from_its_first_line(
    database: str, reader: ReadPool, hub: Hub
) -> None:
    """Whoever makes the id up may listen before they ask, so that nothing is missed."""
    watch, ear = TaskWatch(hub, reader), Ear()
    await watch.follow(["mine"])
    hub.hear(ear, Subscription(tasks=frozenset({"mine"})))
    running = asyncio.create_task(watch.run(), name="task_watch")
    try:
        await ask(
            database, "INSERT INTO market_data.tasks (task_id, kind) VALUES ('mine', 'Bars') RETURNING 1"
        )
        await ask(
            database, "INSERT INTO market_data.task_logs (task_id, line) VALUES ('mine', 'first') RETURNING 1"
        )
        await eventually(lambda: b"first" in ear.heard, timeout=SOON_S)
        assert b'"state":"PENDING"' in ear.heard
    finally:
        running.cancel()


async def test_the_reader_only_reads(database: str, reader: ReadPool) -> None:
    assert await reader.rows("session.alive") == [(1,)]
    [record] = await reader.records("tasks.workers")
    assert record == {"count": 0}
    with pytest.raises(Unavailable, match="read-only"):
        await reader.rows("tasks.prune", days=1)
    with pytest.raises(BadData):
        await reader.rows("tasks.show", task_id="\0")
    # All four sessions are still good, and so are more calls than there are sessions.
    found = await asyncio.gather(*(reader.rows("session.alive") for _ in range(12)))
    assert found == [[(1,)]] * 12


async def test_lost_sessions_are_not_noticed(database: str, reader: ReadPool) -> None:
    """The server was restarted, or a firewall forgot who was idle: whoever asks next gets an answer all the same."""
    name = "marketd/read/%"
    await asyncio.gather(*(reader.rows("tasks.workers") for _ in range(12)))
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
        ended = await other.execute(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
            " WHERE application_name LIKE %s AND datname = current_database()",
            [name],
        )
        sessions = await ended.fetchall()
    assert sessions
    assert set(sessions) == {(True,)}
    found = await asyncio.gather(*(reader.rows("session.alive") for _ in range(12)))
    assert found == [[(1,)]] * 12
