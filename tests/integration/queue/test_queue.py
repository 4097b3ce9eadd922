"""Tasks from the asking to the end, on the real queue: nothing is lost, nothing is done twice at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from src.adapters.queue import JobQueue, QueueOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.pool import make_pool
from src.model import TaskState
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch, server_address, through
from tests.support.chaosproxy import ChaosProxy
from tests.support.eventually import eventually

from .world import World, stop, world


@pytest.fixture
async def here(database: str) -> AsyncIterator[World]:
    async with world(database) as found:
        yield found


async def test_a_task_says_how_far_it_is_and_what_came_of_it(here: World) -> None:
    queue = await here.queue()
    assert await here.ask(queue, "one", subject="币安")
    assert (await here.until("one", TaskState.PENDING)).attempts == 0
    await here.work(queue)
    task = await here.until("one", TaskState.SUCCESS)
    assert task.result == {
        "rows": 7,
        "said": "币安",
        "parameters": {"subject": "币安", "fails": 0, "spoilt": False, "waits": False, "hangs_in": ""},
        "version": "v1",
    }
    assert (task.attempts, task.failures, task.share, task.error) == (1, 0, 1.0, "")
    assert task.created_ms <= (task.started_ms or 0) <= (task.finished_ms or 0)
    lines = await here.store.lines("one")
    assert [line.line for line in lines] == ["attempt 1", "half"]
    assert [line.line for line in await here.store.lines("one", after=lines[0].number)] == ["half"]


async def test_the_same_task_is_asked_for_once(here: World) -> None:
    queue = await here.queue()
    asked = await asyncio.gather(*(here.ask(queue, "one") for _ in range(8)))
    assert sorted(asked) == [False] * 7 + [True]
    await here.work(queue)
    await here.until("one", TaskState.SUCCESS)
    assert not await here.ask(queue, "one")
    await here.ask(queue, "two")
    await here.until("two", TaskState.SUCCESS)
    assert here.desk.begun == ["one", "two"]


async def test_what_may_pass_is_tried_again_and_what_may_not_is_not(here: World) -> None:
    queue = await here.queue()
    await here.work(queue)
    for name, fails in (("passes", 2), ("does not", 3)):
        await here.ask(queue, name, fails=fails, subject=name)
    await here.ask(queue, "spoilt", spoilt=True, subject="spoilt")
    await here.ask(queue, "wrong", colour="red")
    task = await here.until("passes", TaskState.SUCCESS)
    assert (task.attempts, task.failures, task.error) == (3, 2, "")
    task = await here.until("does not", TaskState.FAILED)
    assert (task.failures, task.error) == (3, "the venue is away")
    task = await here.until("spoilt", TaskState.FAILED)
    assert (task.attempts, task.error) == (1, "row 7 is spoilt")
    task = await here.until("wrong", TaskState.FAILED)
    assert "colour" in task.error
    outcomes = {
        tuple(sample.labels.values()): sample.value
        for family in here.metrics.tasks.collect()
        for sample in family.samples
    }
    assert outcomes[("test", "again")] == 4
    assert outcomes[("test", "failed")] == 3


async def test_one_that_waits_is_cancelled_at_once(here: World) -> None:
    queue = await here.queue()
    await here.ask(queue, "one")
    assert await queue.cancel("one")
    assert not await queue.cancel("one")
    assert not await queue.cancel("nobody's")
    await here.until("one", TaskState.CANCELLED)
    await here.work(queue)
    await here.ask(queue, "two")
    await here.until("two", TaskState.SUCCESS)
    assert here.desk.begun == ["two"]


async def test_one_that_computes_is_cancelled_with_its_process(here: World, tmp_path: Path) -> None:
    queue = await here.queue()
    await here.work(queue)
    begun = tmp_path / "begun"
    await here.ask(queue, "one", hangs_in=str(begun))
    pid = int(await eventually(lambda: begun.exists() and begun.read_text(), timeout=60))
    assert await queue.cancel("one")
    await here.until("one", TaskState.CANCELLED)
    await eventually(lambda: not _lives(pid))
    await here.ask(queue, "two")
    await here.until("two", TaskState.SUCCESS)
    await eventually(lambda: _no_job_is_left(here))


async def test_what_an_ending_worker_leaves_is_done_by_another(here: World) -> None:
    queue = await here.queue()
    first = await here.work(queue)
    await here.ask(queue, "one", waits=True)
    await eventually(lambda: here.desk.begun)
    await stop(first)
    task = await here.until("one", TaskState.PENDING)
    assert (task.attempts, task.failures) == (1, 0)
    here.desk.go.set()
    await here.work(await here.queue())
    task = await here.until("one", TaskState.SUCCESS)
    assert (task.attempts, task.failures) == (2, 0)


async def test_what_a_silent_worker_has_is_taken_over(here: World) -> None:
    """Its heartbeat stops, as that of a killed process does, while what it does goes on: its end counts for nothing."""
    silent = await here.queue(heartbeat_s=1000.0)
    await here.work(silent)
    await here.ask(silent, "one", waits=True)
    await eventually(lambda: here.desk.begun)
    queue = await here.queue(stalled_s=1.0)
    assert await eventually(queue.take_over) == 1
    await here.work(queue)
    await eventually(lambda: len(here.desk.begun) == 2)
    here.desk.go.set()
    task = await here.until("one", TaskState.SUCCESS)
    assert (task.attempts, task.failures) == (2, 0)
    assert here.metrics.tasks_taken_over._value.get() == 1


@pytest.mark.parametrize(("status", "taken"), [("todo", 0), ("doing", 1)])
async def test_one_that_is_cancelled_after_its_worker_died_ends(here: World, status: str, taken: int) -> None:
    """Its job waits for another worker (todo), or nobody has noticed yet that the first one is gone (doing)."""
    queue = await here.queue()
    await here.ask(queue, "one")
    async with here.pool.connection() as connection:
        await connection.execute("UPDATE tasks SET state = 'RUNNING', attempts = 1, started_at = now()")
        await connection.execute(
            "UPDATE procrastinate_jobs SET status = %s::procrastinate_job_status", [status]
        )
    assert await queue.cancel("one")
    await here.until("one", TaskState.RUNNING)
    assert await queue.take_over() == taken
    assert (await here.until("one", TaskState.CANCELLED)).finished_ms is not None
    assert await _no_job_is_left(here)


async def test_one_that_is_cancelled_as_its_attempt_fails_ends(here: World) -> None:
    """The worker asks for another attempt before it hears of the cancellation, and the queue gives none."""
    queue = await here.queue()
    await here.ask(queue, "one")
    async with here.pool.connection() as connection:
        await connection.execute("UPDATE tasks SET state = 'RUNNING', attempts = 1, started_at = now()")
        await connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    assert await queue.cancel("one")
    async with here.pool.connection() as connection:
        await connection.execute("UPDATE tasks SET state = 'PENDING', failures = 1")
        job = await (await connection.execute("SELECT job_id FROM tasks")).fetchone()
        await connection.execute("SELECT procrastinate_retry_job_v2(%s, now(), NULL, NULL, NULL)", job)
    assert await queue.take_over() == 0
    await here.until("one", TaskState.CANCELLED)
    assert await _no_job_is_left(here)


async def test_no_two_tasks_of_a_subject_at_once(here: World) -> None:
    queue = await here.queue(concurrency=4)
    await here.work(queue)
    for number in range(12):
        await here.ask(queue, f"{number}", subject=f"{number % 2}")
    for number in range(12):
        await here.until(f"{number}", TaskState.SUCCESS)
    assert here.desk.most == 1
    assert len(here.desk.begun) == 12


async def test_tasks_that_are_long_over_are_forgotten(here: World) -> None:
    queue = await here.queue()
    await here.work(queue)
    for name in ("old", "new"):
        await here.ask(queue, name)
        await here.until(name, TaskState.SUCCESS)
    await here.ask(queue, "waits", waits=True)
    async with await psycopg.AsyncConnection.connect(here.database, autocommit=True) as connection:
        await connection.execute(
            "UPDATE market_data.tasks SET created_at = created_at - interval '15 days',"
            " finished_at = CASE task_id WHEN 'old' THEN finished_at - interval '15 days' ELSE finished_at END"
        )
    await here.store.prune(14)
    assert {task.task_id for task in await here.store.newest()} == {"new", "waits"}
    assert await here.store.lines("old") == []


async def test_new_jobs_are_heard_of_again_after_the_database_was_away(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ChaosProxy(server_address(database)) as proxy:
        pool = make_pool(DatabaseOptions(through(database, proxy.port)), purpose="jobs", size=4)
        # Only who listens uses the line when it is lost; a worker in the middle of a question would end.
        queue = JobQueue(pool, Metrics(), QueueOptions(poll_s=1000.0, heartbeat_s=1000.0))
        await pool.open()
        await queue.open()
        working = asyncio.create_task(queue.work(_do_nothing), name="work")
        try:
            await eventually(lambda: _listens(database))
            await proxy.refuse()
            assert proxy.reset_all() >= 1
            await eventually(lambda: "queue_unheard" in caplog.text)
            await eventually(lambda: _nobody_listens(database), message="the server saw the line end")
            await proxy.listen()
            await eventually(lambda: _listens(database), timeout=120)
            assert not working.done(), "another worker listens"
        finally:
            await stop(working)
            await pool.close()


async def _do_nothing(task_id: str, *, is_wanted: Callable[[], bool]) -> None:
    """For a queue without tasks."""


async def _listens(database: str) -> bool:
    return bool(
        await fetch(
            database,
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE %s",
            ['%LISTEN "procrastinate%'],
        )
    )


async def _nobody_listens(database: str) -> bool:
    return not await _listens(database)


async def _no_job_is_left(here: World) -> bool:
    async with await psycopg.AsyncConnection.connect(here.database) as connection:
        found = await connection.execute("SELECT id FROM market_data.procrastinate_jobs")
        return not await found.fetchall()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
