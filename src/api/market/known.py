"""What is known of a symbol before anything of it is read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Query

from ...model import Dataset
from ..parts import Parts
from ..problems import ProblemError, problem
from .instants import utc

SymbolName = Annotated[
    str, Query(min_length=1, max_length=64, description="Such as BTCUSDT.", examples=["BTCUSDT"])
]


@dataclass(frozen=True, slots=True)
class Known:
    """A symbol: rows of the dataset lie in [first_ms, end_ms), empty where there are none.

    ``cuts`` are the beginnings of its listings but the first (UTC ms); bars that are over by ``made_to_ms`` are made,
    None: none are.
    """

    symbol: str
    first_ms: int
    end_ms: int
    made_to_ms: int | None
    cuts: tuple[int, ...]

    @property
    def cut_times(self) -> list[datetime]:
        return [utc(ms) for ms in self.cuts]


def unknown(symbol: str) -> ProblemError:
    return problem(404, "Unknown symbol", f"{symbol}: nothing is known of it; /api/v1/symbols lists what is")


async def known(given: Parts, symbol: str, dataset: Dataset) -> Known:
    """Raises ``ProblemError`` 404 for a symbol that nobody has heard of."""
    rows = await given.reader.rows(
        "api_market.series", exchange=given.exchange, symbol=symbol, dataset=dataset.value
    )
    is_known, cuts, made_to_ms, first_ms, end_ms = rows[0]
    if not is_known:
        raise unknown(symbol)
    return Known(symbol, first_ms or 0, end_ms or 0, made_to_ms, tuple(cuts))
