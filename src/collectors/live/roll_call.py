"""Every minute, every symbol is called by name: who has no candle is asked for over REST.

close    +2.6 s          +6 s                 +30 s                      +60 s
  | stream | quiet round   | first round        | second round, verdict    |
             asks who did    asks all missing     asks who is missing still
             not trade in    (and the minute before, again, if its row came from an early REST answer)
             the last minute
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from ...errors import Permanent, Retryable, UnknownSymbol
from ...model import MINUTE_MS, Authority, floor_minute
from ...ports import CandleStream, Clock, History, Priority
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..listings.universe import Universe
from ..repair.gaps import HoleRepair
from ..workers import for_each
from .attendance import Attendance
from .buffer import Origin
from .gate import CandleGate
from .suspicion import Suspicion

_log = get_logger("roll_call")

FIRST_ROUND, SECOND_ROUND = 6.0, 30.0
"""Venue seconds after the close. The stream delivers 99.5 % within 2.5 s and all within 24 s."""
QUIET_ROUND = 2.6
"""Venue seconds after the close. A symbol that sleeps sends no frames, so waiting longer for one is in vain; its flat
row is then stored with the minute's others (docs/adr/0012-quiet-symbols-are-asked-early.md)."""
_QUIET_ENDS, _FIRST_ENDS, _SECOND_ENDS = 5.9, 29.0, 55.0
_ROUND_FLOOR, _QUIET_FLOOR = 3.0, 0.3
"""Wall seconds that a round of real requests gets at least, however fast the clock runs."""
_IN_FLIGHT = 64
_TOO_LATE_MS = 55_000
"""A minute that closed longer ago is the hole repair's: its answers would not be early any more."""
_RECHECK_MINUTES = 99
"""Minutes that one request of weight 1 may span."""
_STALE_MS = 150_000


