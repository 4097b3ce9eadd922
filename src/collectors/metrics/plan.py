"""What the metrics sweep has to ask for, and which series it leaves alone for a while. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from ...model import FIVE_MINUTES_MS
from ...ports.metrics import MetricSeries, Reach

MOST_ROWS = 500
"""What one request can bring: 41 h. What lies further back comes from the archive."""
SETTLE_MS = 65_000
"""A period's row is asked for this long after its end: the venue needs up to a minute to make it."""

_FAILURES = 3
_REST_S, _LONGEST_REST_S = 60.0, 600.0


@dataclass(slots=True)
class Known:
    """How far each series of one symbol goes, how large its open interest is, when it may be asked again."""

    ends: dict[MetricSeries, int] = field(default_factory=dict)
    value: Decimal = Decimal(0)
    hold_until: float = 0.0

    @classmethod
    def of(cls, reach: Reach | None) -> Known:
        return cls() if reach is None else cls(dict(reach.ends), reach.value)


def newest_due(now_ms: int) -> int:
    """The end of the newest period whose row should be there."""
    return (now_ms - SETTLE_MS) // FIVE_MINUTES_MS * FIVE_MINUTES_MS


def next_due(now_ms: int) -> int:
    """When the next row should be there, UTC milliseconds."""
    return newest_due(now_ms) + FIVE_MINUTES_MS + SETTLE_MS


def lacking(known: Known, now_ms: int) -> dict[MetricSeries, tuple[int, int]]:
    """What each series lacks up to the newest row that is due: after < end_ms <= until, in milliseconds.

    Both bounds are sent. With a ``limit`` alone the row of a period that ends meanwhile would push out the oldest.
    """
    due_ms = newest_due(now_ms)
    first_ms = due_ms - MOST_ROWS * FIVE_MINUTES_MS
    after = {series: max(known.ends.get(series, first_ms), first_ms) for series in MetricSeries}
    return {series: (after_ms, due_ms) for series, after_ms in after.items() if after_ms < due_ms}


def in_order(symbols: Collection[str], known: Mapping[str, Known]) -> list[str]:
    """The largest open interest first, new symbols after those that have some, by name where it is equal."""
    nobody = Known()
    return sorted(symbols, key=lambda symbol: (-known.get(symbol, nobody).value, symbol))


class Breaker:
    """Leaves one series alone after three failures in a row: 1, 2, 4 .. 10 min of venue time, then one more try."""

    def __init__(self) -> None:
        self._failures = 0
        self._until = 0.0

    def is_open(self, now: float) -> bool:
        """True while the series is left alone."""
        return now < self._until

    def failed(self, now: float) -> None:
        """One request got no answer. Those that were under way when it began to rest count once."""
        if self.is_open(now):
            return
        self._failures += 1
        if self._failures >= _FAILURES:
            rest = min(_REST_S * 2 ** min(self._failures - _FAILURES, 8), _LONGEST_REST_S)
            self._until = now + rest

    def answered(self) -> None:
        """It works."""
        self._failures, self._until = 0, 0.0
