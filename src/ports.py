"""What each consumer needs from the others, as Protocols of one to four methods.

Adapters satisfy them, collectors and jobs are written against them, ``wiring`` joins the two.
Lifecycle, the same everywhere: constructing does no I/O; ``open`` does; ``run`` works until cancelled and
re-raises ``CancelledError`` after letting go of what it holds; ``close`` may be called without ``open``
and twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import IntEnum
from typing import Protocol

from .model import Candle, ContractChange, Gap, Instrument, WriteResult


class Clock(Protocol):
    """Venue time; see ``clock.VenueClock`` for the two scales."""

    @property
    def speed(self) -> float: ...

    def now(self) -> float: ...

    def now_ms(self) -> int: ...

    def monotonic(self) -> float: ...

    def wall(self, seconds: float, *, at_least: float = 0.0) -> float: ...

    async def sleep(self, seconds: float) -> None: ...

    async def sleep_until(self, moment: float) -> None: ...


class SettableClock(Clock, Protocol):
    """A clock that adopts the venue's time."""

    def set(self, venue_now: float) -> float: ...


class Priority(IntEnum):
    """Who is served first when the venue's budget is scarce; a smaller number goes first."""

    ROLL_CALL = 0
    METRICS = 1
    REPAIR = 2
    HISTORY = 3
    VERIFY = 4


class CandleHandler(Protocol):
    """Takes one closed candle from the stream, at once and without waiting."""

    def __call__(self, candle: Candle) -> None: ...


class ContractHandler(Protocol):
    """Takes one listing event from the stream, at once and without waiting."""

    def __call__(self, change: ContractChange) -> None: ...


class CandleStream(Protocol):
    """The live stream of closed 1m candles; one instance owns all its connections.

    ``set_symbols`` states what shall be subscribed; the difference is applied while running.
    ``resubscribe`` is for a symbol that REST shows trading while the stream is silent; asked a second
    time within ten minutes, the symbol moves to another connection.
    """

    def set_symbols(self, symbols: Collection[str]) -> None: ...

    def resubscribe(self, symbol: str) -> None: ...

    async def run(self) -> None: ...


class History(Protocol):
    """The venue's REST side. Calls wait for budget, retry what is ``Retryable`` within reason, then raise it.

    ``server_time`` is in epoch seconds, corrected by half the round trip.
    ``candles`` returns the closed candles of [from_ms, to_ms) in order, at most 499 minutes a call, fewer
    where the venue has fewer; rows still open are never among them. Raises ``UnknownSymbol``.
    """

    async def server_time(self) -> float: ...

    async def instruments(self) -> list[Instrument]: ...

    async def candles(self, symbol: str, from_ms: int, to_ms: int, *, priority: Priority) -> list[Candle]: ...


class CandleSink(Protocol):
    """Where candles go. One transaction a call; when ``write`` returns, the rows are in the database.

    ``open`` connects, refuses a schema with pending migrations (``ConfigError``) and takes the instance lock
    (``AlreadyRunning``); called again after a lost connection it makes a new one.
    ``write`` and ``quarantine`` raise ``Retryable`` (nothing is known to be stored: write the same rows
    again), ``BadData`` (a row in the batch is unusable: bisect) or ``Misconfigured`` (keep the rows, stop
    writing).
    Only one call runs at a time; the caller sees to it.
    """

    async def open(self) -> None: ...

    async def write(self, candles: Sequence[Candle], gaps: Sequence[Gap]) -> WriteResult: ...

    async def quarantine(self, candle: Candle, *, reason: str, detail: str) -> None: ...

    async def close(self) -> None: ...


class HoleFinder(Protocol):
    """Finds the minutes that are not stored.

    ``holes`` looks at [since[symbol], until_ms) for each symbol, exact to the minute, merged into the fewest
    gaps, ordered by symbol and time. Raises ``Retryable`` or ``Misconfigured``.
    """

    async def holes(self, since: Mapping[str, int], until_ms: int) -> list[Gap]: ...
