"""What is stored of every symbol, day by day, and what is missing."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from ...model import DAY_MS, Dataset
from ..answers import Json
from ..market.holes import CURSOR, find_gaps, find_trade_gaps
from ..market.instants import MOST_MS, Instant, check_order
from ..market.known import known
from ..market.ledger_days import day_of
from ..market.waiting import waiting
from ..parts import Given
from ..problems import encode
from ..security import Scope, needs

router = APIRouter(prefix="/api/v1", tags=["coverage"], dependencies=[needs(Scope.READ)])

_KEPT_S = 10.0
"""Everybody who has the overview open asks for the same, and a year of all symbols takes the database a second."""

DatasetName = Annotated[Dataset, Query(description="What is counted.")]


class CoverageRow(BaseModel):
    """A symbol: one number a day in each list. What is due and in no list is missing."""

    symbol: str
    expected: list[int] = Field(description="Rows due in the whole day, within the symbol's listing.")
    have: list[int]
    pending: list[int] = Field(description="Not due yet, or about to be filled by a request.")
    absent: list[int] = Field(description="Neither the archive nor REST has them; both were asked.")
    expired: list[int] = Field(description="Dropped by RETENTION_DAYS.")


class Coverage(BaseModel):
    """Symbols with a line in the ledger in these days."""

    dataset: Dataset
    first_day: date
    days: int
    as_of_ms: int
    symbols: list[CoverageRow]


class GapRow(BaseModel):
    """Rows of one symbol and UTC day that are due and not stored."""

    symbol: str
    start_ms: int
    end_ms: int = Field(description="Excluded.")
    minutes: int
    state: str = Field(
        description="`missing`; `planned`: a request fills it; of trades also `left`, `absent`: the archive lacks it."
    )
    reason: str = Field(description="What is known of why, for people.")
    quarantined: str | None = Field(
        description="The archive's file that should have had these rows and is unusable: its path in the archive."
    )
    next_look_ms: int | None = Field(description="It is not asked for again before this.")


class Gaps(BaseModel):
    """By day and symbol. A day of a symbol is told whole, so that a piece may be a little longer than its limit."""

    dataset: Dataset
    data: list[GapRow]
    next: str | None = Field(description="The cursor of the next piece; null where there is none.")


@router.get("/coverage", response_model=Coverage)
async def coverage(
    request: Request,
    given: Given,
    dataset: DatasetName = Dataset.CANDLES,
    days: Annotated[int, Query(ge=1, le=400, description="So many UTC days up to today.")] = 90,
    symbol: Annotated[str | None, Query(min_length=1, max_length=64, description="Only this one.")] = None,
) -> Response:
    """How much of what was due is stored: a line for each symbol, a number for each day."""
    if (kept := await given.cache.answer(request)) is not None:
        return kept
    now_ms = given.clock.now_ms()
    first = day_of(now_ms - (days - 1) * DAY_MS)
    symbols = [
        str(name)
        for (name,) in await given.reader.rows(
            "sight.symbols", exchange=given.exchange, dataset=dataset.value
        )
        if symbol is None or name == symbol
    ]
    if symbol is not None and not symbols:
        await known(given, symbol, dataset)
    late = await waiting(given, dataset, symbols, first, now_ms)
    ((text,),) = await given.reader.rows(
        "api_coverage.days",
        exchange=given.exchange,
        dataset=dataset.value,
        symbols=symbols,
        first=first,
        days=days,
        waiting_symbols=[one.symbol for one in late],
        waiting_days=[one.day for one in late],
        waiting_rows=[one.rows for one in late],
    )
    head = {"dataset": dataset.value, "first_day": first.isoformat(), "days": days, "as_of_ms": now_ms}
    answer = Json(encode(head)[:-1] + b',"symbols":[' + (text or "").encode() + b"]}")
    given.cache.keep(request, answer, _KEPT_S)
    return answer


@router.get("/gaps", response_model=Gaps)
async def gaps(
    given: Given,
    dataset: DatasetName = Dataset.CANDLES,
    symbol: Annotated[str | None, Query(min_length=1, max_length=64, description="Only of this one.")] = None,
    start: Annotated[Instant | None, Query(description="From the UTC day that holds this on.")] = None,
    end: Annotated[Instant | None, Query(description="Until this, excluded.")] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    cursor: Annotated[
        str | None, Query(max_length=80, description="`next` of the piece before.", pattern=CURSOR)
    ] = None,
) -> Json:
    """What is missing, to the minute, with what is known of why and when it is asked for again.

    Of funding the ledger knows how many settlements a day lacks, and not which: the whole day is told. Of trades it is
    ids between two trades that are stored.
    """
    check_order(start, end)
    if symbol is not None:
        await known(given, symbol, dataset)
    span = (0 if start is None else start, MOST_MS if end is None else end)
    find = find_trade_gaps if dataset is Dataset.TRADES else find_gaps
    found, follows = await find(given, dataset, symbol, span, limit, cursor)
    return Json({"dataset": dataset.value, "data": found, "next": follows})
