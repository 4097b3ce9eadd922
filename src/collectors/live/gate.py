"""The gate every candle passes on its way into the buffer: right minute, right listing, really closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ...model import MINUTE_MS, Candle
from ...ports import Clock
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..listings.universe import Universe
from .attendance import Attendance
from .buffer import CandleBuffer, Origin

_log = get_logger("gate")

_FUTURE_MS = 2 * MINUTE_MS
"""A minute that begins later than this is nonsense (a wrong unit, a broken clock), not merely early."""
_EARLY_MS = 15_000
"""A closed frame may come this far ahead of our idea of the venue's time. Minutes lie on a grid, so a frame that names
the wrong one is off by a minute less its delay (24 s at most); what is less early than that is a skewed clock."""
_PUZZLING_MS = 2_000
"""So early that the clock should be set anew: it is good to within a round trip."""
_TOO_LATE_MS = 10 * MINUTE_MS
"""No stream delivers a minute this late; a frame that claims to is off by hours, or we were suspended that long.
Either way REST tells the truth."""


class CandleGate:
    """Counts every candle received and either puts it into the buffer or rejects it with a reason.

    ``live`` is the stream's handler. ``fetched`` takes rows of REST. ``on_early`` is called when the stream closes
    a minute that by our clock is clearly not over: either the frame or the clock is wrong, only the venue can say.
    """

    def __init__(
        self,
        universe: Universe,
        attendance: Attendance,
        buffer: CandleBuffer,
        clock: Clock,
        metrics: Metrics,
        *,
        on_early: Callable[[], None] | None = None,
    ) -> None:
        self._universe = universe
        self._attendance = attendance
        self._buffer = buffer
        self._clock = clock
        self._metrics = metrics
        self._on_early = on_early

    def live(self, candle: Candle) -> None:
        """Take one closed candle of the stream."""
        now_ms = self._clock.now_ms()
        if self._on_early and candle.close_ms > now_ms + _PUZZLING_MS:
            self._on_early()
        late = candle.close_ms < now_ms - _TOO_LATE_MS
        if self._passes(candle, "too_late" if late else self._fault_of(candle, now_ms, _EARLY_MS)):
            self._attendance.mark_live(candle)
            self._buffer.put(candle, Origin.LIVE)

    def fetched(self, candles: Iterable[Candle], origin: Origin) -> int:
        """Take candles that REST returned; returns how many passed."""
        passed, now_ms = 0, self._clock.now_ms()
        for candle in candles:
            if self._passes(candle, self._fault_of(candle, now_ms, 0)):
                self._attendance.mark_fetched(candle)
                self._buffer.put(candle, origin)
                passed += 1
        return passed

    def _passes(self, candle: Candle, fault: str | None) -> bool:
        self._metrics.rows_received.labels(source=candle.source).inc()
        if fault is None:
            return True
        self._metrics.rows_rejected.labels(reason=fault).inc()
        _log.warning("row_rejected", msg="a candle cannot be right", reason=fault, symbol=candle.symbol)
        return False

    def _fault_of(self, candle: Candle, now_ms: int, early_ms: int) -> str | None:
        if candle.open_ms % MINUTE_MS:
            return "not_a_minute"
        if candle.open_ms > now_ms + _FUTURE_MS:
            return "future"
        if candle.close_ms > now_ms + early_ms:
            return "still_open"
        if not self._universe.knows(candle.symbol):
            return "unknown_symbol"
        if not self._universe.admits(candle.symbol, candle.open_ms):
            return "outside_listing"
        return None
