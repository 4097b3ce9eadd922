"""The values marketd moves about: frozen, slotted, with units in their docstrings.

Times are integer milliseconds since 1970-01-01 UTC, as the venue sends them, so that no float and no
time zone can shift a minute. Prices are in the quote asset, volumes in the base asset, quote volumes in
the quote asset, all ``float`` (exact to 15 significant digits, see docs/adr/0001-candles-are-float8.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

MINUTE_MS = 60_000
DAY_MS = 86_400_000


class Authority(IntEnum):
    """How far a row is to be trusted; a row is never replaced by one of less authority."""

    FOREIGN = 0
    """Taken over from another program's tables."""
    STREAM = 1
    """The live stream, or REST asked less than 60 s after the close."""
    REST = 2
    """REST asked at least 60 s after the close."""
    ARCHIVE = 3
    """The venue's published archive."""


@dataclass(frozen=True, slots=True)
class Candle:
    """One closed 1m candle: key (symbol, open_ms), values, and where they come from.

    ``None`` means the source did not say; it is never used for zero. ``revision`` counts republications of
    an archive file and is 0 elsewhere. ``source`` is a label for people (``binance_ws``, ``binance_rest``).
    """

    symbol: str
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float | None
    trade_count: int | None
    taker_buy_volume: float | None
    taker_buy_quote_volume: float | None
    source: str
    authority: Authority
    revision: int = 0

    @property
    def key(self) -> tuple[str, int]:
        return (self.symbol, self.open_ms)

    @property
    def close_ms(self) -> int:
        """The first instant after the minute, UTC milliseconds."""
        return self.open_ms + MINUTE_MS

    @property
    def values(self) -> tuple[float | int | None, ...]:
        """The nine market values in table order: o h l c, volume, quote volume, trades, taker volumes."""
        return (
            self.open,
            self.high,
            self.low,
            self.close,
            self.volume,
            self.quote_volume,
            self.trade_count,
            self.taker_buy_volume,
            self.taker_buy_quote_volume,
        )

    @property
    def rank(self) -> tuple[float | int | str, ...]:
        """Total order among rows of one minute; the larger one wins, here and in ``sql/queries/candles.sql``.

        Completeness, then authority (an archive row without trades counts as none), revision, trade count,
        then the values themselves and where they come from, so that any order of arrival leaves the same row.
        """
        complete = None not in self.values
        doubtful = self.authority is Authority.ARCHIVE and not self.trade_count
        known = tuple(-1 if value is None else value for value in reversed(self.values))
        trades = -1 if self.trade_count is None else self.trade_count
        trust = int(self.authority)
        return (complete, 0 if doubtful else trust, self.revision, trades, *known, trust, self.source)


class ContractStatus(StrEnum):
    """``status`` of exchangeInfo and ``cs`` of ``!contractInfo``; an unknown word becomes OTHER."""

    PENDING_TRADING = "PENDING_TRADING"
    TRADING = "TRADING"
    PRE_DELIVERING = "PRE_DELIVERING"
    DELIVERING = "DELIVERING"
    DELIVERED = "DELIVERED"
    PRE_SETTLE = "PRE_SETTLE"
    SETTLING = "SETTLING"
    CLOSE = "CLOSE"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True)
class Instrument:
    """One listing of one contract, from onboard (inclusive) to delivery (exclusive), UTC milliseconds.

    A symbol listed again later is another instrument. Tick and step sizes are the venue's decimal text.
    """

    symbol: str
    base: str
    quote: str
    contract_type: str
    status: ContractStatus
    onboard_ms: int
    delivery_ms: int
    tick_size: str
    step_size: str


@dataclass(frozen=True, slots=True)
class ContractChange:
    """One ``!contractInfo`` event: a listing, halt or delisting as it happens."""

    symbol: str
    contract_type: str
    status: ContractStatus
    onboard_ms: int
    delivery_ms: int
    event_ms: int


@dataclass(frozen=True, slots=True, order=True)
class Gap:
    """Minutes of one symbol that are not stored: [from_ms, to_ms), both minute starts, UTC milliseconds."""

    symbol: str
    from_ms: int
    to_ms: int
    reason: str

    @property
    def minutes(self) -> int:
        return (self.to_ms - self.from_ms) // MINUTE_MS


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What one committed transaction did with its rows; the three add up to the rows given."""

    inserted: int
    replaced: int
    unchanged: int

    @property
    def rows(self) -> int:
        return self.inserted + self.replaced + self.unchanged


def floor_minute(ms: float) -> int:
    """The start of the minute that holds ``ms``."""
    return int(ms) // MINUTE_MS * MINUTE_MS
