"""History to be filled: what it would cost, then asking for it, and how far it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from ...model import BackfillRequest, floor_minute
from ..answers import Json
from ..asking import BIGGEST_ID, accept
from ..market.instants import Instant
from ..parts import Given, Parts
from ..problems import problem
from ..security import Caller, Scope, needs
from ..taken import Flag

router = APIRouter(prefix="/api/v1/backfills", tags=["backfills"], dependencies=[needs(Scope.READ)])

Number = Annotated[int, Path(ge=1, le=BIGGEST_ID)]
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\w*?]+$", to_upper=True)]
FIRST_MS = 1_567_296_000_000
"""2019-09-01: before the first contract was listed."""


class Wanted(BaseModel):
    """Minutes of [start, end) of the symbols that these names match, `*` and `?` allowed. `force` reads files again
    that were imported before."""

    model_config = ConfigDict(extra="forbid")

    symbols: list[Pattern] = Field(default=["*"], min_length=1, max_length=1000)
    start: Instant = Field(description="RFC 3339, or UTC milliseconds.")
    end: Instant
    source: Literal["auto", "zip", "rest"] = "auto"
    force: Flag = False

    def request(self) -> BackfillRequest:
        """As it is kept; what was before the first listing is nothing to look for."""
        since_ms, until_ms = (floor_minute(one) for one in (self.start, self.end))
        symbols = tuple(sorted(set(self.symbols)))
        return BackfillRequest(0, symbols, max(since_ms, FIRST_MS), until_ms, self.source, self.force, False)


class Cost(BaseModel):
    """What it would cost, as the ledger stands now."""

    rows: int = Field(description="Minutes to fill.")
    files: int
    requests: int
    download_bytes: int
    stored_bytes: int
    weight: int = Field(description="Of the venue's request budget.")
    seconds: float
    left: int = Field(description="Minutes that nobody can be asked for now.")


class Backfill(BaseModel):
    """A request as it stands."""

    id: int
    symbols: list[str]
    from_ms: int
    to_ms: int
    source: str
    force: bool
    requested_by: str
    state: Literal["waiting", "running", "done", "cancelled", "failed"]
    is_unwanted: bool
    progress: dict[str, Any]
    detail: str
    requested_ms: int
    started_ms: int | None
    finished_ms: int | None


class Backfills(BaseModel):
    """The newest first; `next` is the `before` of the next piece, null behind the last."""

    data: list[Backfill]
    next: int | None


@router.post("/estimate", response_model=Cost, dependencies=[needs(Scope.TASK)])
async def estimate(asked: Wanted, given: Given) -> Json:
    """What filling would cost; nothing is done. 429 while another estimate is made."""
    return Json(asdict(await given.backfills.estimate(asked.request())))


@router.post(
    "",
    status_code=202,
    response_model=Backfill,
    responses={200: {"model": Backfill, "description": "The same was asked for before, and is not over."}},
    dependencies=[needs(Scope.TASK)],
)
async def start(asked: Wanted, given: Given, caller: Caller, response: Response) -> dict[str, Any]:
    """Have it filled by whoever fills history. 429 where too many wait."""
    request, is_new = await given.backfills.start(asked.request(), requested_by=caller.name)
    accept(response, is_new)
    return await _known(given, request.id)


@router.get("", response_model=Backfills)
async def newest(
    given: Given,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    before: Annotated[int | None, Query(ge=1, le=BIGGEST_ID)] = None,
) -> Json:
    """The newest requests."""
    found = await _requests(given, limit=limit, before=before)
    return Json({"data": found, "next": found[-1]["id"] if len(found) == limit else None})


@router.get("/{number:int}", response_model=Backfill)
async def show(number: Number, given: Given) -> Json:
    """One request."""
    return Json(await _known(given, number))


@router.post("/{number:int}/cancel", response_model=Backfill, dependencies=[needs(Scope.TASK)])
async def cancel(number: Number, given: Given) -> Json:
    """End one that waits, have one that runs ended. 409 where it is over."""
    found = await _known(given, number)
    if found["state"] not in ("waiting", "running"):
        raise problem(409, "The backfill is over", f"backfill {number} is over: {found['state']}")
    await given.backfills.cancel(number)
    return Json(await _known(given, number))


async def _known(given: Parts, number: int) -> dict[str, Any]:
    for request in await _requests(given, limit=1, number=number):
        return request
    raise problem(404, "Unknown backfill", f"there is no backfill {number}")


async def _requests(
    given: Parts, *, limit: int, before: int | None = None, number: int | None = None
) -> list[dict[str, Any]]:
    return await given.reader.records(
        "api_work.backfills", exchange=given.exchange, limit=limit, before=before, id=number
    )
