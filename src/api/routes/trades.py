"""Trades, and bars of any kind and size that were made of candles or trades."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ...model import DAY_MS, MINUTE_MS, Dataset
from ..answers import Json
from ..market.answer import piece_of
from ..market.instants import MOST_MS, utc
from ..market.known import SymbolName, unknown
from ..market.pieces import BIGGEST_ID, Asked, Range, looking, sweep
from ..parts import Given, Parts
from ..security import Scope, needs

router = APIRouter(prefix="/api/v1", tags=["market"], dependencies=[needs(Scope.READ)])

SPOT = "binance_spot"
_VENUE_FROM_MS = 1_483_228_800_000
"""2017-01-01: the venue is younger."""
_LEAST_MS = -(10**13)

MarketType = Annotated[
    Literal["future", "spot"], Query(description="Futures, or the spot market of the same venue.")
]
Limit = Annotated[int, Query(ge=1, le=1_000)]


class Trade(BaseModel):
    """An aggregate trade. The price is in the quote asset, the quantity in the base asset."""

    trade_id: int = Field(description="The venue's: up by one with each trade of a symbol.")
    time_ms: int
    price: float
    quantity: float
    is_buyer_maker: bool


class Trades(BaseModel):
    """From the oldest to the newest."""

    symbol: str
    market_type: Literal["future", "spot"]
    data: list[Trade]
    next: str | None = Field(description="The cursor of the next piece; null where there is none.")


class BarRow(BaseModel):
    """A bar. Prices in the quote asset, volumes in the base asset. Null is what its candles or trades did not say."""

    open_time: int = Field(description="UTC ms.")
    close_time: int = Field(
        description="The end of a bar of time, excluded; the last trade of any other. UTC ms."
    )
    first_trade_id: int = Field(description="0 for bars of time; several others may open in one millisecond.")
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float | None
    trade_count: int | None
    taker_buy_volume: float | None
    vwap: float | None
    missing_minutes: int | None


Kind = Literal["time", "tick", "volume", "dollar"]


class Bars(BaseModel):
    """From the oldest to the newest."""

    symbol: str
    market_type: Literal["future", "spot"]
    kind: Kind
    size: float
    data: list[BarRow]
    next: str | None = Field(description="The cursor of the next piece; null where there is none.")


@router.get("/trades", response_model=Trades)
async def trades(
    given: Given, asked: Range, symbol: SymbolName, market_type: MarketType = "future", limit: Limit = 500
) -> Json:
    """Aggregate trades of a symbol that is collected: the oldest from `start` on, or the newest before `end`."""
    exchange = exchange_of(given, market_type)
    is_known, first_ms, last_ms = await _trade_reach(given, exchange, symbol)
    if not is_known:
        raise unknown(symbol)
    look = looking(
        lambda values: given.reader.rows("api_market.trades", **values), _of(exchange, symbol, asked)
    )
    bounds = (0, 0) if first_ms is None else asked.bounds(first_ms, last_ms + 1, tied=True)
    piece = await sweep(look, asked, bounds, limit, MINUTE_MS)
    return piece_of(piece, symbol=symbol, market_type=market_type)


@router.get("/bars", response_model=Bars)
async def bars(
    given: Given,
    asked: Range,
    symbol: SymbolName,
    size: Annotated[
        float,
        Query(gt=0, le=1e15, description="Milliseconds, trades, base asset or quote asset, as the kind is."),
    ] = 3_600_000.0,
    kind: Kind = "time",
    market_type: MarketType = "future",
    limit: Limit = 500,
) -> Json:
    """Bars as they are stored: time bars of 5m, 15m, 1h, 4h and 1d of every symbol, and what `marketd aggregate` made.

    The oldest from `start` on, or without it the newest before `end`. `/klines` answers every interval of time.
    """
    exchange = exchange_of(given, market_type)
    is_known, first_ms, _ = await _trade_reach(given, exchange, symbol)
    ledger = await given.reader.rows(
        "api_market.series", exchange=exchange, symbol=symbol, dataset=Dataset.CANDLES.value
    )
    starts = [ms for ms in (first_ms, ledger[0][3]) if ms is not None]
    look = looking(
        lambda values: given.reader.rows("api_market.bars", **values),
        {**_of(exchange, symbol, asked), "kind": kind, "size": size},
    )
    low = min(starts) // DAY_MS * DAY_MS if starts else _VENUE_FROM_MS
    bounds = asked.bounds(low, given.clock.now_ms() + 1, tied=True)
    width_ms = min(int(size) * (limit + 1), MOST_MS) if kind == "time" else DAY_MS
    piece = await sweep(look, asked, bounds, limit, max(width_ms, MINUTE_MS))
    if not (is_known or ledger[0][0] or piece.rows):
        raise unknown(symbol)
    return piece_of(piece, symbol=symbol, market_type=market_type, kind=kind, size=size)


def exchange_of(given: Parts, market_type: str) -> str:
    """The word of the column ``exchange``."""
    return SPOT if market_type == "spot" else given.exchange


async def _trade_reach(given: Parts, exchange: str, symbol: str) -> tuple[Any, ...]:
    rows = await given.reader.rows("api_market.trade_reach", exchange=exchange, symbol=symbol)
    return rows[0]


def _of(exchange: str, symbol: str, asked: Asked) -> dict[str, Any]:
    """The parameters that stay, with the row at which the piece before ended: everything is behind it."""
    if asked.after is not None:
        edge_ms, edge_id = asked.after
    else:
        edge_ms, edge_id = (_LEAST_MS, -1) if asked.forward else (MOST_MS, BIGGEST_ID)
    return {
        "exchange": exchange,
        "symbol": symbol,
        "forward": asked.forward,
        "edge_ts": utc(edge_ms),
        "edge_id": edge_id,
    }