class RollCall:
    """Asks REST for the candles that the stream did not bring, and tells the stream whom it does not hear.

    A row asked less than 60 s after its close may still change at the venue, so it is asked for once more in the
    next minute; while a symbol stays missing both questions share one request (weight 1), so that even a silent
    venue of 740 symbols costs 740 weight a minute. Minutes that stay missing go to the hole repair.
    """

    def __init__(
        self,
        history: History,
        stream: CandleStream,
        gate: CandleGate,
        attendance: Attendance,
        universe: Universe,
        repair: HoleRepair,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._history = history
        self._stream = stream
        self._gate = gate
        self._attendance = attendance
        self._universe = universe
        self._repair = repair
        self._clock = clock
        self._metrics = metrics
        self._suspicion = Suspicion()
        self._early: dict[str, int] = {}
        self._began_ms: int | None = None
        for name in ("quiet", "first", "second"):
            metrics.roll_call_misses.labels(round=name)
            metrics.roll_call_filled.labels(round=name)

    async def run(self) -> None:
        """Call the roll of the minute just over and of every one that ends from now on, until cancelled."""
        await self._universe.ready.wait()
        if self._began_ms is None:  # a second run is after a failure: what is late then is late
            self._began_ms = self._clock.now_ms()
        with self._universe.telling(self.follow):
            open_ms = floor_minute(self._clock.now_ms()) - MINUTE_MS
            while True:
                await self._clock.sleep_until(_close(open_ms) + QUIET_ROUND)
                if self._clock.now_ms() - open_ms - MINUTE_MS > _TOO_LATE_MS:
                    open_ms = self._skip(open_ms)
                    continue
                await self.call(open_ms)
                open_ms += MINUTE_MS

    async def call(self, open_ms: int) -> None:
        """All rounds for one minute; waits for their times by itself."""
        quiet = self._quiet_before(open_ms)
        await self._round(open_ms, quiet, "quiet", _QUIET_ENDS, floor=_QUIET_FLOOR)
        await self._clock.sleep_until(_close(open_ms) + FIRST_ROUND)
        expected = self._universe.expected(open_ms)
        for symbol, doubtful_ms in self._attendance.take_doubtful().items():
            self._early[symbol] = min(doubtful_ms, self._early.get(symbol, doubtful_ms))
        await self._round(open_ms, expected, "first", _FIRST_ENDS)
        await self._ask_again(open_ms)
        await self._clock.sleep_until(_close(open_ms) + SECOND_ROUND)
        await self._round(open_ms, expected, "second", _SECOND_ENDS)
        self._judge(open_ms, expected)
        self._give_up(open_ms, expected)
        self._attendance.forget(open_ms)

    def follow(self, symbols: frozenset[str]) -> None:
        """Take the universe's symbols: what is remembered about others goes."""
        self._suspicion.follow(symbols, self._clock.now_ms())
        self._attendance.forget_symbols(symbols)
        self._early = {symbol: early_ms for symbol, early_ms in self._early.items() if symbol in symbols}

    def _skip(self, open_ms: int) -> int:
        # Suspended, or REST hung for minutes: the holes are found in the database, newest minutes are called.
        self._repair.trigger("roll_call")
        newest = floor_minute(self._clock.now_ms() - _TOO_LATE_MS)
        _log.warning(
            "roll_call_late", msg="minutes left to the hole repair", minutes=(newest - open_ms) // MINUTE_MS
        )
        return newest

    def _quiet_before(self, open_ms: int) -> list[str]:
        """Who is expected now and had no trades and no frame in the minute before."""
        unheard = self._attendance.unheard(open_ms - MINUTE_MS)
        expected = self._universe.expected(open_ms) if unheard else []
        return [symbol for symbol in expected if symbol in unheard and unheard[symbol].trade_count == 0]

    async def _round(
        self, open_ms: int, expected: Sequence[str], name: str, ends: float, *, floor: float = _ROUND_FLOOR
    ) -> None:
        missing = self._attendance.missing(open_ms, expected)
        if not missing:
            return
        self._metrics.roll_call_misses.labels(round=name).inc(len(missing))
        left = max(self._clock.wall(_close(open_ms) + ends - self._clock.now()), floor)
        await self._ask_all(missing, open_ms, Priority.ROLL_CALL, left)
        filled = len(missing) - len(self._attendance.missing(open_ms, missing))
        self._metrics.roll_call_filled.labels(round=name).inc(filled)
        _log.debug(
            "roll_call", msg=f"{filled} of {len(missing)} came over REST", round=name, missing=len(missing)
        )

    async def _ask_again(self, open_ms: int) -> None:
        """Ask once more for earlier minutes that were asked too early or came very late; all are final now."""
        again = sorted(symbol for symbol, early_ms in self._early.items() if early_ms < open_ms)
        left = max(self._clock.wall(_close(open_ms) + _FIRST_ENDS - self._clock.now()), _ROUND_FLOOR)
        await self._ask_all(again, open_ms - MINUTE_MS, Priority.REPAIR, left)

    async def _ask_all(self, symbols: Sequence[str], open_ms: int, priority: Priority, limit: float) -> None:
        async def ask(symbol: str) -> None:
            await self._ask(symbol, open_ms, priority)

        with suppress(TimeoutError):
            # What is not answered by then stays missing: the next round or the repair asks again.
            async with asyncio.timeout(limit):
                await for_each(symbols, ask, limit=_IN_FLIGHT, name="roll-call")

    async def _ask(self, symbol: str, open_ms: int, priority: Priority) -> None:
        since_ms = max(self._early.get(symbol, open_ms), open_ms - (_RECHECK_MINUTES - 1) * MINUTE_MS)
        since_ms = min(since_ms, open_ms)
        try:
            rows = await self._history.candles(symbol, since_ms, open_ms + MINUTE_MS, priority=priority)
        except UnknownSymbol:
            self._early.pop(symbol, None)
            self._universe.refresh_soon()
            return
        except (Retryable, Permanent) as error:
            _log.info("roll_call_unanswered", msg=str(error), reason=error.reason)
            return
        self._early.pop(symbol, None)
        for row in rows:
            called = row.open_ms == open_ms and priority is Priority.ROLL_CALL
            self._gate.fetched([row], self._origin(open_ms) if called else Origin.REPAIR)
            if row.authority is Authority.STREAM:
                self._early[symbol] = min(row.open_ms, self._early.get(symbol, row.open_ms))

    def _origin(self, open_ms: int) -> Origin:
        heard = self._began_ms is None or open_ms + MINUTE_MS > self._began_ms
        return Origin.ROLL_CALL if heard else Origin.CATCH_UP

    def _judge(self, open_ms: int, expected: Sequence[str]) -> None:
        """Subscribe anew whom REST shows trading while the stream is silent; a quiet symbol is normal."""
        unheard = self._attendance.unheard(open_ms)
        trading = {symbol for symbol in expected if symbol in unheard and unheard[symbol].trade_count}
        for symbol in self._suspicion.judge(open_ms, trading, len(expected), self._clock.now_ms()):
            _log.warning(
                "symbol_unheard", msg="REST shows trades that the stream did not deliver", symbol=symbol
            )
            self._stream.resubscribe(symbol)
        self._metrics.symbols_quiet.set(self._attendance.quiet(open_ms))
        stale_ms = self._clock.now_ms() - _STALE_MS
        self._metrics.symbols_stale.set(self._attendance.stale(expected, stale_ms))

    def _give_up(self, open_ms: int, expected: Sequence[str]) -> None:
        for symbol in self._attendance.missing(open_ms, expected):
            self._repair.want(symbol, open_ms)


def _close(open_ms: int) -> float:
    """The end of the minute in venue seconds."""
    return (open_ms + MINUTE_MS) / 1000
