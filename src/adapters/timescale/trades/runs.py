"""Stored trades as runs of ids, which is how the reach and the gaps of a listing learn of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ..ledger.days import utc


@dataclass(frozen=True, slots=True)
class Run:
    """Stored trades of one listing with ids [first_id, last_id], all of them, and the times of both ends."""

    symbol: str
    listing_ms: int
    first_id: int
    last_id: int
    first_ts: datetime
    last_ts: datetime

    @property
    def ids(self) -> int:
        return self.last_id - self.first_id + 1


def run_columns(exchange: str, runs: Sequence[Run]) -> dict[str, object]:
    """The parameters of ``trades.account``."""
    return {
        "exchange": exchange,
        "symbols": [run.symbol for run in runs],
        "listings": [utc(run.listing_ms) for run in runs],
        "first_ids": [run.first_id for run in runs],
        "last_ids": [run.last_id for run in runs],
        "first_ts": [run.first_ts for run in runs],
        "last_ts": [run.last_ts for run in runs],
    }
