"""What keeps the queue true: tasks of the dead go to the living, and what is long over is forgotten."""

from __future__ import annotations

from typing import Protocol

from ..ports.clock import Clock

_SWEEP_S = 15.0
_PRUNE_S = 3600.0


class Takes(Protocol):
    """``adapters.queue.JobQueue``."""

    async def take_over(self) -> int: ...


class Prunes(Protocol):
    """``adapters.timescale.task_store.TaskStore``."""

    async def prune(self, days: int) -> None: ...


class Upkeep:
    """Looks for silent workers every 15 s, and forgets what was over ``days`` days ago every hour."""

    def __init__(self, queue: Takes, tasks: Prunes, clock: Clock, *, days: int) -> None:
        self._queue, self._tasks, self._clock, self._days = queue, tasks, clock, days

    async def run(self) -> None:
        """Until cancelled. Raises ``Retryable`` when the database is away."""
        pruned: float | None = None
        while True:
            await self._queue.take_over()
            if pruned is None or self._clock.monotonic() - pruned >= _PRUNE_S:
                await self._tasks.prune(self._days)
                pruned = self._clock.monotonic()
            await self._clock.sleep(_SWEEP_S)
