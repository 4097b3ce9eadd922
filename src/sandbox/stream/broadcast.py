"""The pump: open frames four times a wall second, each closed frame at its delay, pings, ages, listings."""

from __future__ import annotations

import heapq
import time

from ..clock import SandboxClock
from ..faults import Kind
from ..market.candles import MINUTE_MS, unit
from ..market.universe import Instrument
from ..rest.trade_serving import TradePump
from . import frames
from .connections import DAY_MS, Hub
from .frames import Minute

SLICES = 5
"""Each quarter second is cut into this many parts, each with its share of the symbols."""
TICK_S = 0.25 / SLICES
"""Wall seconds."""
BATCH_S = 0.004
"""Wall seconds during which closed frames that fall due are collected."""
PING_MS = 180_000
PONG_MS = 600_000
_CATCH_UP = 60
"""After a stop of the whole process, closes of at most this many past minutes are pushed."""

Due = tuple[float, int, Instrument, int, bool]
"""(exchange ms, order, instrument, minute, already put off by a fault)."""


class Broadcaster:
    """Pushes the market to subscribers. One task; everything it sends is decided by the clock."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._venue = hub.venue
        self._trades = TradePump(hub)
        self._due: list[Due] = []
        self._order = 0
        self._open: dict[str, Minute | None] = {}
        self._minute = self._venue.clock.now_ms() // MINUTE_MS
        self._slice = 0
        self._second = 0
        self._last_closed: dict[str, int] = {}

    async def run(self) -> None:
        """Run until cancelled."""
        clock = self._venue.clock
        next_tick = time.monotonic()
        while True:
            now = clock.now_ms()
            self._turn_minutes(now)
            self._push_due(now)
            if time.monotonic() >= next_tick:
                self._tick(now)
                next_tick = max(next_tick + TICK_S, time.monotonic())
            self._hub.flush()
            await clock.sleep_until(self._next_ms(clock, next_tick), at_least=BATCH_S)

    def _next_ms(self, clock: SandboxClock, next_tick: float) -> float:
        tick_ms = clock.now_ms() + max(next_tick - time.monotonic(), 0) * 1000 * clock.speed
        minute_ms = (self._minute + 1) * MINUTE_MS
        return min(tick_ms, minute_ms, self._due[0][0] if self._due else tick_ms)

    def _turn_minutes(self, now_ms: int) -> None:
        """When minutes have ended, put their closed frames on the schedule."""
        current = now_ms // MINUTE_MS
        if current == self._minute:
            return
        # After a stop of the whole process a symbol may have begun in a minute that is over by now.
        self._begin_listings(now_ms)
        for minute in range(max(self._minute, current - _CATCH_UP), current):
            for instrument in self._venue.universe.instruments.values():
                if instrument.trades(minute):
                    self._schedule(self._venue.final_ms(instrument, minute), instrument, minute)
        self._minute = current
        self._open.clear()

    def _schedule(self, due_ms: float, instrument: Instrument, minute: int, *, late: bool = False) -> None:
        self._order += 1
        heapq.heappush(self._due, (due_ms, self._order, instrument, minute, late))

    def _push_due(self, now_ms: int) -> None:
        while self._due and self._due[0][0] <= now_ms:
            due_ms, _, instrument, minute, late = heapq.heappop(self._due)
            if instrument.stream not in self._hub.subscribers:
                continue
            if late or not self._put_off(due_ms, instrument, minute):
                lag_ms = (now_ms - due_ms) / self._venue.clock.speed
                self._venue.stats.worst_lag_ms = max(self._venue.stats.worst_lag_ms, lag_ms)
                self.push_closed(instrument, minute)

    def _put_off(self, due_ms: float, instrument: Instrument, minute: int) -> bool:
        """True if a fault delays or drops this close."""
        faults = self._venue.faults
        if not faults.any(Kind.DROP_CLOSE, Kind.LATE_CLOSE, Kind.SHUFFLE):
            return False
        if faults.hit(Kind.DROP_CLOSE, symbol=instrument.symbol):
            self._venue.stats.suppressed[Kind.DROP_CLOSE] += 1
            return True
        if fault := faults.hit(Kind.LATE_CLOSE, symbol=instrument.symbol):
            self._schedule(due_ms + fault.seconds * 1000, instrument, minute, late=True)
            return True
        if fault := faults.hit(Kind.SHUFFLE, symbol=instrument.symbol):
            wait = unit(instrument.traits.key ^ 0x5FF1E ^ minute << 20) * fault.seconds * 1000
            self._schedule(due_ms + wait, instrument, minute, late=True)
            return True
        return False

    def push_closed(self, instrument: Instrument, minute: int) -> None:
        """Push the one frame of a minute that says it is closed; nothing for a minute without trades."""
        minute_frames = self._venue.frames(instrument, minute)
        if minute_frames is None:
            return
        venue, symbol = self._venue, instrument.symbol
        raw = minute_frames.closed_frame(venue.clock.stated_ms())
        copies = 1
        if venue.faults.any(Kind.DUPLICATE, Kind.WRONG_TIME, Kind.WRONG_VALUES):
            raw = self._mistimed(raw, symbol, minute_frames)
            if fault := venue.faults.hit(Kind.WRONG_VALUES, symbol=symbol):
                raw = frames.misvalued(raw, fault.mode)
            if fault := venue.faults.hit(Kind.DUPLICATE, symbol=symbol):
                copies += fault.copies
        sent = self._hub.push(instrument.stream, raw, "close", symbol=symbol, copies=copies)
        venue.stats.closes_by_symbol[symbol] += bool(sent)
        if self._last_closed.get(symbol, 0) > minute:
            venue.stats.out_of_order += 1
        self._last_closed[symbol] = max(minute, self._last_closed.get(symbol, 0))

    def _mistimed(self, raw: bytes, symbol: str, minute_frames: Minute) -> bytes:
        if not (fault := self._venue.faults.hit(Kind.WRONG_TIME, symbol=symbol)):
            return raw
        return frames.mistimed(raw, minute_frames.kline, unit=fault.mode, shift_ms=int(fault.seconds * 1000))

    def _tick(self, now_ms: int) -> None:
        """One slice of the open frames; what is due every second is looked at in each."""
        self._slice = (self._slice + 1) % SLICES
        stated, step = self._venue.clock.stated_ms(), self._venue.step(now_ms)
        instruments = self._venue.universe.by_stream
        for stream in list(self._hub.subscribers):
            if (instrument := instruments.get(stream)) and instrument.traits.key % SLICES == self._slice:
                self._push_open(instrument, stream, step, stated)
        self._trades.push(now_ms)
        if now_ms // 1000 != self._second:
            self._second = now_ms // 1000
            self._push_mark_prices(stated)
            self._look_after_connections(now_ms)
            self._begin_listings(now_ms)

    def _push_open(self, instrument: Instrument, stream: str, step: int, stated_ms: int) -> None:
        symbol = instrument.symbol
        if symbol not in self._open:
            self._open[symbol] = self._venue.frames(instrument, self._minute)
        minute_frames = self._open[symbol]
        if minute_frames is None or (raw := minute_frames.open_frame(step, stated_ms)) is None:
            return
        self._hub.push(stream, raw, "open", symbol=symbol)

    def _push_mark_prices(self, stated_ms: int) -> None:
        for stream in list(self._hub.subscribers):
            name, _, kind = stream.partition("@")
            if kind not in {"markPrice", "markPrice@1s"}:
                continue
            instrument = self._venue.universe.by_stream.get(f"{name}@kline_1m")
            if instrument and (kline := self._venue.kline(instrument, self._minute)):
                raw = frames.mark_price(instrument.symbol, kline.open, stated_ms)
                self._hub.push(stream, raw, "other")

    def _begin_listings(self, now_ms: int) -> None:
        for instrument in self._venue.universe.due(now_ms):
            self.announce(instrument)

    def announce(self, instrument: Instrument) -> None:
        """Push ``!contractInfo`` for a changed instrument."""
        raw = frames.contract_info(instrument.info, self._venue.clock.stated_ms())
        self._hub.push("!contractInfo", raw, "other")

    def burst(self, times: int) -> int:
        """Push the closes of the last final minute of every symbol ``times`` times over; returns how many frames."""
        minute = (self._venue.clock.now_ms() - 25_000) // MINUTE_MS - 1
        before = self._venue.stats.frames["close"]
        for _ in range(times):
            for instrument in list(self._venue.universe.instruments.values()):
                if instrument.stream in self._hub.subscribers:
                    self.push_closed(instrument, minute)
        self._hub.flush()
        return self._venue.stats.frames["close"] - before

    def _look_after_connections(self, now_ms: int) -> None:
        """Server pings, the end of those that never pong, and the cut at 24 hours (or a fault's age)."""
        faults = self._venue.faults.active(Kind.MAX_AGE)
        fault = faults[0] if faults else None
        oldest = fault.seconds * 1000 if fault else DAY_MS
        for connection in list(self._hub.connections.values()):
            if now_ms - connection.opened_ms >= oldest and connection.usable:
                if fault:
                    self._venue.faults.fire(fault)
                connection.close(1001, "24 hours")
            elif now_ms - connection.pong_ms > PONG_MS:
                connection.reset("no pong")
            elif now_ms - connection.pinged_ms >= PING_MS:
                connection.ping(now_ms)
