"""A bounded number of named tasks that share one list of work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


async def for_each(
    items: Sequence[T], work: Callable[[T], Awaitable[None]], *, limit: int, name: str
) -> None:
    """Await ``work`` for every item, at most ``limit`` at a time, in order of starting.

    An error of one ends all and leaves as an ``ExceptionGroup``: what is expected to fail is handled in ``work``.
    """
    todo = iter(items)

    async def worker() -> None:
        for item in todo:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for number in range(min(limit, len(items))):
            group.create_task(worker(), name=f"{name}-{number}")
