"""Which minutes of the sandbox cross a price, also those to come."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from src.sandbox import Sandbox
from src.sandbox.market.candles import candle


@dataclass(frozen=True, slots=True)
class Alert:
    """``earliest`` and ``latest`` are the minutes since 1970 between which it was made."""

    number: int
    price: float
    direction: str
    earliest: int
    latest: int

    def is_crossed(self, before: float, after: float) -> bool:
        return before > self.price >= after if self.direction == "long" else before < self.price <= after


def soon_crossed(closes: list[float]) -> tuple[float, str]:
    """A price that the closes cross as often as any, and from which side they do."""
    counted = [
        (
            sum(
                before > price >= after if way == "long" else before < price <= after
                for before, after in pairwise(closes)
            ),
            price,
            way,
        )
        for way in ("long", "short")
        for price in (round((one + other) / 2, 8) for one, other in pairwise(closes))
    ]
    _, price, way = max(counted)
    return price, way


def closes_of(sandbox: Sandbox, symbol: str, first: int, end: int) -> list[float]:
    """What minutes [first, end) since 1970 close at, also those to come."""
    traits = sandbox.venue.universe.instruments[symbol].traits
    return [float(candle(traits, minute).close) for minute in range(first, end)]
