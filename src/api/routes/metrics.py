"""What the venue says besides candles: open interest and ratios every five minutes, and settlements of funding."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ...model import DAY_MS, FIVE_MINUTES_MS, MINUTE_MS, Dataset
from ..market.answer import keep, piece_of
from ..market.intervals import INTERVALS, Interval
from ..market.known import SymbolName, known
from ..market.pieces import Asked, Piece, Range, looking, sweep
from ..market.steps import StepName, sweep_steps
from ..parts import Given, Parts
from ..security import Scope, needs

router = APIRouter(prefix="/api/v1", tags=["market"], dependencies=[needs(Scope.READ)])

_SETTLED_AFTER_MS = DAY_MS // 3
"""The usual time between two settlements; where it is shorter, fewer rows are read at once."""

_LATE_MS = 15 * MINUTE_MS

Limit = Annotated[int, Query(ge=1, le=1_000)]
Step = Annotated[
    StepName, Query(description="Of so long a time the newest row alone, with its own `create_time`.")
]


class Metric(BaseModel):
    """Futures metrics of five minutes. Null is what no source said; numbers have all digits of the source."""

    create_time: int = Field(description="END of the five minutes, UTC ms.")
    sum_open_interest: float | None = Field(description="In the base asset.")
    sum_open_interest_value: float | None = Field(description="In the quote asset.")
    count_toptrader_long_short_ratio: float | None
    sum_toptrader_long_short_ratio: float | None
    count_long_short_ratio: float | None
    sum_taker_long_short_vol_ratio: float | None


class Metrics(BaseModel):
    """From the oldest to the newest."""

    symbol: str
    data: list[Metric]
    next: str | None = Field(description="The cursor of the next piece; null where there is none.")


class Settlement(BaseModel):
    """A settlement of funding. Numbers have all digits of the source."""

    funding_time: int = Field(description="UTC ms.")
    funding_rate: float = Field(
        description="A fraction: 0.0001 is 0.01 %; longs pay shorts where it is positive."
    )
    mark_price: float | None
    interval_hours: int | None = Field(description="Since the settlement before.")


class Funding(BaseModel):
    """From the oldest to the newest."""

    symbol: str
    data: list[Settlement]
    next: str | None = Field(description="The cursor of the next piece; null where there is none.")


@router.get("/metrics5m", response_model=Metrics)
async def metrics5m(
    request: Request, given: Given, asked: Range, symbol: SymbolName, limit: Limit = 500, step: Step = "5m"
) -> Response:
    """Open interest and long/short ratios: the oldest from `start` on, or without it the newest before `end`.

    With a `step` of an hour the row of 11:00 is the last of the candle that opens at 10:00.
    """
    if (kept := await given.cache.answer(request)) is not None:
        return kept
    found = await known(given, symbol, Dataset.METRICS)
    # The last row of a day carries the next midnight.
    bounds = asked.bounds(found.first_ms, found.end_ms + 1)
    piece = await _metrics(given, symbol, asked, bounds, limit, INTERVALS[step])
    return keep(given, request, piece_of(piece, symbol=symbol), piece, symbol, _over_by(given))


@router.get("/funding", response_model=Funding)
async def funding(
    request: Request, given: Given, asked: Range, symbol: SymbolName, limit: Limit = 500
) -> Response:
    """Settlements of funding: the oldest from `start` on, or without it the newest before `end`."""
    if (kept := await given.cache.answer(request)) is not None:
        return kept
    found = await known(given, symbol, Dataset.FUNDING)
    look = looking(
        lambda values: given.reader.rows("api_market.funding", **values), _of(given, symbol, asked)
    )
    bounds = asked.bounds(found.first_ms, found.end_ms)
    piece = await sweep(look, asked, bounds, limit, (limit + 1) * _SETTLED_AFTER_MS)
    return keep(given, request, piece_of(piece, symbol=symbol), piece, symbol, _over_by(given))


async def _metrics(
    given: Parts, symbol: str, asked: Asked, bounds: tuple[int, int], limit: int, step: Interval
) -> Piece:
    fixed = _of(given, symbol, asked)
    if step.length_ms == FIVE_MINUTES_MS:
        look = looking(lambda values: given.reader.rows("api_market.metrics", **values), fixed)
        return await sweep(look, asked, bounds, limit, (limit + 1) * FIVE_MINUTES_MS)

    async def read(values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if asked.forward:
            return await given.reader.rows("api_market.metrics_from", **values)
        return await given.reader.rows("api_market.metrics_before", **values)

    return await sweep_steps(read, fixed, asked, bounds, limit, step)


def _of(given: Parts, symbol: str, asked: Asked) -> dict[str, Any]:
    return {"exchange": given.exchange, "symbol": symbol, "forward": asked.forward}


def _over_by(given: Parts) -> int:
    """Rows before this are there, as far as they come by themselves."""
    return given.clock.now_ms() - _LATE_MS
