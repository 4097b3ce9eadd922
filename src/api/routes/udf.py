"""TradingView's UDF: what charting front ends that speak it ask for, in the shapes that TradingView has published.

Their adapter looks at no status of HTTP but at ``s`` in the answer, so errors say ``"s": "error"`` besides what a
problem says.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from ...model import Dataset
from ..answers import Json
from ..market.intervals import INTERVALS, Interval
from ..market.known import Known, known
from ..market.pieces import Asked
from ..market.resolutions import EXCHANGE, RESOLUTIONS, Resolution, interval_of, symbol_info, symbol_of
from ..parts import Given, Parts
from ..problems import ProblemError
from ..security import Scope, needs
from .klines import MOST_KLINES, read_klines

router = APIRouter(prefix="/udf", tags=["TradingView UDF"], dependencies=[needs(Scope.READ)])

_LAST_S = 253_402_300_799
"""The last second of the year 9999."""

Seconds = Annotated[int, Query(ge=-_LAST_S, le=_LAST_S, description="UTC seconds.")]
Name = Annotated[str, Query(min_length=1, max_length=80, description="BTCUSDT or BINANCE:BTCUSDT.")]


class Choice(BaseModel):
    value: str
    name: str


class ExchangeChoice(Choice):
    desc: str


class Config(BaseModel):
    """What this data feed can do."""

    supports_search: bool = True
    supports_group_request: bool = False
    supports_marks: bool = False
    supports_timescale_marks: bool = False
    supports_time: bool = True
    exchanges: list[ExchangeChoice] = [
        ExchangeChoice(value=EXCHANGE, name="Binance", desc="Binance USDT perpetuals")
    ]
    symbols_types: list[Choice] = [Choice(value="crypto", name="Crypto")]
    supported_resolutions: list[str] = list(RESOLUTIONS)


class SymbolInfo(BaseModel):
    """A symbol as the charting library wants to know it."""

    model_config = ConfigDict(extra="allow")

    name: str
    full_name: str
    ticker: str
    description: str
    type: str
    exchange: str
    listed_exchange: str
    timezone: str
    session: str
    minmov: int
    pricescale: int
    has_intraday: bool
    supported_resolutions: list[str]


class Hit(BaseModel):
    """One result of a search."""

    symbol: str
    full_name: str
    description: str
    exchange: str
    ticker: str
    type: str


class History(BaseModel):
    """Bars in columns, from the oldest to the newest. `no_data` is said where there is none in the range."""

    s: Literal["ok", "no_data"]
    t: list[int] = Field(default=[], description="UTC seconds at which the bars open.")
    o: list[float] = []
    h: list[float] = []
    l: list[float] = []  # noqa: E741 - the protocol's word
    c: list[float] = []
    v: list[float] = []
    nextTime: int | None = Field(
        default=None, description="Of the newest bar before the range, where it has none."
    )


@router.get("/config", response_model=Config)
async def config() -> Config:
    """What this data feed can do."""
    return Config()


@router.get("/time", response_class=PlainTextResponse)
async def time(given: Given) -> PlainTextResponse:
    """The time in UTC seconds, as plain text."""
    return PlainTextResponse(str(given.clock.now_ms() // 1000))


@router.get("/symbols", response_model=SymbolInfo)
async def symbols(given: Given, symbol: Name) -> Json:
    """One symbol."""
    name = symbol_of(symbol)
    rows = await given.reader.records("api_market.contract", exchange=given.exchange, symbol=name)
    if not rows:
        await _known(given, name)
        return Json(symbol_info(name, base="", quote="USDT", tick_size=""))
    return Json(symbol_info(**rows[0]))


@router.get("/search", response_model=list[Hit])
async def search(
    given: Given,
    query: Annotated[str, Query(max_length=64)] = "",
    type: Annotated[str, Query(max_length=64)] = "",
    exchange: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 30,
) -> Json:
    """Symbols with the text in their name, those first that begin with it."""
    if type not in ("", "crypto") or exchange not in ("", EXCHANGE):
        return Json([])
    rows = await given.reader.records(
        "api_market.search", exchange=given.exchange, search=symbol_of(query), limit=limit
    )
    return Json([_hit(symbol_info(**row)) for row in rows])


@router.get("/history", response_model=History, response_model_exclude_none=True)
async def history(
    given: Given,
    symbol: Name,
    resolution: Annotated[Resolution, Query(description="Minutes, days or weeks.")],
    to: Seconds,
    from_: Annotated[int, Query(alias="from", ge=-_LAST_S, le=_LAST_S, description="UTC seconds.")] = 0,
    countback: Annotated[
        int | None,
        Query(ge=1, le=10_000_000, description="So many bars before `to`; `from` does not count then."),
    ] = None,
) -> Json:
    """Bars that open in [from, to): those that are over. Of a longer range than an answer holds, the newest."""
    found = await _known(given, symbol_of(symbol))
    interval = INTERVALS[interval_of(resolution)]
    start_ms = None if countback is not None else from_ * 1000
    limit = min(countback or MOST_KLINES, MOST_KLINES)
    asked = Asked(start_ms, to * 1000, forward=False, after=None)
    piece = await read_klines(given, found, interval, asked, limit)
    if piece.rows:
        return Json({"s": "ok", **_columns(piece.text)})
    before = None if start_ms is None else await _newest_before(given, found, interval, start_ms)
    return Json({"s": "no_data"} if before is None else {"s": "no_data", "nextTime": before})


def _hit(info: dict[str, Any]) -> dict[str, Any]:
    return {"symbol": info["name"], **{name: info[name] for name in Hit.model_fields if name != "symbol"}}


async def _newest_before(given: Parts, found: Known, interval: Interval, ms: int) -> int | None:
    piece = await read_klines(given, found, interval, Asked(None, ms, forward=False, after=None), 1)
    return _columns(piece.text)["t"][0] if piece.rows else None


def _columns(text: str) -> dict[str, Any]:
    rows = orjson.loads(f"[{text}]")
    return {
        "t": [row["open_time"] // 1000 for row in rows],
        "o": [row["open"] for row in rows],
        "h": [row["high"] for row in rows],
        "l": [row["low"] for row in rows],
        "c": [row["close"] for row in rows],
        "v": [row["volume"] for row in rows],
    }


async def _known(given: Parts, symbol: str) -> Known:
    try:
        return await known(given, symbol, Dataset.CANDLES)
    except ProblemError as error:
        told = {"s": "error", "errmsg": "unknown_symbol"}
        raise ProblemError(error.status_code, error.title, error.detail, more=told) from None
