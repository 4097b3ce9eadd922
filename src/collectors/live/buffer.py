"""The one place where candles wait for their commit: bounded, in order of arrival, one row per symbol-minute."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice

from ...model import Candle, Gap
from ...ports import Clock
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from .intervals import IntervalSet

DEFAULT_CAPACITY = 200_000
"""Rows. 740 symbols fill it in four and a half hours of an absent database; about 90 MB."""

_LEAST_CAPACITY = 10_000
"""Rows. Some 4 MB: to shed them would bring nothing."""
_REPAIR_SHARE = 0.2
"""Part of the capacity that repairs may fill; the rest is for what cannot be asked to wait."""

_Key = tuple[str, int]


class Origin(Enum):
    """How a row came here."""

    LIVE = "live"
    """From the stream."""
    ROLL_CALL = "roll_call"
    """Asked for seconds after its close; flushes at once."""
    CATCH_UP = "catch_up"
    """The same of a minute that was over before anybody listened: its age is that of the start."""
    REPAIR = "repair"
    """Asked for later; its age says nothing about the live path."""


@dataclass(slots=True)
class Row:
    """A candle in the buffer. ``arrived`` is on the clock's monotonic scale, venue seconds."""

    candle: Candle
    arrived: float
    origin: Origin


class CandleBuffer:
    """Candles on their way to the database.

    ``put`` never waits: of two rows for one minute the larger ``Candle.rank`` stays, and from a full buffer the
    oldest waiting row goes while its minute is kept as a gap. Rows leave like a transaction: ``take`` puts the
    oldest in flight, then each is committed or rejected, or all are restored; until then they count as buffered.
    At any time: rows put = committed + deduped + rejected + dropped + buffered.
    """

    def __init__(self, clock: Clock, metrics: Metrics, *, capacity: int = DEFAULT_CAPACITY) -> None:
        self.capacity = self._most = capacity
        self.urgent = False
        """True when a waiting row shall not wait for the window."""
        self.woken = asyncio.Event()
        """Set by the first row into an empty buffer and by urgent ones; cleared by whoever waits for it."""
        self._clock = clock
        self._metrics = metrics
        self._waiting: OrderedDict[_Key, Row] = OrderedDict()
        self._flight: dict[_Key, Row] = {}
        self._gaps = IntervalSet()
        self._gaps_in_flight: list[Gap] = []
        self._room = asyncio.Event()
        self._closed = False
        metrics.buffer_capacity_rows.set(capacity)
        metrics.buffer_rows.set_function(self.__len__)
        metrics.buffer_oldest.set_function(self._oldest_arrival)
        metrics.rows_deduped.labels(where="buffer")
        for reason in ("full", "closing"):  # a series that is there from the start can be alerted on
            metrics.rows_dropped.labels(reason=reason)

    def __len__(self) -> int:
        """All rows not yet committed, those in flight included."""
        return len(self._waiting) + len(self._flight)

    def __contains__(self, key: _Key) -> bool:
        return key in self._waiting or key in self._flight

    def keys(self) -> set[_Key]:
        """The symbol-minutes of all rows not yet committed."""
        return self._waiting.keys() | self._flight.keys()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def has_gaps(self) -> bool:
        return bool(len(self._gaps) or self._gaps_in_flight)

    @property
    def gap_minutes(self) -> int:
        """Minutes of dropped rows that no commit has written yet."""
        return self._gaps.minutes + sum(gap.minutes for gap in self._gaps_in_flight)

    def age(self) -> float:
        """Venue seconds since the oldest waiting row arrived, 0 when none waits."""
        row = next(iter(self._waiting.values()), None)
        return self._clock.monotonic() - row.arrived if row else 0.0

    def put(self, candle: Candle, origin: Origin = Origin.LIVE) -> None:
        """Take one candle; never waits and never raises."""
        if self._closed:
            self._drop(candle, "closing")
            return
        key = candle.key
        if self._is_known(key, candle, origin):
            self._metrics.rows_deduped.labels(where="buffer").inc()
        else:
            self._waiting[key] = Row(candle, self._clock.monotonic(), origin)
            self._shed()
        if origin in (Origin.ROLL_CALL, Origin.CATCH_UP) and self._waiting:
            self.urgent = True
        if self.urgent or len(self._waiting) == 1:
            self.woken.set()

    def _is_known(self, key: _Key, candle: Candle, origin: Origin) -> bool:
        if row := self._waiting.get(key):
            if candle.rank > row.candle.rank:
                # The place in the order stays: a better row must not make the minute wait longer.
                row.candle, row.origin = candle, origin
            return True
        in_flight = self._flight.get(key)
        return in_flight is not None and candle.rank <= in_flight.candle.rank

    def _shed(self) -> None:
        while self._waiting and len(self) > self.capacity:
            _, row = self._waiting.popitem(last=False)
            self._drop(row.candle, "full")

    def _drop(self, candle: Candle, reason: str) -> None:
        self._metrics.rows_dropped.labels(reason=reason).inc()
        if candle.key not in self._flight:
            self._gaps.add(candle.symbol, candle.open_ms)

    def take(self, max_rows: int) -> list[Row]:
        """Put the oldest rows in flight and return them sorted by key; nothing may be in flight already."""
        if self._flight:
            raise RuntimeError("one flush at a time: rows are still in flight")
        for key in list(islice(self._waiting, max_rows)):
            self._flight[key] = self._waiting.pop(key)
        self.urgent = self.urgent and bool(self._waiting)
        return sorted(self._flight.values(), key=_by_key)

    def take_gaps(self) -> list[Gap]:
        """Put the minutes of dropped rows in flight, to be written with the rows just taken."""
        self._gaps_in_flight += self._gaps.gaps("buffer_full")
        self._gaps.clear()
        return list(self._gaps_in_flight)

    def commit(self, rows: Iterable[Row], gaps: Iterable[Gap] = ()) -> None:
        """Forget rows and gaps in flight that the database has now."""
        for row in rows:
            del self._flight[row.candle.key]
        for gap in gaps:
            self._gaps_in_flight.remove(gap)
        self._room.set()

    def reject(self, row: Row, reason: str) -> None:
        """Forget one row in flight that the database will never take."""
        del self._flight[row.candle.key]
        self._metrics.rows_rejected.labels(reason=reason).inc()
        self._room.set()

    def restore(self) -> None:
        """Put everything still in flight back to the front; a better row that came meanwhile takes its place."""
        for key, row in reversed(self._flight.items()):
            if newer := self._waiting.get(key):
                newer.arrived = row.arrived
                self._metrics.rows_deduped.labels(where="buffer").inc()
            else:
                self._waiting[key] = row
            self._waiting.move_to_end(key, last=False)
        self._flight.clear()
        for gap in self._gaps_in_flight:
            self._gaps.add_gap(gap)
        self._gaps_in_flight.clear()
        self._room.set()

    async def wait_for_room(self, rows: int) -> None:
        """Wait until ``rows`` more fit into the share of repairs; put them before the next await, or look again."""
        while not self.has_room(rows):
            self._room.clear()
            # There is none for as long as the database is away.
            with outside("room in the buffer"):
                await self._room.wait()

    def has_room(self, rows: int) -> bool:
        """Whether ``rows`` more fit into the share of repairs; into an empty buffer any number does."""
        return not len(self) or len(self) + rows <= int(self.capacity * _REPAIR_SHARE)

    def hold(self, held: bool) -> None:
        """Grow no further than now while memory is short: for each row that comes the oldest goes."""
        self.capacity = min(max(len(self), _LEAST_CAPACITY), self._most) if held else self._most
        self._metrics.buffer_capacity_rows.set(self.capacity)

    def close(self) -> None:
        """Take no more rows: what still comes is dropped and counted, the next start reads it back."""
        self._closed = True
        self.woken.set()

    def _oldest_arrival(self) -> float:
        row = next(iter(self._flight.values()), None) or next(iter(self._waiting.values()), None)
        return self._clock.now() - (self._clock.monotonic() - row.arrived) if row else 0.0


def _by_key(row: Row) -> _Key:
    return row.candle.key
