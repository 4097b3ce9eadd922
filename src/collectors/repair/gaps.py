"""Finds the minutes of the last 25 h that are not stored, and asks REST for exactly those."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Literal

from ...errors import BadData, Misconfigured, Permanent, Retryable, UnknownSymbol
from ...model import MINUTE_MS, Candle, Gap, floor_minute
from ...ports import Clock, History, HoleFinder, Priority
from ...slices import a_slice, pieces
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from ..backoff import Backoff
from ..listings.universe import Universe
from ..live.buffer import CandleBuffer, Origin
from ..live.gate import CandleGate
from ..workers import for_each
from .absences import Absences
from .pauses import Pauses
from .ranges import MAX_MINUTES, Request, Span, clip, plan, subtract

_log = get_logger("gaps")

Reason = Literal["start", "interval", "database", "roll_call", "suspended", "clock", "listing"]
"""What may cost minutes, and so starts a scan."""

LOOKBACK_MS = 3 * MAX_MINUTES * MINUTE_MS
"""24 h 57 min, three requests a symbol. A gap of 24 h is promised to close: its first minutes must not fall out of
sight while it is being repaired."""
SETTLED_MS = 60_000
"""A minute is looked for this long after its close: by then the roll call is through and REST's row is final."""
_SECOND_LOOK = 70.0
"""Venue seconds from a look that was asked for to the next: minutes too young for the first are settled then."""
_RETRY_UNANSWERED = 30.0
"""Venue seconds at least until a symbol is asked for again when REST left a question about it open."""
_LOOP_FLOOR = 0.2
_AT_ONCE = 100
"""Rows that go into the buffer in one slice of the loop."""


