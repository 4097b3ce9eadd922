"""Long computations on the event loop: one slice of one of them at a time, and everything else between two slices.

The loop runs everything that is ready before it looks at timers and sockets again. Where forty answers of 10 ms each
are ready at once, a heartbeat waits 400 ms, though nothing of it took long; so whoever computes takes turns.
"""

from __future__ import annotations

import asyncio
import time
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

SLICE_S = 0.004
"""So long a computation goes on before others get their turn; a step of it may be longer."""

_turns: WeakKeyDictionary[AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


@asynccontextmanager
async def a_slice() -> AsyncIterator[None]:
    """A turn of the running loop, for a few milliseconds of computing. Nothing is awaited inside."""
    async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        yield
        # Still ours: whoever else is ready in this round of the loop would go on at once, and all others after it.
        await asyncio.sleep(0)


async def in_slices(steps: Generator[object, None, T]) -> T:
    """The result of a computation that yields wherever it may be left for a moment."""
    while True:
        async with a_slice():
            until = time.perf_counter() + SLICE_S
            try:
                while time.perf_counter() < until:
                    next(steps)
            except StopIteration as end:
                result: T = end.value
                return result


def at_once(steps: Generator[object, None, T]) -> T:
    """The same result, where nothing else waits."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result


def collected(items: Iterable[T]) -> Generator[None, None, list[T]]:
    """All of ``items``, which take long to make, with a step for each."""
    found = []
    for item in items:
        found.append(item)
        yield
    return found


def pieces(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    """``items`` in order, ``size`` at a time."""
    rest = iter(items)
    while piece := tuple(islice(rest, size)):
        yield piece
