"""Is it alive, is it ready: for people, load balancers and whatever starts it. Answers without a token."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from ..parts import Given
from ..security import Caller

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = "ok"
    version: str = Field(default="", description="The version of marketd, for callers with a token.")


class Ready(BaseModel):
    """Whether its data are fresh and its database takes writes."""

    ready: bool
    reasons: list[str] = Field(default=[], description="Why it is not, for callers with a token.")


@router.get("/health")
@router.get("/healthz", include_in_schema=False)
async def health(given: Given, caller: Caller) -> Alive:
    """Whether the process is alive: it has just answered."""
    return Alive(version=given.version if caller.may_read else "")


@router.get("/readyz", responses={503: {"model": Ready}})
async def ready(given: Given, caller: Caller, response: Response) -> Ready:
    """Whether it is ready: candles are fresh and the database takes writes. 503 where it is not."""
    reasons = given.health.not_ready_reasons(given.clock.now())
    if reasons:
        response.status_code = 503
    return Ready(ready=not reasons, reasons=reasons if caller.may_read else [])
