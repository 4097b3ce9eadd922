"""Asking again: how often, after how long, and that nothing of it is left when it is over."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from src.adapters.binance.rest.retry import Retrying
from src.errors import Retryable


@dataclass(frozen=True)
class Quick:
    attempts: int = 3
    backoff_base: float = 0.0
    backoff_cap: float = 0.0
    patience: float = 5.0


class Failing:
    """Fails so many times, then answers with what it is asked."""

    def __init__(self, times: int, *, retry_after: float = 0.0) -> None:
        self.left, self.calls, self._retry_after = times, 0, retry_after

    async def __call__(self, question: str) -> str:
        self.calls += 1
        if self.left:
            self.left -= 1
            raise Retryable("not now", retry_after=self._retry_after)
        return question


@pytest.fixture
def no_search() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


async def test_it_asks_again_and_tells_of_each_failure() -> None:
    told: list[int] = []
    call = Failing(2)
    retrying = Retrying(Quick(), owed=lambda _: 0.0, tell=lambda _, attempt: told.append(attempt))
    assert await retrying(call, "what") == "what"
    assert (call.calls, told) == (3, [1, 2])


async def test_the_last_error_goes_to_the_caller() -> None:
    call = Failing(9)
    with pytest.raises(Retryable, match="not now"):
        await Retrying(Quick(), owed=lambda _: 0.0)(call, "what")
    assert call.calls == 3


async def test_who_asks_for_more_patience_than_there_is_is_not_asked_again() -> None:
    call = Failing(9, retry_after=5.1)
    with pytest.raises(Retryable):
        await Retrying(Quick())(call, "what")
    assert call.calls == 1


async def test_another_error_passes_at_once() -> None:
    async def broken() -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        await Retrying(Quick())(broken)


@pytest.mark.usefixtures("no_search")
async def test_nothing_is_left_for_the_search_for_garbage() -> None:
    """With a cycle in each call, hours of a busy repair are gigabytes until the search comes by."""
    for failures in (0, 1, 9) * 20:
        with contextlib.suppress(Retryable):
            await Retrying(Quick(), owed=lambda _: 0.0)(Failing(failures), "what")
    found = gc.collect()
    assert found < 20, f"{found} objects of 60 calls"
