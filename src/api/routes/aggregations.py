"""Bars of any kind and size: how much is to be read for them, then asking for them."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from ..answers import Json
from ..asking import TASK_ID, TaskView, accept, ask, view
from ..parts import Given
from ..security import Caller, Scope, needs
from ..taken import Flag, Moment

router = APIRouter(prefix="/api/v1/aggregations", tags=["bars"], dependencies=[needs(Scope.READ)])

KIND = "Aggregate"


class Wanted(BaseModel):
    """Bars of one symbol. `size` is an interval (`7m`, `2h`) for bars of time, else a number of trades, of base or of
    quote asset."""

    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(min_length=1, max_length=64)
    size: str = Field(min_length=1, max_length=32)
    kind: Literal["time", "tick", "volume", "dollar"] = "time"
    source: Literal["auto", "candles", "trades"] = "auto"
    exchange: Literal["binance_futures_um", "binance_spot"] | None = None
    since: Moment | None = None
    anew: Flag = False

    def parameters(self) -> dict[str, Any]:
        """As the kind of task takes them: what was not given is its to choose."""
        return self.model_dump(mode="json", exclude_unset=True)


class WantedTask(Wanted):
    """The same with an id: the same `task_id` twice is one task."""

    task_id: str | None = Field(default=None, pattern=TASK_ID)

    def parameters(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_unset=True, exclude={"task_id"})


class Cost(BaseModel):
    """What is stored of the symbol from there on, and so to be read at most."""

    minutes: int
    trades: int = Field(description="Of all its time, whatever `since` says.")


@router.post("/estimate", response_model=Cost, dependencies=[needs(Scope.TASK)])
async def estimate(asked: Wanted, given: Given) -> Json:
    """How much there is to read; nothing is done."""
    exchange = asked.exchange or given.exchange
    since_ms = 0 if asked.since is None else int(asked.since.timestamp() * 1000)
    [(minutes,)] = await given.reader.rows(
        "api_work.minutes_to_read", exchange=exchange, symbol=asked.symbol, since_ms=since_ms
    )
    [(trades,)] = await given.reader.rows("api_work.trades_to_read", exchange=exchange, symbol=asked.symbol)
    return Json({"minutes": minutes, "trades": trades})


@router.post(
    "",
    status_code=202,
    response_model=TaskView,
    responses={200: {"model": TaskView, "description": "It was asked for before."}},
    dependencies=[needs(Scope.TASK)],
)
async def start(asked: WantedTask, given: Given, caller: Caller, response: Response) -> dict[str, Any]:
    """Build them; the work is a task."""
    task, is_new = await ask(given, caller, KIND, asked.parameters(), task_id=asked.task_id)
    accept(response, is_new)
    return view(task)
