"""What rows of every dataset have in common: what they are rows of, how far they are trusted, what a write did."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class Dataset(StrEnum):
    """What is collected, by the word in the column ``dataset``. Trades have no lines in the coverage ledger (0042)."""

    CANDLES = "candles_1m"
    METRICS = "metrics_5m"
    FUNDING = "funding"
    TRADES = "agg_trades"


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
class WriteResult:
    """What one committed transaction did with its rows; the first three add up to the rows given.

    ``corrected`` of the ``replaced`` had other values; the others only have a better source now. Told by the importer
    of archive files alone.
    """

    inserted: int
    replaced: int
    unchanged: int
    corrected: int = 0

    @property
    def rows(self) -> int:
        return self.inserted + self.replaced + self.unchanged
