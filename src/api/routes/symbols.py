"""Which contracts there are, and were."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from ..answers import Json
from ..market.instants import utc
from ..parts import Given
from ..security import Scope, needs

router = APIRouter(prefix="/api/v1", tags=["market"], dependencies=[needs(Scope.READ)])

_CURSOR = r"^[0-9]{1,15}-.{1,64}$"


class Contract(BaseModel):
    """One listing of a contract: [onboard_ms, end_ms). Who was listed again has several."""

    symbol: str
    status: str = Field(
        description="The venue's word, such as TRADING; GONE where it left the list without a word."
    )
    onboard_ms: int
    end_ms: int | None = Field(description="The first moment without trading; null while it trades.")
    contract_type: str
    base: str
    quote: str
    tick_size: str = Field(description="As the venue writes it; empty where it never said.")
    step_size: str


class Symbols(BaseModel):
    """By name and time."""

    data: list[Contract]
    next: str | None = Field(description="The cursor of the next piece; null where there is none.")


@router.get("/symbols", response_model=Symbols)
async def symbols(
    given: Given,
    search: Annotated[str, Query(max_length=64, description="A part of the name, in any case.")] = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 1_000,
    cursor: Annotated[
        str | None,
        Query(max_length=80, description="`next` of the piece before.", pattern=_CURSOR),
    ] = None,
) -> Json:
    """Contracts of the venue, those that are not traded any more too."""
    after, after_ms = "", 0
    if cursor is not None:
        number, _, after = cursor.partition("-")
        after_ms = int(number)
    rows = await given.reader.records(
        "api_market.symbols",
        exchange=given.exchange,
        search=search,
        after=after,
        after_ts=utc(after_ms),
        limit=limit,
    )
    last = rows[-1] if len(rows) == limit else None
    follows = None if last is None else f"{last['onboard_ms']}-{last['symbol']}"
    return Json({"data": rows, "next": follows})
