"""A collector is stuck when all of it hangs inside the process, and never when it waits for time or for others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from src.telemetry.pulse import OutsideEvent, Pulse, aside, current, follow_tasks, outside

_LOOKS = 4


@asynccontextmanager
async def watched(work: Callable[[], Awaitable[object]]) -> AsyncIterator[Pulse]:
    """``work`` as a supervised task, with a few turns of the loop behind it."""
    follow_tasks(asyncio.get_running_loop())
    pulse = Pulse("one")

    async def run() -> None:
        with pulse.watched():
            await work()

    task = asyncio.create_task(run(), name="one")
    await turns()
    try:
        yield pulse
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        asyncio.get_running_loop().set_task_factory(None)


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def stillness(pulse: Pulse) -> float:
    """After looks at seconds 1 to 4, with turns of the loop between them."""
    found = -1.0
    for now in range(1, _LOOKS + 1):
        found = pulse.still_for(float(now))
        await turns()
    return found


async def hang() -> None:
    await asyncio.get_running_loop().create_future()


async def hang_on_a_lock() -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    await lock.acquire()


async def hang_in_children() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(hang(), name="a")
        group.create_task(hang_on_a_lock(), name="b")


async def name_a_cause() -> None:
    with outside("the venue"):
        await hang()


async def name_a_cause_in_a_child() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(name_a_cause(), name="a")


async def wait_for_an_outside_event() -> None:
    await OutsideEvent("the venue's time").wait()


async def sleep_for_days() -> None:
    await asyncio.sleep(300_000)


async def sleep_for_days_in_a_child() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(sleep_for_days(), name="a")


async def turn_in_a_child() -> None:
    async def turn() -> None:
        while True:  # noqa: ASYNC110 - moving is all it does
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(turn(), name="a")
        group.create_task(hang(), name="b")


async def replace_children() -> None:
    async def short() -> None:
        await asyncio.sleep(0)

    while True:
        await asyncio.create_task(short(), name="short")


async def move_from_one_wait_to_the_next() -> None:
    loop = asyncio.get_running_loop()
    while True:
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future


async def hang_beside_a_watcher() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(hang(), name="a")
        with aside():
            group.create_task(sleep_for_days(), name="b")


async def hang_in_one_part() -> None:
    """The collector itself sleeps, and the other part moves."""
    async with asyncio.TaskGroup() as group:
        for name, part in (("a", hang), ("b", turn_in_a_child)):
            with current().part(name):
                group.create_task(part(), name=name)
        await sleep_for_days()


async def hang_below_a_part() -> None:
    async with asyncio.TaskGroup() as group:
        with current().part("a"):
            group.create_task(hang_in_children(), name="a")
        await sleep_for_days()


async def beat_from_aside() -> None:
    async def watch(pulse: Pulse) -> None:
        while True:
            pulse.beat()
            await asyncio.sleep(0)

    pulse = current()
    async with asyncio.TaskGroup() as group:
        group.create_task(hang(), name="a")
        with aside():
            group.create_task(watch(pulse), name="b")


async def have_parts_that_ended() -> None:
    with current().part("a"):
        ended = asyncio.create_task(turns(), name="a")
    await ended
    await sleep_for_days()


async def have_a_part_with_a_cause() -> None:
    async with asyncio.TaskGroup() as group:
        with current().part("a"):
            group.create_task(name_a_cause(), name="a")
        await sleep_for_days()


@pytest.mark.parametrize(
    "work",
    [
        hang,
        hang_on_a_lock,
        hang_in_children,
        hang_beside_a_watcher,
        hang_in_one_part,
        hang_below_a_part,
    ],
)
async def test_what_hangs_inside_is_still(work: Callable[[], Awaitable[object]]) -> None:
    async with watched(work) as pulse:
        assert await stillness(pulse) == _LOOKS - 1


@pytest.mark.parametrize(
    "work",
    [
        name_a_cause,
        name_a_cause_in_a_child,
        wait_for_an_outside_event,
        sleep_for_days,
        sleep_for_days_in_a_child,
        turn_in_a_child,
        replace_children,
        move_from_one_wait_to_the_next,
        beat_from_aside,
        have_parts_that_ended,
        have_a_part_with_a_cause,
    ],
)
async def test_what_moves_or_has_a_reason_is_not(work: Callable[[], Awaitable[object]]) -> None:
    async with watched(work) as pulse:
        assert await stillness(pulse) == 0


async def test_a_cause_that_is_over_excuses_nothing() -> None:
    answered = OutsideEvent("the venue's time")

    async def work() -> None:
        await answered.wait()
        await hang()

    async with watched(work) as pulse:
        assert await stillness(pulse) == 0
        answered.set()
        await turns()
        assert pulse.still_for(10.0) == 0, "it has just gone on"
        assert pulse.still_for(13.0) == 3


async def test_a_collector_that_does_not_run_now_is_not_stuck() -> None:
    async with watched(hang) as pulse:
        runs = [pulse.runs]
    assert [*runs, pulse.runs] == [True, False]
    assert await stillness(pulse) == 0


async def test_tasks_of_others_do_not_count() -> None:
    """Made before, or outside: a collector that hangs is not excused by somebody else's timer."""
    others = asyncio.create_task(asyncio.sleep(300_000), name="other")
    async with watched(hang) as pulse:
        assert await stillness(pulse) == _LOOKS - 1
    others.cancel()


async def test_a_beat_is_heard_once_and_by_every_part() -> None:
    async with watched(hang_in_one_part) as pulse:
        assert await stillness(pulse) == _LOOKS - 1
        pulse.beat()
        assert pulse.still_for(10.0) == 0
        await turns()
        assert pulse.still_for(12.0) == 2


async def test_nobody_hears_a_beat_where_no_collector_runs() -> None:
    current().beat()
    with current().part("a"):
        pass
