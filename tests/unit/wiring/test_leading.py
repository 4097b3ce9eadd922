"""At a stop every role has the same seconds to store what it has in memory."""

from __future__ import annotations

import asyncio

from src.collectors.running.daemon import Closer, Keeper, Part
from src.collectors.running.turn import Turn
from src.wiring.roles import Leading, Role


class Held:
    """A keeper with rows of its own."""

    def __init__(self) -> None:
        self.settled = Turn()
        self.drained: list[float] = []

    async def run(self) -> None:
        return

    async def drain(self, seconds: float) -> int:
        self.drained.append(seconds)
        return 1


class Holding(Role):
    """A role whose drain waits until all the others drain too, and may fail then."""

    name = "holding"

    def __init__(self, together: asyncio.Barrier, error: Exception | None = None) -> None:
        self.held = Held()
        self.keeper: Keeper = self.held
        self._together, self._error = together, error

    def collectors(self) -> list[Part]:
        return []

    def closers(self) -> list[Closer]:
        return []

    async def finish_run(self) -> None:
        return

    async def drain(self, seconds: float) -> int:
        await self._together.wait()
        if self._error:
            raise self._error
        return int(seconds)


async def test_all_roles_drain_side_by_side_and_one_that_fails_costs_no_other() -> None:
    together = asyncio.Barrier(3)
    roles = [Holding(together), Holding(together, RuntimeError("broken")), Holding(together)]
    leading = Leading(roles)
    assert leading.settled is roles[0].keeper.settled
    assert await leading.drain(20.0) == 1 + 20 + 0 + 20
    assert [role.held.drained for role in roles] == [[20.0], [], []]
