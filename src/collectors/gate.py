"""The gate every candle passes on its way into the buffer: right minute, right listing, really closed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..model import MINUTE_MS, Candle
from ..ports import Clock
from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics
from .attendance import Attendance
from .buffer import CandleBuffer, Origin
from .universe import Universe

_log = get_logger("gate")

_FUTURE_MS = 2 * MINUTE_MS
"""A minute that begins later than this is nonsense (a wrong unit, a broken clock), not merely early."""
_EARLY_SECONDS = 2.0
"""How far ahead of our idea of the venue's time a closed frame may come: the clock is set to within a round trip."""
_EARLY_WALL_SECONDS = 0.2
"""The same as a floor in wall time, for clocks that run fast."""


class CandleGate:
    """Counts every candle received and either puts it into the buffer or rejects it with a reason.

    ``live`` is the stream's handler. ``fetched`` takes rows of REST. ``on_early`` is called when the stream closes
    a minute that by our clock is not over: either the frame or the clock is wrong, and only the venue can say.
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
        self._early_ms = int(1000 * max(_EARLY_SECONDS, _EARLY_WALL_SECONDS * clock.speed))

    def live(self, candle: Candle) -> None:
        """Take one closed candle of the stream."""
        if self._passes(candle, self._early_ms):
            self._attendance.mark_live(candle)
            self._buffer.put(candle, Origin.LIVE)

    def fetched(self, candles: Iterable[Candle], origin: Origin) -> int:
        """Take candles that REST returned; returns how many passed."""
        passed = 0
        for candle in candles:
            if self._passes(candle, 0):
                self._attendance.mark_fetched(candle)
                self._buffer.put(candle, origin)
                passed += 1
        return passed

    def _passes(self, candle: Candle, early_ms: int) -> bool:
        self._metrics.rows_received.labels(source=candle.source).inc()
        reason = self._fault_of(candle, self._clock.now_ms(), early_ms)
        if reason is None:
            return True
        self._metrics.rows_rejected.labels(reason=reason).inc()
        _log.warning("row_rejected", msg="a candle cannot be right", reason=reason, symbol=candle.symbol)
        if reason == "still_open" and early_ms and self._on_early:
            self._on_early()
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
