"""One aggregate trade, and ids that are not there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

FIRST_LISTING_MS = 0
"""Where the first listing of a symbol, or the only one that is known, begins for its trades."""


@dataclass(frozen=True, slots=True)
class Trade:
    """One aggregate trade: ``trade_id`` goes up by one with each of its symbol; ``ts_ms`` is UTC, floored to ms.

    ``price`` in the quote asset, ``quantity`` in the base asset. ``is_buyer_maker`` says that the taker sold.
    """

    symbol: str
    trade_id: int
    ts_ms: int
    price: float
    quantity: float
    is_buyer_maker: bool

    @property
    def key(self) -> tuple[str, int]:
        return (self.symbol, self.trade_id)


@dataclass(frozen=True, slots=True)
class TradeGap:
    """Ids [first_id, last_id] that are not stored, between trades at ``after_ms`` and ``before_ms`` (UTC ms).

    ``attempts`` counts how often they were looked for in vain. ``listing_ms`` says whose ids they are.
    """

    gap_id: int
    symbol: str
    first_id: int
    last_id: int
    after_ms: int
    before_ms: int
    attempts: int = 0
    listing_ms: int = FIRST_LISTING_MS

    @property
    def ids(self) -> int:
        return self.last_id - self.first_id + 1


@dataclass(frozen=True, slots=True)
class TradeReach:
    """The first and the last stored trade of one listing of a symbol, ids and times (UTC ms)."""

    symbol: str
    first_id: int
    last_id: int
    first_ms: int
    last_ms: int
    listing_ms: int = FIRST_LISTING_MS


@dataclass(frozen=True, slots=True)
class TradeListing:
    """One listing of a symbol: its trades are those of [start_ms, end_ms), UTC ms, and have ids of their own.

    ``start_ms`` of the first is ``FIRST_LISTING_MS``. ``folder`` is the archive's.
    """

    start_ms: int
    end_ms: int
    folder: str


def listing_of(ts_ms: int, cuts: Sequence[int]) -> int:
    """The start of the listing that a trade belongs to; ``cuts`` are those of all listings but the first, in order."""
    place = bisect_right(cuts, ts_ms)
    return cuts[place - 1] if place else FIRST_LISTING_MS


@dataclass(frozen=True, slots=True)
class TradeResult:
    """What one committed transaction did with its trades; the two add up to the trades given.

    ``differing`` of the ``unchanged`` say something else than the stored trade, which stays.
    ``gaps`` are the ids that are newly known to be missing, between these trades and those before.
    """

    inserted: int
    unchanged: int
    differing: tuple[Trade, ...] = ()
    gaps: int = 0
