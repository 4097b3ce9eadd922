"""A limiter on a clock that moves when told."""

from __future__ import annotations

import asyncio

from src.adapters.rate_limiter import RateLimiter
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.fakes import EPOCH, StepClock


class Bench:
    """A limiter on a clock that moves when told; ``ask`` starts a request that holds its permit until ``end``."""

    def __init__(self, *, limit: int = 100, max_in_flight: int = 1000, now: float = EPOCH) -> None:
        self.clock, self.metrics = StepClock(now), Metrics()
        self.limiter = RateLimiter(self.clock, self.metrics, limit=limit, max_in_flight=max_in_flight)
        self.served: list[str] = []
        self._ends: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, name: str, weight: int = 1, priority: Priority = Priority.ROLL_CALL) -> None:
        end = self._ends[name] = asyncio.Event()

        async def request() -> None:
            async with self.limiter.permit(weight, priority):
                self.served.append(name)
                await end.wait()

        self.tasks[name] = asyncio.create_task(request(), name=name)
        await self.settle()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        await self.settle()

    async def settle(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.limiter.adopt_venue_limit(10**9)  # wakes the waiters, as the timer does
        await self.settle()

    async def close(self) -> None:
        for task in self.tasks.values():
            task.cancel()
        await asyncio.gather(*self.tasks.values(), return_exceptions=True)
        view = self.limiter.view()
        assert (view.in_flight, view.waiting) == (0, 0)
