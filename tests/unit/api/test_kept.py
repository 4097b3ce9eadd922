"""Answers that are kept for a while."""

from __future__ import annotations

import asyncio

import pytest

from src.api.kept import Kept
from src.api.routes.overview import seconds_left
from tests.support.fakes import StepClock


class Source:
    """Counts how often it is read; waits until it may answer."""

    def __init__(self) -> None:
        self.reads = 0
        self.may = asyncio.Event()
        self.may.set()
        self.error: Exception | None = None

    async def __call__(self) -> int:
        self.reads += 1
        await self.may.wait()
        if self.error is not None:
            raise self.error
        return self.reads


async def test_what_is_fresh_is_not_read_again() -> None:
    kept, clock, source = Kept(), StepClock(), Source()
    assert await kept.get("a", 10, clock, source) == await kept.get("a", 10, clock, source) == 1
    assert await kept.get("b", 10, clock, source) == 2
    await clock.sleep(10)
    assert await kept.get("a", 10, clock, source) == 3


async def test_many_who_ask_at_once_are_one_reading() -> None:
    kept, clock, source = Kept(), StepClock(), Source()
    source.may.clear()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(kept.get("a", 10, clock, source), name=f"ask {n}") for n in range(5)]
        await asyncio.sleep(0)
        asking[0].cancel()
        await asyncio.sleep(0)
        source.may.set()
    assert asking[0].cancelled()
    assert {task.result() for task in asking[1:]} == {2}, "another one reads when the first goes away"
    assert source.reads == 2


async def test_an_error_is_not_kept() -> None:
    kept, clock, source = Kept(), StepClock(), Source()
    source.error = RuntimeError("away")
    with pytest.raises(RuntimeError, match="away"):
        await kept.get("a", 10, clock, source)
    source.error = None
    assert await kept.get("a", 10, clock, source) == 2


async def test_there_is_a_bound() -> None:
    kept, clock, source = Kept(most=2), StepClock(), Source()
    for key in "abac":
        await kept.get(key, 10, clock, source)
    assert source.reads == 3
    await kept.get("a", 10, clock, source)
    assert source.reads == 3, "what was asked for last stays"
    await kept.get("b", 10, clock, source)
    assert source.reads == 4


def test_the_time_left_is_that_of_the_pace_so_far() -> None:
    assert seconds_left(1_000, 10, 30, 11_000) == 20.0
    assert seconds_left(1_000, 30, 30, 11_000) == 0.0
    assert seconds_left(1_000, 31, 30, 11_000) == 0.0
    for nothing in [(None, 1, 2), (1_000, None, 2), (1_000, 0, 2), (1_000, 1, None), (12_000, 1, 2)]:
        assert seconds_left(*nothing, 11_000) is None
