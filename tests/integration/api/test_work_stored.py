"""The desk, analyses and batches over a real database: what is asked is written once, what is stored is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest
from psycopg_pool import AsyncConnectionPool

from src.adapters.queue import JobQueue, QueueOptions
from src.adapters.timescale.batch_store import BatchStore
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.adapters.timescale.sessions.reader import ReadPool
from src.adapters.timescale.task_store import TaskStore
from src.analysis.schedules import Schedule
from src.api.routes.batches import stretch_ms, widths
from src.errors import BadFields, QueueFull
from src.model import Task, TaskState
from src.telemetry.metrics import Metrics
from src.wiring.desk import WorkDesk
from tests.faults.database import ask
from tests.support.api import Api, served
from tests.support.desk import PAINT

EXCHANGE = "binance_futures_um"
HOUR_MS = 3_600_000
SINCE_MS = 1_793_491_200_000
"""2026-11-01T00:00:00Z"""


@asynccontextmanager
async def desk_on(database: str) -> AsyncIterator[tuple[WorkDesk, AsyncConnectionPool]]:
    """A desk on a pool of its own, as each process has one."""
    pool = make_pool(DatabaseOptions(database, exchange=EXCHANGE), purpose="jobs", size=4)
    await pool.open()
    try:
        queue = JobQueue(pool, Metrics(), QueueOptions())
        await queue.open()
        yield WorkDesk({"Paint": PAINT}, queue, TaskStore(pool), most_waiting=5), pool
    finally:
        await pool.close()


@pytest.fixture
async def api(database: str) -> AsyncIterator[Api]:
    reader = ReadPool(DatabaseOptions(database, exchange=EXCHANGE), Metrics())
    await reader.open()
    try:
        async with (
            desk_on(database) as (desk, pool),
            served(reader=reader, desk=desk, batches=BatchStore(pool)) as api,
        ):
            yield api
    finally:
        await reader.close()


async def test_the_desk_writes_a_task_once_and_bounds_what_waits(api: Api, database: str) -> None:
    desk = api.parts.desk
    found = await asyncio.gather(*(desk.ask("Paint", {"wall": "a"}, task_id="mine") for _ in range(8)))
    assert sorted(is_new for _, is_new in found) == [False] * 7 + [True]
    assert {task.task_id for task, _ in found} == {"mine"}
    assert all(task.created_ms for task, _ in found)
    others = await asyncio.gather(
        *(desk.ask("Paint", {"wall": str(number)}) for number in range(20)), return_exceptions=True
    )
    assert sum(isinstance(one, QueueFull) for one in others) == 16
    assert await desk.waiting() == 5
    assert await ask(database, "SELECT count(*) FROM market_data.procrastinate_jobs") == [(5,)]
    assert (await desk.ask("Paint", {"wall": "a"}, task_id="mine"))[1] is False
    assert await desk.cancel("mine")
    assert not await desk.cancel("mine")
    assert await desk.waiting() == 4
    with pytest.raises(BadFields):
        await desk.ask("Paint", {})


async def test_jobs_are_shown_with_when_they_are_next_and_how_the_last_one_ended(
    api: Api, database: str
) -> None:
    north = Schedule("Paint", "0 * * * *", {"wall": "north"})
    south = Schedule("Paint", "30 6 * * *", {"wall": "south"})
    async with desk_on(database) as (desk, _):
        for period_ms in (SINCE_MS, SINCE_MS + 2 * HOUR_MS, SINCE_MS + HOUR_MS):
            task = north.task(period_ms)
            assert await desk._queue.ask(task, subject="Paint/north")
            await ask(
                database,
                "UPDATE market_data.tasks SET state = 'FAILED', attempts = 1, finished_at = now(), error = %s"
                " WHERE task_id = %s RETURNING 1",
                f"no paint at {period_ms}",
                task.task_id,
            )
        await desk.ask("Paint", {"wall": "north"})
        await desk.ask("Paint", {"wall": "south"})
    served_desk = api.parts.desk
    assert isinstance(served_desk, WorkDesk)
    served_desk.change([north, south])
    now_ms = api.parts.clock.now_ms()
    async with aiohttp.ClientSession(api.url) as session, session.get("/api/v1/jobs") as answer:
        assert answer.status == 200
        first, second = await answer.json()
    assert (first["name"], first["kind"], first["cron"]) == (north.name, "Paint", "0 * * * *")
    assert first["next_ms"] == now_ms - now_ms % HOUR_MS + HOUR_MS
    last = first["last"]
    assert (last["scheduled_ms"], last["state"]) == (SINCE_MS + 2 * HOUR_MS, "FAILED")
    assert last["error"] == f"no paint at {SINCE_MS + 2 * HOUR_MS}"
    assert (second["parameters"], second["last"]) == ({"wall": "south"}, None)


async def test_two_processes_start_one_task(database: str) -> None:
    async with desk_on(database) as (first, _), desk_on(database) as (second, _):
        for number in range(4):
            asked = [desk.ask("Paint", {"wall": "a"}, task_id=f"t{number}") for desk in (first, second) * 3]
            found = await asyncio.gather(*asked)
            assert sum(is_new for _, is_new in found) == 1
    assert await ask(database, "SELECT count(*) FROM market_data.tasks") == [(4,)]
    assert await ask(database, "SELECT count(*) FROM market_data.procrastinate_jobs") == [(4,)]


async def test_all_processes_together_have_no_more_than_may_wait(database: str) -> None:
    # H11: nobody's count is older than what the others have written.
    async with AsyncExitStack() as stack:
        desks = [(await stack.enter_async_context(desk_on(database)))[0] for _ in range(4)]
        found = await asyncio.gather(
            *(desk.ask("Paint", {"wall": str(number)}) for number in range(15) for desk in desks),
            return_exceptions=True,
        )
        assert sum(isinstance(one, QueueFull) for one in found) == 55
        assert [await desk.waiting() for desk in desks] == [5] * 4
        there = next(task for task, _ in (one for one in found if not isinstance(one, BaseException)))
        queue = desks[0]._queue
        assert not await queue.ask(there, subject="Paint/0", most_waiting=5), "what is there is not refused"
        assert await queue.ask(Task("timed", "Paint", {}), subject="Paint/1"), "a schedule finds room"
        with pytest.raises(QueueFull, match="6 tasks wait already, 6 are the most") as raised:
            await queue.ask(Task("one more", "Paint", {}), subject="Paint/1", most_waiting=6)
        assert raised.value.retry_after >= 1
        await ask(
            database, "UPDATE market_data.tasks SET state = 'RUNNING' WHERE task_id = 'timed' RETURNING 1"
        )
        assert await queue.ask(Task("one more", "Paint", {}), subject="Paint/1", most_waiting=6)
    assert await ask(database, "SELECT count(*) FROM market_data.procrastinate_jobs") == [(7,)]


async def test_only_the_attempt_that_runs_may_speak(database: str) -> None:
    async with desk_on(database) as (desk, pool):
        store = TaskStore(pool)
        await desk.ask("Paint", {"wall": "a"}, task_id="t")
        first, second = await store.begin("t"), await store.begin("t")
        assert first is not None and second is not None
        assert (first.attempts, second.attempts) == (1, 2)
        await store.tell(first, "of one that was taken for dead", share=0.9)
        await store.tell(second, "half", share=0.5)
        assert [line.line for line in await store.lines("t")] == ["half"]
        assert not await store.end(first, TaskState.FAILED, error="of one that was taken for dead")
        assert await store.end(second, TaskState.SUCCESS, result={})
        task = await store.show("t")
        assert task is not None
        assert (task.state, task.failures, task.error) == (TaskState.SUCCESS, 0, "")


async def test_a_schedule_waits_for_its_first_attempt_alone(database: str) -> None:
    async with desk_on(database) as (desk, _):

        async def made(number: int) -> bool:
            task = Task(f"Paint@{number}", "Paint", {"wall": "a"}, scheduled_ms=SINCE_MS + number * HOUR_MS)
            return await desk._queue.ask(task, subject="Paint/a")

        assert [await made(number) for number in range(3)] == [True, False, False]
        await ask(database, "UPDATE market_data.tasks SET attempts = 1 RETURNING 1")
        assert await made(3), "the one before has failed, and is tried again beside it"


async def test_tasks_made_in_one_moment_are_each_shown_once(api: Api, database: str) -> None:
    names = [f"t{number}" for number in range(7)]
    values = ", ".join(f"('{name}', 'Paint', '2026-11-01T00:00:0{int(name[1]) // 3}Z')" for name in names)
    await ask(
        database, f"INSERT INTO market_data.tasks (task_id, kind, created_at) VALUES {values} RETURNING 1"
    )
    seen: list[str] = []
    before = None
    while piece := await api.parts.desk.newest(limit=2, before=before):
        seen += [task.task_id for task in piece]
        before = seen[-1]
    assert seen == ["t6", "t3", "t4", "t5", "t0", "t1", "t2"]
    assert await api.parts.desk.newest(before="none") == []


async def test_results_are_searched_and_paged(api: Api, database: str) -> None:
    for symbol in ("1000BTCUSDT", "BTCUSDT", "ETHUSDT", "100%_USDT"):
        await ask(
            database,
            "INSERT INTO market_data.analysis_results (exchange, symbol, market_type, timeframe, input_limit,"
            " last_price, support_levels, resistance_levels, details, known_from, known_to)"
            " VALUES ('binance', %s, 'future', '1h', 2000, 1.5, '[{\"price\": 1.4}]', '[]', '{}', now(), now())"
            " RETURNING 1",
            symbol,
        )
    async with aiohttp.ClientSession(api.url) as session:
        async with session.get("/api/v1/analysis/results?symbol=btcusdt&pageSize=1") as answer:
            found = await answer.json()
        assert {name: found[name] for name in ("total", "page", "pageSize", "totalPages")} == {
            "total": 2,
            "page": 1,
            "pageSize": 1,
            "totalPages": 2,
        }
        [first] = found["data"]
        assert (first["symbol"], first["support_levels"]) == ("BTCUSDT", [{"price": 1.4}])
        async with session.get(f"/api/v1/analysis/{first['id']}") as answer:
            assert await answer.json() == first
        for query, symbols in (
            ("symbol=%25_", {"100%_USDT"}),
            ("timeframe=4h", set()),
            ("page=9", set()),
            ("symbol=' OR 1=1 --", set()),
        ):
            async with session.get(f"/api/v1/analysis/results?{query}") as answer:
                assert {row["symbol"] for row in (await answer.json())["data"]} == symbols, query
        async with session.get("/results?symbol=ETHUSDT&limit=10") as answer:
            assert [row["symbol"] for row in await answer.json()] == ["ETHUSDT"]
        async with session.get("/api/v1/analysis/99999") as answer:
            assert answer.status == 404


async def opportunity(database: str, batch_id: int, hour: int, profit: float | None) -> None:
    await ask(
        database,
        "INSERT INTO market_data.arbitrage_opportunities (batch_id, block_time, block_number, log_index, profit_usdt,"
        " buy_price, sell_price, buy_platform, sell_platform, chain, pool, exchange, symbol, mode, status, block_hash,"
        " transaction_hash, details_json, risk_metrics_json) VALUES (%s, to_timestamp(%s), %s, 0, %s, 1, 2,"
        " 'binance_spot', 'ethereum', 'ethereum', '0xpool', 'binance_spot', 'ETHUSDT', 'execution', %s, 'h', 't',"
        " '{\"base_amount\": 2.5}', '{}') RETURNING 1",
        batch_id,
        SINCE_MS / 1000 + hour * 3600,
        hour,
        profit,
        "no_block" if profit is None else "filled",
    )


async def test_a_batch_is_made_and_shown_with_what_is_in_it(api: Api, database: str) -> None:
    async with aiohttp.ClientSession(api.url) as session:
        async with session.post("/api/v1/batches", json={"name": "November"}) as answer:
            batch = await answer.json()
            assert (answer.status, batch["opportunities"], batch["profit_usdt"]) == (201, 0, None)
        url = f"/api/v1/batches/{batch['batch_id']}"
        async with session.post("/api/v1/batches", json={"name": "November"}) as answer:
            assert answer.status == 409
        for path in ("prices", "profit", "opportunities"):
            async with session.get(f"{url}/{path}") as answer:
                assert answer.status == 200, path
            async with session.get(f"/api/v1/batches/99/{path}") as answer:
                assert answer.status == 404, path
        for hour, profit in enumerate((5.0, -2.0, None, 7.5)):
            await opportunity(database, batch["batch_id"], hour, profit)
        for venue, market in (("binance_spot", "ETHUSDT"), ("ethereum", "0xpool")):
            await ask(
                database,
                "INSERT INTO market_data.price_series (venue, market, interval_seconds, bucket_ts, open, high, low,"
                " close, vwap, volume, quote_volume, trade_count)"
                " SELECT %s, %s, 3600, to_timestamp(%s) + n * interval '1 hour', 1, 1, 1, 1, 1, 1, 1, 1"
                " FROM generate_series(-3, 9) AS n RETURNING 1",
                venue,
                market,
                SINCE_MS / 1000,
            )
        async with session.get(url) as answer:
            found = await answer.json()
        assert (found["opportunities"], found["profit_usdt"]) == (4, 10.5)
        assert (found["first_ms"], found["last_ms"]) == (SINCE_MS, SINCE_MS + 3 * HOUR_MS)
        async with session.get(f"{url}/opportunities?min_profit=0&pageSize=1&page=2") as answer:
            page = await answer.json()
        assert (page["total"], page["totalPages"], page["data"][0]["profit_usdt"]) == (2, 2, 7.5)
        assert page["data"][0]["details"] == {"base_amount": 2.5}
        async with session.get(f"{url}/prices") as answer:
            prices = await answer.json()
        assert prices["interval_s"] == 3600
        assert len(prices["exchange"]) == len(prices["pool"]) == 5
        assert prices["pool"][0] == {"time_ms": SINCE_MS - HOUR_MS, "price": 1.0}
        async with session.get(f"{url}/profit") as answer:
            profit_of = await answer.json()
        assert [point["profit_usdt"] for point in profit_of["data"]] == [5.0, -2.0, 7.5]


def test_a_picture_has_room_for_all_of_a_batch() -> None:
    for span_ms in (0, 1, 1000, 86_400_000, 400 * 86_400_000):
        width = stretch_ms(SINCE_MS, SINCE_MS + span_ms)
        assert width % 1000 == 0
        assert span_ms / width <= 2_000
        for seconds, step in widths(SINCE_MS, SINCE_MS + span_ms):
            assert step % seconds == 0
            assert span_ms / 1000 / step <= 1_997
    assert widths(SINCE_MS, SINCE_MS + 1997 * HOUR_MS) == [(3600, 3600)]
    assert widths(SINCE_MS, SINCE_MS + 1998 * HOUR_MS) == [(3600, 7200)]
