"""The deadline of a task, and what does not count to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from src.analysis.jobs import Context
from src.model import Task


class Kernels:
    """Says what the task's timeout was while a call waited, and once it had begun."""

    def __init__(self, within: asyncio.Timeout) -> None:
        self._within = within
        self.seen: list[float | None] = []

    async def run(self, function: str, *, began: Callable[[], None], **_: Any) -> int:
        self.seen.append(self._within.when())
        await asyncio.sleep(0)
        began()
        self.seen.append(self._within.when())
        return 7


async def test_waiting_for_a_process_does_not_count() -> None:
    """Who has the only process may have it for hours; the tasks behind it must not fail of that."""
    async with asyncio.timeout(600) as within:
        until, kernels = within.when(), Kernels(within)
        task = Task("1", "test", {}, requested_by="a test")
        context = Context(task, None, kernels, 600.0, within)  # type: ignore[arg-type]
        assert await context.compute("module:name") == 7
        waiting, computing = kernels.seen
        assert waiting is None
        assert until is not None
        assert computing is not None
        assert computing >= until
