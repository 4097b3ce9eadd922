"""Fills gaps between stored ids over REST, and goes on from the newest where no stream does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from ...errors import NotPublished, Permanent, Retryable
from ...model import Trade, TradeGap
from ...ports import Clock, Priority
from ...ports.trades import TradeLedger, TradeSource
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from .live import TradeStoring

_log = get_logger("trades")

_LOOK_S = 10.0
_GAPS_A_LOOK = 20
_PAGES = 30
"""Requests for one gap in one look: the next one has its turn, and what is left has shrunk."""
_REACH_MS = 47 * 3_600_000
"""How far back futures REST goes (48 h), and a while to ask for it."""
_FRESH_MS = 15 * 60_000
"""A gap younger than this goes before older history."""
_SLACK_MS = 60_000
_BEGIN_AGAIN_MS, _UNANSWERED_MS = 3_600_000, 60_000
"""When the first trades of a listing are asked for again: it may be young, or quiet, or unknown to the venue."""


class TradeRepair:
    """Every 10 s: the gaps of ``symbols`` that are due, the newest first; what is older than 48 h the archive has.

    ``since(now_ms)`` is the first instant that is collected: where nothing is stored before, the first trades of that
    time are asked for, and what lies between is a gap then. With ``follow`` each symbol's newest trades are asked for
    too, and gaps of any age: so it is with spot, which has no stream here and whose REST keeps everything. A symbol
    that was listed again is another contract, and REST has only its ids: of an earlier one nothing is asked for.
    """

    def __init__(
        self,
        source: TradeSource,
        storing: TradeStoring,
        ledger: TradeLedger,
        symbols: Sequence[str],
        clock: Clock,
        metrics: Metrics,
        *,
        since: Callable[[int], int],
        follow: bool,
        ready: asyncio.Event,
    ) -> None:
        self._source, self._storing, self._ledger = source, storing, ledger
        self._symbols = tuple(symbols)
        self._clock, self._metrics = clock, metrics
        self._since, self._follow, self._ready = since, follow, ready
        self._not_before: dict[tuple[str, int], int] = {}

    async def run(self) -> None:
        """Until cancelled. Raises ``Retryable`` or ``Misconfigured`` of the database."""
        await self._ready.wait()
        while True:
            if not await self.look():
                await self._clock.sleep(_LOOK_S)

    async def look(self) -> bool:
        """One pass; whether there is more to do at once."""
        now_ms = self._clock.now_ms()
        await self._ledger.settle(self._symbols, self._since(now_ms))
        newest = await self._newest_listings()
        await self._begin(now_ms, newest)
        more = self._follow and await self._go_on(newest)
        gaps = await self._ledger.open_gaps(self._symbols, self._clock.now_ms(), _GAPS_A_LOOK)
        self._metrics.trade_gaps_open.set(len(gaps))
        for gap in gaps:
            more = await self._fill(gap, newest[gap.symbol]) or more
        return more

    async def _newest_listings(self) -> dict[str, int]:
        """When each symbol was listed, the last time that it was."""
        listings = await self._ledger.listings(self._symbols)
        return {symbol: listings[symbol][-1].start_ms for symbol in self._symbols}

    async def _begin(self, now_ms: int, newest: Mapping[str, int]) -> None:
        """Store the first trades of the time that is collected, as far as REST has it."""
        reach = await self._ledger.reach()
        for key in newest.items():
            symbol, listing_ms = key
            since_ms = max(self._since(now_ms), now_ms - _REACH_MS, listing_ms)
            known = reach.get(key)
            if known is not None and known.first_ms <= since_ms + _SLACK_MS:
                continue
            if self._not_before.get(key, 0) > now_ms:
                continue
            asking = self._source.since(symbol, since_ms, priority=Priority.HISTORY)
            found = await self._answer(symbol, asking)
            self._not_before[key] = now_ms + (_UNANSWERED_MS if found is None else _BEGIN_AGAIN_MS)
            if found and (known is None or found[0].trade_id < known.first_id):
                await self._storing.store(found)

    async def _go_on(self, newest: Mapping[str, int]) -> bool:
        """Store what came after each symbol's newest trade; whether some symbol has more."""
        reach = await self._ledger.reach()
        lags = [await self._go_on_with(key[0], reach[key].last_id) for key in newest.items() if key in reach]
        return any(lags)

    async def _go_on_with(self, symbol: str, last_id: int) -> bool:
        for _ in range(_PAGES):
            asking = self._source.from_id(symbol, last_id + 1, priority=Priority.REPAIR)
            found = await self._answer(symbol, asking)
            if not found:
                return False
            await self._storing.store(found)
            last_id = found[-1].trade_id
        return True

    async def _fill(self, gap: TradeGap, listed_ms: int) -> bool:
        """Whether it goes on at once. What REST does not have is looked for again later, and later."""
        now_ms = self._clock.now_ms()
        kept = self._follow or gap.after_ms >= now_ms - _REACH_MS
        if not kept or gap.listing_ms != listed_ms:
            await self._ledger.asked(gap, now_ms)
            return False
        priority = Priority.REPAIR if gap.before_ms > now_ms - _FRESH_MS else Priority.HISTORY
        next_id = gap.first_id
        for _ in range(_PAGES):
            found = await self._answer(
                gap.symbol, self._source.from_id(gap.symbol, next_id, priority=priority)
            )
            if found is None:
                return False
            wanted = [trade for trade in found if trade.trade_id <= gap.last_id]
            if wanted:
                await self._storing.store(wanted)
                next_id = wanted[-1].trade_id + 1
            if next_id > gap.last_id or len(wanted) < len(found) or not found:
                return await self._end(gap, now_ms)
        return True

    async def _end(self, gap: TradeGap, now_ms: int) -> bool:
        """REST said all it has. A gap that is filled whole is not open any more, and is not touched."""
        await self._ledger.asked(gap, now_ms)
        return False

    async def _answer(self, symbol: str, asking: Awaitable[list[Trade]]) -> list[Trade] | None:
        """What REST has; nothing where it has it no longer or refuses to say, None where it could not be asked.

        A refusal is an answer: the gaps of a symbol that the venue does not know any more would else be asked for in
        every look, before all that are older.
        """
        try:
            return await asking
        except NotPublished:
            return []
        except (Retryable, Permanent) as error:
            _log.warning("trades_unanswered", msg=str(error), symbol=symbol, reason=error.reason)
            return [] if isinstance(error, Permanent) else None
