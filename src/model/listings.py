"""What is traded, and when it was."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .times import MINUTE_MS, floor_minute


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
class Listing:
    """One time of trading of a symbol: [onboard_ms, end_ms), UTC milliseconds. Listed again is another one."""

    symbol: str
    onboard_ms: int
    end_ms: int

    def expects(self, open_ms: int) -> bool:
        """Whether the whole minute lies inside, so that its candle must exist."""
        return self.onboard_ms <= open_ms and open_ms + MINUTE_MS <= self.end_ms

    def admits(self, open_ms: int) -> bool:
        """Whether any part of the minute lies inside, so that its candle may exist."""
        return floor_minute(self.onboard_ms) <= open_ms < self.end_ms

    def window(self, since_ms: int, until_ms: int) -> tuple[int, int]:
        """The expected minutes within [since_ms, until_ms) as minute starts; empty when the first is not less."""
        first = -(-max(self.onboard_ms, since_ms) // MINUTE_MS) * MINUTE_MS
        return first, floor_minute(min(self.end_ms, until_ms))


@dataclass(frozen=True, slots=True)
class ContractChange:
    """One ``!contractInfo`` event: a listing, halt or delisting as it happens."""

    symbol: str
    contract_type: str
    status: ContractStatus
    onboard_ms: int
    delivery_ms: int
    event_ms: int
