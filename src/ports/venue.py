"""The venue live and over REST."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum
from typing import Protocol

from ..model import Candle, ContractChange, Instrument


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
