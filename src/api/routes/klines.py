"""Bars of time: minutes as they are stored, and what is kept or merged of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field

from ...model import MINUTE_MS, Dataset
from ...ports.reading import Reader
from ..market.answer import keep, piece_of, stream_of, wants_arrow
from ..market.arrow import MEDIA_TYPE as ARROW
from ..market.instants import utc
from ..market.intervals import INTERVALS, Interval, IntervalName
from ..market.known import Known, SymbolName, known
from ..market.pieces import Asked, Piece, Range, looking, sweep
from ..parts import Given, Parts
from ..security import Scope, needs

router = APIRouter(prefix="/api/v1", tags=["market"], dependencies=[needs(Scope.READ)])

MOST_KLINES = 10_000


class Kline(BaseModel):
    """A bar of time. Prices in the quote asset, volumes in the base asset. Null is what the venue did not say."""

    open_time: int = Field(description="UTC ms.")
    open: float
    high: float
    low: float
    close: float
    volume: float
    quote_volume: float | None = Field(description="In the quote asset.")
    trade_count: int | None
    taker_buy_volume: float | None
    missing_minutes: int | None = Field(
        description="Minutes of the bar that are not stored; null of a bar that the venue told whole."
    )


class Klines(BaseModel):
    """From the oldest to the newest."""

    symbol: str
    interval: IntervalName
    made_to_ms: int | None = Field(
        description="Bars that are over by then are made, and are here as far as their minutes are; null of 1m, and"
        " where none are made yet. Later ones are to be made of 1m by whoever cannot wait."
    )
    data: list[Kline]
    next: str | None = Field(description="The cursor of the next piece; null where there is none.")


@router.get(
    "/klines",
    response_model=Klines,
    responses={200: {"content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def klines(
    request: Request,
    given: Given,
    asked: Range,
    symbol: SymbolName,
    interval: IntervalName = "1m",
    limit: Annotated[int, Query(ge=1, le=MOST_KLINES)] = 500,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Bars of a symbol: the oldest from `start` on, or without it the newest before `end`, always in the order of time.

    Minutes are there some seconds after they are over. Longer bars are made at their close and stored; those of 3m,
    30m, 2h, 6h, 8h, 12h, 3d and 1w are put together of the largest stored ones. A bar that is not over is not here.

    With `Accept: application/vnd.apache.arrow.stream` the same columns come as an Arrow IPC stream; the cursor of the
    next piece is in the header `X-Next-Cursor`.
    """
    if (kept := await given.cache.answer(request)) is not None:
        return kept
    found = await known(given, symbol, Dataset.CANDLES)
    chosen = INTERVALS[interval]
    packed = wants_arrow(accept)
    piece = await read_klines(given, found, chosen, asked, limit, packed=packed)
    made_to_ms = None if chosen.length_ms == MINUTE_MS else found.made_to_ms
    answer = (
        stream_of(piece)
        if packed
        else piece_of(piece, symbol=symbol, interval=interval, made_to_ms=made_to_ms)
    )
    answer.headers["Vary"] = "Accept"
    return keep(given, request, answer, piece, symbol, found.made_to_ms)


async def read_klines(
    given: Parts, symbol: Known, interval: Interval, asked: Asked, limit: int, *, packed: bool = False
) -> Piece:
    """The bars that are asked for, as JSON objects or ``packed`` in hexadecimal for ``klines_stream``."""
    read = _READS[interval.length_ms == interval.part_ms, interval.part_ms == MINUTE_MS]
    fixed = {
        "exchange": given.exchange,
        "symbol": symbol.symbol,
        "forward": asked.forward,
        "packed": packed,
        **_made_of(symbol, interval),
    }
    look = looking(
        lambda values: read(given.reader, values), fixed, lambda low, high: _parts(interval, low, high)
    )
    # The first bar of a listing begins before its first minute.
    bounds = asked.bounds(interval.floor(symbol.first_ms), symbol.end_ms)
    width_ms = (limit + 1) * interval.length_ms
    return await sweep(look, asked, bounds, limit, width_ms, glue="" if packed else ",")


_Read = Callable[[Reader, Mapping[str, Any]], Awaitable[list[tuple[Any, ...]]]]

_READS: dict[tuple[bool, bool], _Read] = {
    (True, True): lambda reader, values: reader.rows("api_market.minutes", **values),
    (True, False): lambda reader, values: reader.rows("api_market.kept", **values),
    (False, True): lambda reader, values: reader.rows("api_market.of_minutes", **values),
    (False, False): lambda reader, values: reader.rows("api_market.of_kept", **values),
}
"""By whether bars of the interval are stored, and whether what is read are minutes."""


def _made_of(symbol: Known, interval: Interval) -> dict[str, Any]:
    if interval.length_ms == interval.part_ms:
        return {} if interval.part_ms == MINUTE_MS else {"size": float(interval.part_ms)}
    return {
        "size": float(interval.part_ms),
        "length": timedelta(milliseconds=interval.length_ms),
        "origin": utc(interval.origin_ms),
        "made_to": utc(0 if symbol.made_to_ms is None else symbol.made_to_ms),
        "cuts": symbol.cut_times,
    }


def _parts(interval: Interval, from_ms: int, to_ms: int) -> dict[str, Any]:
    """The whole bars that begin in [from_ms, to_ms), for those that are put together."""
    if interval.length_ms == interval.part_ms:
        return {}
    return {"parts_from": utc(interval.floor(from_ms)), "parts_to": utc(interval.ceiling(to_ms))}
