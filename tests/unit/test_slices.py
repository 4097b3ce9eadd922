"""Long computations share the loop: one slice a round, whoever else is ready goes in between."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.slices import SLICE_S, a_slice, at_once, collected, in_slices, pieces


def _busy(seconds: float) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


def _squares(count: int, step_s: float = 0.0) -> Generator[None, None, list[int]]:
    found = []
    for number in range(count):
        _busy(step_s)
        found.append(number * number)
        yield
    return found


async def test_the_result_is_that_of_going_through_at_once() -> None:
    assert await in_slices(_squares(1000)) == at_once(_squares(1000)) == [n * n for n in range(1000)]
    assert await in_slices(collected(iter("abc"))) == ["a", "b", "c"]


async def test_others_have_their_turn_between_any_two_slices() -> None:
    """However many computations are ready, no round of the loop holds more than one slice."""
    order: list[str] = []

    async def compute(name: str) -> None:
        for _ in range(3):
            async with a_slice():
                order.append(name)

    async def rounds() -> None:
        while len([entry for entry in order if entry != "round"]) < 12:
            order.append("round")
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name in "abcd":
            group.create_task(compute(name), name=name)
        group.create_task(rounds(), name="rounds")
    slices = [place for place, entry in enumerate(order) if entry != "round"]
    assert all("round" in order[a + 1 : b] for a, b in pairwise(slices))


async def test_computations_go_on_in_turn() -> None:
    """None waits until another one is through."""
    ended: list[str] = []

    async def compute(name: str, slices: int) -> None:
        await in_slices(_squares(slices, 1.5 * SLICE_S))
        ended.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(compute("long", 20), name="long")
        group.create_task(compute("short", 2), name="short")
    assert ended == ["short", "long"]


async def test_a_computation_that_is_cancelled_or_fails_lets_the_others_go_on() -> None:
    def failing() -> Generator[None, None, None]:
        yield
        raise ValueError("this one")

    task = asyncio.create_task(in_slices(_squares(1000, SLICE_S)), name="long")
    waiting = asyncio.create_task(in_slices(_squares(3)), name="short")
    await asyncio.sleep(0)
    task.cancel()
    assert await waiting == [0, 1, 4]
    with pytest.raises(ValueError, match="this one"):
        await in_slices(failing())
    assert await in_slices(_squares(3)) == [0, 1, 4]
    with pytest.raises(asyncio.CancelledError):
        await task


@given(st.lists(st.integers()), st.integers(1, 7))
def test_pieces_are_all_of_it_in_order(items: list[int], size: int) -> None:
    cut = list(pieces(items, size))
    assert [item for piece in cut for item in piece] == items
    assert all(len(piece) == size for piece in cut[:-1]) and all(cut)
