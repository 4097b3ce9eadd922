"""Whether readers may run: given by whoever holds the lock, and taken back when the lock is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Turn:
    """An event that readers start on, and that ends them when it is cleared."""

    def __init__(self) -> None:
        self._given = asyncio.Event()
        self._limits: set[asyncio.Timeout] = set()

    def is_set(self) -> bool:
        return self._given.is_set()

    def set(self) -> None:
        """Readers may start."""
        self._given.set()

    def clear(self) -> None:
        """Readers end, and wait for the next turn."""
        self._given.clear()
        now = asyncio.get_running_loop().time()
        for limit in self._limits:
            if not limit.expired():
                limit.reschedule(now)

    async def wait(self) -> None:
        """Wait until readers may start."""
        await self._given.wait()

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run ``work`` in every turn, cancelled at its end, until it returns or fails by itself."""
        while True:
            await self._given.wait()
            limit = asyncio.timeout(None)
            try:
                async with limit:
                    self._limits.add(limit)
                    await work()
            except TimeoutError:
                if not limit.expired():
                    raise
            finally:
                self._limits.discard(limit)
            if not limit.expired():
                return
