"""Support and resistance: asking for an analysis, and what the newest of each series found."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from ..answers import Json
from ..asking import BIGGEST_ID, TASK_ID, PageNumber, PageSize, accept, ask, page_of
from ..parts import Given, Parts
from ..problems import problem
from ..security import Caller, Principal, Scope, needs
from ..taken import Whole

router = APIRouter(tags=["analysis"], dependencies=[needs(Scope.READ)])

KIND = "Levels"
Timeframe = Literal["5m", "15m", "1h", "4h", "1d"]
MarketType = Literal["future", "spot"]
SymbolPart = Annotated[
    str | None, Query(min_length=1, max_length=64, description="Part of the name will do.")
]


class Asked(BaseModel):
    """An analysis of one symbol. `limit` is taken as callers send it: how far back levels reach is the same for all
    (`docs/adr/0044-levels.md`), and `input_limit` of the result says how many bars there were."""

    model_config = ConfigDict(extra="forbid")

    exchange: Literal["binance"] = "binance"
    symbol: str = Field(min_length=1, max_length=64)
    market_type: MarketType = "future"
    timeframe: Timeframe = "1h"
    limit: Whole = Field(default=2000, ge=1, le=2000)
    task_id: str | None = Field(default=None, pattern=TASK_ID)


class Accepted(BaseModel):
    """It will be done; `/api/v1/tasks/{task_id}` says how far it is."""

    status: Literal["accepted"] = "accepted"
    message: str
    symbol: str
    timeframe: str
    task_id: str


class Level(BaseModel):
    """A level as an analysis tells it."""

    model_config = ConfigDict(extra="allow")

    price: float


class Result(BaseModel):
    """The newest analysis of a series. What it says was known at `known_to_ms`, the close of the last bar used."""

    id: int
    exchange: str
    symbol: str
    market_type: str
    timeframe: str
    input_limit: int = Field(description="Bars that were used.")
    last_price: float
    support_levels: list[Level]
    resistance_levels: list[Level]
    details: dict[str, Any]
    known_from_ms: int
    known_to_ms: int
    created_at: int
    updated_at: int


class ResultPage(BaseModel):
    """One page, the newest results first."""

    data: list[Result]
    total: int
    page: int
    pageSize: int
    totalPages: int


@router.post(
    "/analyze",
    status_code=202,
    responses={200: {"model": Accepted, "description": "It was asked for before."}},
    dependencies=[needs(Scope.TASK)],
)
async def analyze(asked: Asked, given: Given, caller: Caller, response: Response) -> Accepted:
    """Ask for the levels of one symbol. Answers at once; the work is a task."""
    return await _start(asked, given, caller, response)


@router.post(
    "/api/v1/analysis/trigger",
    status_code=202,
    responses={200: {"model": Accepted, "description": "It was asked for before."}},
    dependencies=[needs(Scope.TASK)],
)
async def trigger(asked: Asked, given: Given, caller: Caller, response: Response) -> Accepted:
    """The same as `/analyze`."""
    return await _start(asked, given, caller, response)


@router.get("/results", response_model=list[Result])
async def results(
    given: Given,
    symbol: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Json:
    """The newest results, of one symbol where it is given: one for each timeframe that was analysed."""
    return Json(await _results(given, limit=limit, symbol=symbol))


@router.get("/api/v1/analysis/results", response_model=ResultPage)
async def result_page(
    given: Given,
    symbol: SymbolPart = None,
    timeframe: Timeframe | None = None,
    market_type: MarketType | None = None,
    page: PageNumber = 1,
    page_size: PageSize = 10,
) -> Json:
    """All results by page, those whose symbol has `symbol` in its name where it is given."""
    wanted = {"part": symbol, "timeframe": timeframe, "market_type": market_type}
    [(total,)] = await given.reader.rows("api_work.results_total", **wanted)
    rows = await _results(given, limit=page_size, offset=(page - 1) * page_size, **wanted)
    return Json(page_of(rows, total, page, page_size))


@router.get("/api/v1/analysis/{result_id:int}", response_model=Result)
async def result(result_id: Annotated[int, Path(ge=1, le=BIGGEST_ID)], given: Given) -> Json:
    """One result."""
    for row in await given.reader.records("api_work.result", id=result_id):
        return Json(row)
    raise problem(404, "Unknown result", f"there is no result {result_id}")


async def _results(
    given: Parts,
    *,
    limit: int,
    offset: int = 0,
    part: str | None = None,
    symbol: str | None = None,
    timeframe: str | None = None,
    market_type: str | None = None,
) -> list[dict[str, Any]]:
    return await given.reader.records(
        "api_work.results",
        part=part,
        symbol=symbol,
        timeframe=timeframe,
        market_type=market_type,
        limit=limit,
        offset=offset,
    )


async def _start(asked: Asked, given: Parts, caller: Principal, response: Response) -> Accepted:
    if asked.market_type == "future":
        [(is_known,)] = await given.reader.rows(
            "api_work.knows", exchange=given.exchange, symbol=asked.symbol
        )
        if not is_known:
            raise problem(404, "Unknown symbol", f"{asked.symbol} is not known here", field="body.symbol")
    parameters = asked.model_dump(include={"exchange", "symbol", "market_type", "timeframe"})
    task, is_new = await ask(given, caller, KIND, parameters, task_id=asked.task_id)
    accept(response, is_new)
    words = "analysis accepted" if is_new else "analysis was accepted before"
    return Accepted(
        message=f"{words}: {asked.symbol} {asked.timeframe}",
        symbol=asked.symbol,
        timeframe=asked.timeframe,
        task_id=task.task_id,
    )