class HoleRepair:
    """Repairs holes of the last 25 h: at start, when something may have cost minutes, and every ``interval``.

    What is missing is what the database does not have and the buffer does not hold, within each symbol's listing.
    The rows take the same way as all others, and wait for room in the buffer instead of pushing live rows out.
    Minutes that the venue does not have are asked for again after 1, 2, 4 .. 60 minutes; a symbol whose question got
    no answer after 30 s, or when REST says so.
    """

    def __init__(
        self,
        finder: HoleFinder,
        history: History,
        gate: CandleGate,
        buffer: CandleBuffer,
        universe: Universe,
        clock: Clock,
        metrics: Metrics,
        *,
        interval: float = 600.0,
        lookback_ms: int = LOOKBACK_MS,
        concurrency: int = 16,
    ) -> None:
        self._finder = finder
        self._history = history
        self._gate = gate
        self._buffer = buffer
        self._universe = universe
        self._clock = clock
        self._metrics = metrics
        self._interval = interval
        self._lookback_ms = lookback_ms
        self._concurrency = concurrency
        self._absences = Absences()
        self._reason: Reason | None = "start"
        self._next_scan = 0.0
        self._pauses = Pauses()
        self._unanswered: list[str] = []
        self._pause = _RETRY_UNANSWERED
        self._open_minutes = 0
        self._symbols: frozenset[str] = frozenset()
        self._wake = asyncio.Event()
        self._backoff = Backoff(0.5, 30.0)

    def trigger(self, reason: Reason) -> None:
        """Look for holes now, or again when the present look is over."""
        self._reason = reason
        self._wake.set()

    def want(self, symbol: str, open_ms: int) -> None:
        """Ask for one minute that is known to be missing, as soon as REST's row is final."""
        at = (open_ms + MINUTE_MS + SETTLED_MS) / 1000 + 1.0
        if self._absences.want((symbol, open_ms), at):
            self._metrics.gap_candles_found.labels(reason="roll_call").inc()
            self._set_open(self._open_minutes + 1)
            self._wake.set()

    async def run(self) -> None:
        """Repair until cancelled."""
        await self._universe.ready.wait()
        self._symbols = self._universe.symbols
        with self._universe.telling(self._follow):
            while True:
                await self._wait()
                await self._try()

    def _follow(self, symbols: frozenset[str]) -> None:
        if symbols - self._symbols:
            # Its listing may have begun before we knew of it.
            self.trigger("listing")
        self._symbols = symbols

    async def _try(self) -> None:
        try:
            await self.repair()
        except (Retryable, Misconfigured) as error:
            delay = max(self._backoff.next(), getattr(error, "retry_after", 0.0))
            _log.warning("holes_unreadable", msg=str(error), reason=error.reason, retry_in=round(delay, 1))
            await asyncio.sleep(delay)
        else:
            self._backoff.reset()

    async def repair(self) -> None:
        """One pass: scan if one is due, then ask for what is missing. Raises what the finder raises."""
        self._wake.clear()
        now = self._clock.now()
        released = self._pauses.release(now)
        if self._reason or released or now >= self._next_scan:
            gaps = await self._scan()
        else:
            gaps = [
                Gap(symbol, open_ms, open_ms + MINUTE_MS, "roll_call")
                for symbol, open_ms in self._absences.due(now, self._pauses)
            ]
        if requests := plan(gaps):
            await self._ask_all(requests)

    async def _ask_all(self, requests: Sequence[Request]) -> None:
        self._unanswered, self._pause = [], _RETRY_UNANSWERED
        asked = 0

        async def ask(request: Request) -> None:
            # A day's plan takes minutes of budget. When the next look is due it is left where it is: what was too
            # young for this look is the newest then, and goes first.
            nonlocal asked
            if self._clock.now() < self._next_scan:
                asked += 1
                await self._ask(request)

        await for_each(requests, ask, limit=self._concurrency, name="repair")
        unanswered = len(self._unanswered)
        self._pauses.hold(self._unanswered, self._clock.now() + self._pause)
        left = len(requests) - asked
        _log.info("holes_asked", msg="asked REST for holes", requests=asked, left=left, unanswered=unanswered)

    async def _wait(self) -> None:
        now = self._clock.now()
        due = (self._next_scan, self._absences.next_due(self._pauses), self._pauses.next_release())
        left = 0.0 if self._reason else min(at for at in due if at is not None) - now
        # BINANCE_WS_GAP_INTERVAL may be a day.
        with suppress(TimeoutError), outside("the next search for holes"):
            async with asyncio.timeout(self._clock.wall(left, at_least=_LOOP_FLOOR)):
                await self._wake.wait()

    async def _scan(self) -> list[Gap]:
        """All missing minutes that may be asked for now."""
        now_ms = self._clock.now_ms()
        until_ms = floor_minute(now_ms - SETTLED_MS)
        windows = self._universe.windows(now_ms - self._lookback_ms, until_ms)
        # A row that is committed while the query runs is in neither the query's snapshot nor the buffer after it.
        held = self._buffer.keys()
        holes, reason = await self._find(windows, until_ms)
        now = self._clock.now()
        if reason != "interval":
            self._next_scan = now + _SECOND_LOOK
        elif now >= self._next_scan:
            self._next_scan = now + self._interval
        self._absences.forget(now_ms - self._lookback_ms)
        missing = subtract(clip(holes, windows), held | self._buffer.keys())
        self._set_open(sum(gap.minutes for gap in missing))
        gaps = subtract(
            [gap for gap in missing if gap.symbol not in self._pauses], self._absences.waiting(now_ms / 1000)
        )
        found = sum(gap.minutes for gap in gaps)
        self._metrics.gap_candles_found.labels(reason=reason).inc(found)
        _log.info(
            "holes_scanned", msg=f"{found} minutes to ask for", reason=reason, open_minutes=self._open_minutes
        )
        return gaps

    async def _find(self, windows: Mapping[str, Sequence[Span]], until_ms: int) -> tuple[list[Gap], Reason]:
        reason = self._take_reason()
        try:
            return await self._finder.holes(
                {symbol: spans[0][0] for symbol, spans in windows.items()}, until_ms
            ), reason
        except BaseException:
            self._reason = reason
            raise

    def _take_reason(self) -> Reason:
        # Before the query: a trigger that comes while it runs must cause another scan.
        reason, self._reason = self._reason or "interval", None
        return reason

    async def _ask(self, request: Request) -> None:
        try:
            rows = await self._history.candles(
                request.symbol, request.from_ms, request.to_ms, priority=Priority.REPAIR
            )
        except UnknownSymbol:
            self._universe.refresh_soon()
            rows = []
        except (Retryable, BadData) as error:
            self._unanswered.append(request.symbol)
            self._pause = max(self._pause, getattr(error, "retry_after", 0.0))
            _log.info("repair_unanswered", msg=str(error), reason=error.reason)
            return
        except Permanent as error:
            # Refused for this symbol as it is now (its status, say): the others are asked on, it ever more seldom.
            _log.warning("repair_refused", msg=str(error), reason=error.reason, symbol=request.symbol)
            rows = []
        minutes = set(request.minutes())
        wanted = [row for row in rows if row.open_ms in minutes]
        for some in pieces(wanted, _AT_ONCE):
            await self._take(some)
        now = self._clock.now()
        for open_ms in minutes - {row.open_ms for row in wanted}:
            self._absences.absent((request.symbol, open_ms), now)

    async def _take(self, rows: Sequence[Candle]) -> None:
        """Into the buffer, when there is room and it is our turn."""
        while True:
            await self._buffer.wait_for_room(len(rows))
            async with a_slice():
                if not self._buffer.has_room(len(rows)):
                    continue  # somebody was faster
                self._gate.fetched(rows, Origin.REPAIR)
                for row in rows:
                    self._absences.settle(row.key)
                    self._metrics.gap_candles_filled.labels(source=row.source).inc()
                self._set_open(self._open_minutes - len(rows))
                return

    def _set_open(self, minutes: int) -> None:
        self._open_minutes = max(minutes, 0)
        self._metrics.gap_minutes_open.set(self._open_minutes)
