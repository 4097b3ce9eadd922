"""Trades: where they come from and go, and what is known of their ids."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..model import ArchiveFile, Trade, TradeGap, TradeListing, TradeReach, TradeResult, WriteResult
from .venue import Priority


class TradeSink(Protocol):
    """Where trades of one exchange go. One transaction a call; a trade whose id is there is never replaced.

    Raises ``Retryable`` (nothing is known to be stored: write the same again), ``BadData`` or ``Misconfigured``.
    """

    async def write(self, trades: Sequence[Trade]) -> TradeResult: ...


class TradeSource(Protocol):
    """The venue's trades over REST, at most 1000 a call, in order of ids, fewer where the venue has fewer.

    ``from_id`` gives those with that id and later ones, ``since`` those at that time (UTC ms) and later ones. Calls
    wait for budget and retry what is ``Retryable`` within reason; raise that, ``UnknownSymbol``, or ``NotPublished``
    for what is too old for REST (48 h of futures).
    """

    async def from_id(self, symbol: str, first_id: int, *, priority: Priority) -> list[Trade]: ...

    async def since(self, symbol: str, since_ms: int, *, priority: Priority) -> list[Trade]: ...


class TradeLedger(Protocol):
    """Which ids of each listing of each symbol are there.

    ``listings`` gives those of each symbol in order, at least one; ``reach`` is by symbol and start of the listing.
    ``open_gaps`` are those that are looked for and due, the newest first; ``asked`` notes that one was looked for in
    vain. ``settle`` leaves gaps that end before ``since_ms`` (and takes up those that no longer do), and notes as
    absent what the archive's imported files lack too; it returns how many those were. ``watermark`` is the id and the
    time (UTC ms) up to which each symbol is closed, of what lies behind ``since_ms``.
    """

    async def listings(self, symbols: Collection[str]) -> Mapping[str, Sequence[TradeListing]]: ...

    async def reach(self) -> dict[tuple[str, int], TradeReach]: ...

    async def watermark(self, since_ms: int) -> dict[str, tuple[int, int]]: ...

    async def open_gaps(self, symbols: Collection[str], now_ms: int, limit: int) -> list[TradeGap]: ...

    async def asked(self, gap: TradeGap, now_ms: int) -> None: ...

    async def settle(self, symbols: Collection[str], since_ms: int) -> int: ...


class TradeFiles(Protocol):
    """Puts a file of trades into the database, ``piece_rows`` lines in one transaction.

    A ``.csv``, or a ZIP with one; of its bytes the first ``percentage``, up to the end of a line. Without ``sha256``
    it is not the archive's file: its member may have any name, and any day be in it. The archive's own, read whole,
    has its line in ``archive_files`` after the last piece. What was stored before an error stays, and is accounted
    for. Raises ``BadData``, ``Retryable`` or ``Misconfigured``.
    """

    async def import_trades(
        self,
        file: ArchiveFile,
        local: Path,
        sha256: str,
        *,
        percentage: float = 100.0,
        piece_rows: int = 100_000,
    ) -> WriteResult: ...


@dataclass(frozen=True, slots=True)
class Collected:
    """Which file was imported (a path on this machine, or of the archive), and what became of its rows."""

    file: str
    result: WriteResult


class TradeCollector(Protocol):
    """Imports one file of a symbol's trades: the newest in the person's folder, else the archive's newest day.

    ``market`` is ``spot`` or ``futures``; ``label`` names a day or a month. ``tell`` hears which file it is. Raises
    ``NotPublished``, ``BadData`` (also for parameters), ``Retryable``, ``Misconfigured`` or ``OSError``.
    """

    async def collect(
        self,
        symbol: str,
        market: str,
        *,
        label: str | None,
        percentage: float,
        piece_rows: int,
        tell: Callable[[str], Awaitable[None]],
    ) -> Collected: ...


TradeHandler = Callable[[Trade], None]
"""Takes one trade from the stream, at once and without waiting."""


class LiveTrades(Protocol):
    """The live stream of trades; see ``ports.CandleStream``."""

    def set_symbols(self, symbols: Collection[str]) -> None: ...

    async def run(self) -> None: ...
