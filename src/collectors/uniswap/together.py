"""Several questions at once; the first that fails ends the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from ..unwrap import first_error

T = TypeVar("T")


async def together(calls: Iterable[Coroutine[Any, Any, T]], name: str) -> list[T]:
    """The results in order. Raises the first error by itself, not as a group."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(call, name=name) for call in calls]
    except ExceptionGroup as failed:
        raise first_error(failed) from failed
    return [task.result() for task in tasks]
