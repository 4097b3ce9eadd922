"""Arbitrage: batches, their opportunities, and what the pages draw of them: both prices, and profit over time."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from ..answers import Json
from ..asking import PageNumber, PageSize, page_of
from ..parts import Given, Parts
from ..problems import problem
from ..security import Scope, needs

router = APIRouter(prefix="/api/v1/batches", tags=["arbitrage"], dependencies=[needs(Scope.READ)])

_POINTS = 2_000
"""As many as a picture has room for, of each line."""
_INTERVALS_S = (1, 60, 3600)
_BIGGEST_BATCH = 2**31 - 1

BatchId = Annotated[int, Path(ge=1, le=_BIGGEST_BATCH)]
Mode = Literal["screen", "execution"]
Status = Literal["screened", "filled", "no_block", "no_cex_trade", "no_base_fee", "beyond_range"]


class NewBatch(BaseModel):
    """A batch for the task `Analyse` to write into."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=200, pattern=r"\S")


class Batch(BaseModel):
    """Opportunities that were found together. `report` is of the last analysis that wrote into it."""

    batch_id: int
    name: str
    opportunities: int
    profit_usdt: float | None = Field(
        description="In the quote asset, of all that have a profit; null for none."
    )
    first_ms: int | None
    last_ms: int | None
    created_ms: int
    updated_ms: int
    report: dict[str, Any] | None


class Batches(BaseModel):
    """The newest first; `next` is the `before` of the next piece, null behind the last."""

    data: list[Batch]
    next: int | None


class Opportunity(BaseModel):
    """A swap at whose block the price of the other side differed enough. Of mode `screen` it is no more than that."""

    opportunity_id: int
    block_time: int = Field(description="UTC ms.")
    block_number: int
    profit_usdt: float | None
    buy_price: float
    sell_price: float
    buy_platform: str
    sell_platform: str
    chain: str
    pool: str
    exchange: str
    symbol: str
    mode: Mode
    status: Status
    transaction_hash: str
    details: dict[str, Any]
    risk_metrics: dict[str, Any]


class OpportunityPage(BaseModel):
    """One page, in the order of their blocks."""

    data: list[Opportunity]
    total: int
    page: int
    pageSize: int
    totalPages: int


class Point(BaseModel):
    time_ms: int
    price: float


class Prices(BaseModel):
    """Both sides of a batch while it has opportunities; `interval_s` is 1, 60, or 3600 and multiples of it for months:
    then it is the last price of each such stretch. Null without a series."""

    interval_s: int | None
    exchange: list[Point]
    pool: list[Point]


class ProfitPoint(BaseModel):
    time_ms: int
    profit_usdt: float


class Profit(BaseModel):
    """What each stretch of `width_ms` brought, those without anything left out."""

    width_ms: int
    data: list[ProfitPoint]


@router.post("", status_code=201, response_model=Batch, dependencies=[needs(Scope.TASK)])
async def create(asked: NewBatch, given: Given) -> Json:
    """Make a batch. 409 where the name is taken."""
    batch_id = await given.batches.add(asked.name)
    if batch_id is None:
        raise problem(409, "The name is taken", f"there is a batch called {asked.name}", field="body.name")
    [batch] = await _batches(given, limit=1, batch_id=batch_id)
    return Json(batch, 201)


@router.get("", response_model=Batches)
async def newest(
    given: Given,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    before: Annotated[int | None, Query(ge=1, le=_BIGGEST_BATCH)] = None,
) -> Json:
    """The newest batches."""
    found = await _batches(given, limit=limit, before=before)
    return Json({"data": found, "next": found[-1]["batch_id"] if len(found) == limit else None})


@router.get("/{batch_id}", response_model=Batch)
async def show(batch_id: BatchId, given: Given) -> Json:
    """One batch."""
    return Json(await _known(given, batch_id))


@router.get("/{batch_id}/opportunities", response_model=OpportunityPage)
async def opportunities(
    batch_id: BatchId,
    given: Given,
    page: PageNumber = 1,
    page_size: PageSize = 50,
    min_profit: Annotated[float | None, Query(ge=-1e15, le=1e15)] = None,
    mode: Mode | None = None,
    status: Status | None = None,
    buy_platform: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Json:
    """Its opportunities by page, those that the filters leave."""
    wanted = {
        "batch_id": batch_id,
        "min_profit": min_profit,
        "mode": mode,
        "status": status,
        "buy_platform": buy_platform,
    }
    [(total,)] = await given.reader.rows("api_work.opportunities_total", **wanted)
    if not total:
        await _known(given, batch_id)
    rows = await given.reader.records(
        "api_work.opportunities", limit=page_size, offset=(page - 1) * page_size, **wanted
    )
    return Json(page_of(rows, total, page, page_size))


@router.get("/{batch_id}/prices", response_model=Prices)
async def prices(batch_id: BatchId, given: Given) -> Json:
    """The price series of both sides, as fine as there is room for."""
    sides = await given.reader.records("api_work.batch_sides", batch_id=batch_id)
    if not sides:
        await _known(given, batch_id)
        return Json({"interval_s": None, "exchange": [], "pool": []})
    side = sides[0]
    for seconds, width in widths(side["first_ms"], side["last_ms"]):
        lines = [
            await given.reader.records(
                "api_work.prices",
                venue=venue,
                market=market,
                seconds=seconds,
                width=width,
                since_ms=side["first_ms"] - seconds * 1000,
                until_ms=side["last_ms"] + seconds * 1000,
                limit=_POINTS,
            )
            for venue, market in ((side["exchange"], side["symbol"]), (side["chain"], side["pool"]))
        ]
        if any(lines):
            return Json({"interval_s": width, "exchange": lines[0], "pool": lines[1]})
    return Json({"interval_s": None, "exchange": [], "pool": []})


@router.get("/{batch_id}/profit", response_model=Profit)
async def profit(batch_id: BatchId, given: Given) -> Json:
    """Profit over time; whoever draws it adds it up."""
    batch = await _known(given, batch_id)
    width_ms = stretch_ms(batch["first_ms"], batch["last_ms"])
    rows = await given.reader.records(
        "api_work.profit", batch_id=batch_id, width_ms=width_ms, limit=_POINTS + 1
    )
    return Json({"width_ms": width_ms, "data": rows})


def stretch_ms(first_ms: int | None, last_ms: int | None) -> int:
    """Whole seconds, so that the time from the first to the last has no more than ``_POINTS`` of them."""
    if first_ms is None or last_ms is None:
        return 1000
    return max(-(-(last_ms - first_ms) // (_POINTS * 1000)), 1) * 1000


def widths(first_ms: int, last_ms: int) -> list[tuple[int, int]]:
    """Seconds of a series' buckets, and of what is told of them, the finest first: it may have no series.

    There is room for all of it: of a batch of more than three months several hours are told as one.
    """
    whole_s = (last_ms - first_ms) // 1000
    most = _POINTS - 3
    fine = [(seconds, seconds) for seconds in _INTERVALS_S if whole_s <= most * seconds]
    hour = _INTERVALS_S[-1]
    return fine or [(hour, -(-whole_s // (most * hour)) * hour)]


async def _known(given: Parts, batch_id: int) -> dict[str, Any]:
    for batch in await _batches(given, limit=1, batch_id=batch_id):
        return batch
    raise problem(404, "Unknown batch", f"there is no batch {batch_id}")


async def _batches(
    given: Parts, *, limit: int, before: int | None = None, batch_id: int | None = None
) -> list[dict[str, Any]]:
    return await given.reader.records("api_work.batches", limit=limit, before=before, batch_id=batch_id)
