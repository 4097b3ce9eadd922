"""One task a period, however many daemons there are, and none piles up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from src.analysis.schedules import Schedule, Scheduler, checked
from src.clock import VenueClock
from src.errors import ConfigError
from tests.support.eventually import eventually

from .world import World, stop, world

_MIDNIGHT_MS = 1_764_115_200_000
_DAY_MS = 86_400_000


@pytest.fixture
async def here(database: str) -> AsyncIterator[World]:
    async with world(database) as found:
        yield found


def _scheduler(here: World, queue: object, cron: str, clock: VenueClock, *more: Schedule) -> Scheduler:
    schedules = [Schedule("test", cron), *more]
    ready = asyncio.Event()
    ready.set()
    return Scheduler(schedules, {"test": here.desk.kind}, queue, clock, here.metrics, after=ready)  # type: ignore[arg-type]


async def test_two_daemons_ask_once_a_period(here: World) -> None:
    clocks = [VenueClock(speed=300.0, start=_MIDNIGHT_MS / 1000) for _ in range(2)]
    await here.work(await here.queue())
    tasks = [
        asyncio.create_task(_scheduler(here, await here.queue(), "*/5 * * * * 20", clock).run())
        for clock in clocks
    ]
    for task in tasks:
        here.stack.push_async_callback(stop, task)
    await eventually(lambda: len(here.desk.begun) >= 5, timeout=60)
    found = await here.store.newest()
    periods = sorted(task.scheduled_ms or 0 for task in found)
    assert {period % 300_000 for period in periods} == {20_000}
    assert len(set(periods)) == len(periods)
    assert {task.requested_by for task in found} == {"schedule"}
    ids = {Schedule("test", "").task(period).task_id for period in periods}
    assert {task.task_id for task in found} == ids
    assert all(name.startswith("test@2025-11-") and name.endswith("20Z") for name in ids)


async def test_while_one_waits_no_other_is_added(here: World) -> None:
    queue = await here.queue()
    clock = VenueClock(speed=600.0, start=_MIDNIGHT_MS / 1000)
    task = asyncio.create_task(_scheduler(here, queue, "* * * * *", clock).run())
    here.stack.push_async_callback(stop, task)
    there = here.metrics.tasks_asked.labels(result="there")
    await eventually(lambda: there._value.get() >= 5, timeout=60)
    assert len(await here.store.newest()) == 1
    await here.work(queue)
    await eventually(lambda: len(here.desk.begun) >= 3, timeout=60)


async def test_schedules_of_one_kind_do_not_stand_in_each_other_s_way(here: World) -> None:
    queue = await here.queue()
    clock = VenueClock(speed=600.0, start=_MIDNIGHT_MS / 1000)
    other = Schedule("test", "* * * * *", {"subject": "two"})
    task = asyncio.create_task(_scheduler(here, queue, "* * * * *", clock, other).run())
    here.stack.push_async_callback(stop, task)
    there = here.metrics.tasks_asked.labels(result="there")
    await eventually(lambda: there._value.get() >= 10, timeout=60)
    waiting = await here.store.newest()
    assert sorted(task.parameters.get("subject", "") for task in waiting) == ["", "two"]
    await here.work(queue)
    await eventually(lambda: min(_begun(here, "test@"), _begun(here, "test,subject=two@")) >= 2, timeout=60)


def _begun(here: World, prefix: str) -> int:
    return sum(name.startswith(prefix) for name in here.desk.begun)


@example(1_766_949_919_001)
@example(1_766_949_919_999)
@example(1_766_949_920_000)
@given(st.integers(_MIDNIGHT_MS, _MIDNIGHT_MS + 400 * _DAY_MS))
def test_a_period_lasts_until_the_next(now_ms: int) -> None:
    for cron in ("*/5 * * * * 20", "7 * * * *", "0 3 * * 1", "0 0 1 * *"):
        schedule = Schedule("test", cron)
        last, following = schedule.last_ms(now_ms), schedule.next_ms(now_ms)
        assert last <= now_ms < following
        assert schedule.next_ms(last) == following
        assert schedule.last_ms(following) == following


def test_what_cannot_be_is_told_at_the_start(here: World) -> None:
    kinds = {"test": here.desk.kind}
    assert checked({"test": "7 * * * *"}, kinds) == [Schedule("test", "7 * * * *")]
    with pytest.raises(ConfigError) as caught:
        checked({"test": "every day", "other": "7 * * * *"}, kinds)
    every_day, other = caught.value.problems
    assert "'every day'" in every_day
    assert "no task called other" in other


async def test_other_schedules_are_kept_to_at_once(here: World) -> None:
    """Nothing is due for years; what is new is asked for now, and what was taken away no more."""
    queue = await here.queue()
    clock = VenueClock(start=_MIDNIGHT_MS / 1000)
    scheduler = _scheduler(here, queue, "0 0 1 1 *", clock)
    task = asyncio.create_task(scheduler.run())
    here.stack.push_async_callback(stop, task)

    async def asked() -> set[str]:
        return {task.task_id.partition("@")[2] for task in await here.store.newest()}

    await eventually(asked, timeout=60)
    assert await asked() == {"2025-01-01T00:00:00Z"}
    await here.work(queue)
    await eventually(lambda: here.desk.begun, timeout=60)  # while it waits no other is added
    scheduler.change([Schedule("test", "0 * * * *")])

    async def is_hourly() -> bool:
        return "2025-11-26T00:00:00Z" in await asked()

    await eventually(is_hourly, timeout=60)
    await eventually(lambda: len(here.desk.begun) == 2, timeout=60)
    scheduler.change([])
    scheduler.change([Schedule("test", "30 * * * *")])

    async def is_half_past() -> bool:
        return "2025-11-25T23:30:00Z" in await asked()

    await eventually(is_half_past, timeout=60)
