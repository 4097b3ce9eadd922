"""The shared book in memory, with the arithmetic of the real one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from src.adapters.rate_limiter.book import LeaseAsk, LeaseGrant
from src.adapters.rate_limiter.shares import SlotUse, share
from src.errors import MarketdError


class MemoryBook:
    """``LeaseBook`` for the limiters of one test. ``error`` is raised instead of answers while it is set."""

    def __init__(self) -> None:
        self.uses: dict[str, list[SlotUse]] = {}
        self.bans: dict[str, float] = {}
        self.asks: list[LeaseAsk] = []
        self.error: MarketdError | None = None
        self.answers = asyncio.Event()
        """Cleared, no answer comes."""
        self.answers.set()
        self.lost = asyncio.Event()
        """Set, nobody hears of bans any more: ``error`` ends every watch."""
        self.watches = 0
        self._listeners: list[Callable[[str, float], None]] = []

    def answer(self, ask: LeaseAsk) -> LeaseGrant:
        self.asks.append(ask)
        self.uses[ask.budget], granted, total = share(self.uses.get(ask.budget, []), ask)
        return LeaseGrant(granted, total, self.bans.get(ask.budget, 0.0))

    async def lease(self, ask: LeaseAsk) -> LeaseGrant:
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return self.answer(ask)

    async def ban(self, budgets: Sequence[str], seconds: float) -> None:
        if self.error is not None:
            raise self.error
        for budget in budgets:
            self.bans[budget] = max(seconds, self.bans.get(budget, 0.0))
            for listener in self._listeners:
                listener(budget, seconds)

    async def watch(self, on_ban: Callable[[str, float], None]) -> None:
        self.watches += 1
        for budget, seconds in self.bans.items():
            on_ban(budget, seconds)
        self._listeners.append(on_ban)
        await self.lost.wait()
        self._listeners.remove(on_ban)
        assert self.error is not None
        raise self.error

    @property
    def is_heard(self) -> bool:
        """True while somebody watches."""
        return bool(self._listeners)

    async def close(self) -> None:
        pass
