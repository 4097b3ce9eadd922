"""Support and resistance as they were known at any time."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ..answers import Json
from ..market.answer import framed
from ..market.instants import Instant, utc
from ..market.known import SymbolName, unknown
from ..parts import Given
from ..security import Scope, needs
from .trades import MarketType, exchange_of

router = APIRouter(prefix="/api/v1", tags=["market"], dependencies=[needs(Scope.READ)])

_VENUE = "binance"
_MOST = 10_000
"""Levels of one series that hold at one time are hundreds at most."""

Timeframe = Literal["5m", "15m", "1h", "4h", "1d"]


class Pivot(BaseModel):
    """A turn of the price that the level is made of."""

    time_ms: int
    confirmed_ms: int = Field(description="When it was known to be one.")
    price: float
    windows: int = Field(description="For how many of the windows of 5, 10, 20 and 30 bars.")


class KnownLevel(BaseModel):
    """A level as it was known. What became of it later is not told."""

    side: Literal["support", "resistance"]
    price: float
    state: Literal["formed", "tested", "broken"]
    tests: int
    founded_ms: int
    formed_ms: int
    tested_ms: int | None
    broken_ms: int | None
    known_from_ms: int = Field(description="Since when it was known as it is here.")
    pivots: list[Pivot]


class Levels(BaseModel):
    """Supports first, the oldest first."""

    symbol: str
    market_type: Literal["future", "spot"]
    timeframe: Timeframe
    at_ms: int
    known_from_ms: int | None = Field(
        description="From when on levels of the series are known; null: not analysed."
    )
    known_to_ms: int | None = Field(description="The close of the last bar that was analysed.")
    data: list[KnownLevel]


@router.get("/levels", response_model=Levels)
async def levels(
    given: Given,
    symbol: SymbolName,
    timeframe: Timeframe = "1h",
    market_type: MarketType = "future",
    at: Annotated[Instant | None, Query(description="UTC ms or RFC 3339; now where it is left out.")] = None,
) -> Json:
    """The levels of a symbol as an analysis at that time told them: nothing that became known later is in it."""
    series = {"exchange": _VENUE, "symbol": symbol, "market_type": market_type, "timeframe": timeframe}
    ((is_known, from_ms, to_ms),) = await given.reader.rows(
        "api_market.levels_known", source=exchange_of(given, market_type), **series
    )
    if not is_known:
        raise unknown(symbol)
    at_ms = given.clock.now_ms() if at is None else at
    ((_, text),) = await given.reader.rows("api_market.levels", at=utc(at_ms), limit=_MOST, **series)
    about = {
        "symbol": symbol,
        "market_type": market_type,
        "timeframe": timeframe,
        "at_ms": at_ms,
        "known_from_ms": from_ms,
        "known_to_ms": to_ms,
    }
    return Json(framed(about, text or ""))
