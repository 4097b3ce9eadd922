"""Trades: where they go and what is known of their ids."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from ..model import Trade, TradeGap, TradeReach, TradeResult


class TradeSink(Protocol):
    """Where trades of one exchange go. One transaction a call; a trade whose id is there is never replaced.

    Raises ``Retryable`` (nothing is known to be stored: write the same again), ``BadData`` or ``Misconfigured``.
    """

    async def write(self, trades: Sequence[Trade]) -> TradeResult: ...


class TradeLedger(Protocol):
    """Which ids of each symbol are there.

    ``open_gaps`` are those that are looked for and due, the newest first; ``asked`` notes that one was looked for in
    vain. ``settle`` leaves gaps that end before ``since_ms`` (and takes up those that no longer do), and notes as
    absent what the archive's imported files lack too; it returns how many those were. ``watermark`` is the id and the
    time (UTC ms) up to which each symbol is closed, of what lies behind ``since_ms``.
    """

    async def reach(self) -> dict[str, TradeReach]: ...

    async def watermark(self, since_ms: int) -> dict[str, tuple[int, int]]: ...

    async def open_gaps(self, symbols: Collection[str], now_ms: int, limit: int) -> list[TradeGap]: ...

    async def asked(self, gap: TradeGap, now_ms: int) -> None: ...

    async def settle(self, symbols: Collection[str], since_ms: int) -> int: ...
