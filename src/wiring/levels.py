"""The venue's own bars for the task ``Levels``: REST sessions that are made when a task first needs them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from ..adapters.binance.rest.bars import FUTURES, SPOT, BarsRest
from ..model.bars import VenueBar
from . import options
from .core import Core


class LevelBars:
    """Who is asked for bars of futures, and who for bars of spot."""

    def __init__(self, core: Core) -> None:
        rest = options.rest_options(core.settings)
        spot = replace(rest, base_url=core.settings.binance_spot_rest_url)
        self.futures = VenueBars(core, BarsRest(FUTURES, rest, core.budgets.fapi, core.clock, core.metrics))
        self.spot = VenueBars(core, BarsRest(SPOT, spot, core.budgets.spot, core.clock, core.metrics))

    async def close(self) -> None:
        """End the sessions; the next task makes them anew."""
        await self.futures.close()
        await self.spot.close()


class VenueBars:
    """``ports.bars.BarSource``: opened when it is needed, and asked when the venue's time is known."""

    def __init__(self, core: Core, bars: BarsRest) -> None:
        self._bars, self._ready = bars, core.clock_sync.ready
        self._opening = asyncio.Lock()

    async def closed_ms(self, period_ms: int) -> int:
        """See ``ports.bars.BarSource``."""
        await self._ready.wait()
        return await self._bars.closed_ms(period_ms)

    async def bars(
        self, symbol: str, period: str, period_ms: int, from_ms: int, to_ms: int
    ) -> list[VenueBar]:
        """See ``ports.bars.BarSource``."""
        await self._ready.wait()
        async with self._opening:
            await self._bars.open()
        return await self._bars.bars(symbol, period, period_ms, from_ms, to_ms)

    async def close(self) -> None:
        await self._bars.close()
