"""Alerts: made from levels or by hand, and each time a closed candle crossed one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from ...model import alerts as model
from ..answers import Json
from ..asking import BIGGEST_ID
from ..parts import Given, Parts
from ..problems import ProblemError, problem
from ..security import Caller, Scope, needs
from ..taken import Amount, Flag

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"], dependencies=[needs(Scope.READ)])

AlertId = Annotated[int, Path(ge=1, le=BIGGEST_ID)]
Before = Annotated[int | None, Query(ge=1, le=BIGGEST_ID)]
Direction = Literal["long", "short"]


class NewAlert(BaseModel):
    """A price to be told of. `long`: a candle closes at it or below after one above, as at a support; `short`: at it or
    above after one below, as at a resistance. `target` is one of `/api/v1/alerts/targets`; no address is taken."""

    model_config = ConfigDict(extra="forbid")

    symbol: str = Field(min_length=1, max_length=64)
    price: Amount = Field(gt=0, le=1e15)
    direction: Direction
    note: str = Field(default="", max_length=500)
    target: str | None = Field(default=None, min_length=1, max_length=40)
    level_id: str | None = Field(default=None, min_length=1, max_length=100)


class Switch(BaseModel):
    """Off: nothing is looked at; on again: from now on."""

    model_config = ConfigDict(extra="forbid")

    enabled: Flag


class Alert(BaseModel):
    """An alert. It stays when it has fired."""

    alert_id: int
    symbol: str
    price: float
    direction: Direction
    note: str
    target: str | None
    level_id: str | None
    enabled: bool
    created_ms: int
    events: int
    last_event_ms: int | None = Field(description="Open of the newest candle that crossed it.")


class Alerts(BaseModel):
    """The newest first; `next` is the `before` of the next piece, null behind the last."""

    data: list[Alert]
    next: int | None


class Event(BaseModel):
    """A closed candle that crossed the price of an alert. `bucket_ms` is its open."""

    event_id: int
    alert_id: int
    symbol: str
    price: float
    direction: Direction
    bucket_ms: int
    close: float
    delivery: Literal["none", "waiting", "delivered", "dead"]
    target: str | None
    attempts: int
    error: str


class Events(BaseModel):
    """The newest first; `next` is the `before` of the next piece, null behind the last."""

    data: list[Event]
    next: int | None


class TargetNames(BaseModel):
    targets: list[str]


@router.get("/targets", response_model=TargetNames)
async def targets(given: Given) -> Json:
    """The names of the targets that are configured."""
    return Json({"targets": sorted(given.target_names)})


@router.get("/events", response_model=Events)
async def events(
    given: Given,
    alert_id: Annotated[int | None, Query(ge=1, le=BIGGEST_ID)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Before = None,
) -> Json:
    """What fired, of one alert where it is given; also of alerts that were removed since."""
    found = await given.reader.records("alerts.events", alert_id=alert_id, limit=limit, before=before)
    return Json({"data": found, "next": found[-1]["event_id"] if len(found) == limit else None})


@router.post("", status_code=201, response_model=Alert, dependencies=[needs(Scope.TASK)])
async def create(asked: NewAlert, given: Given, caller: Caller) -> Json:
    """Make an alert. It is crossed by candles that close from now on: 409 where the symbol is not traded."""
    if asked.target is not None and asked.target not in given.target_names:
        raise problem(404, "Unknown target", "not a target that is configured", field="body.target")
    known = await given.reader.rows("api_work.knows", exchange=given.exchange, symbol=asked.symbol)
    if known != [(True,)]:
        raise problem(404, "Unknown symbol", f"{asked.symbol} is not known here", field="body.symbol")
    if await given.reader.rows("api_work.has_ended", exchange=given.exchange, symbol=asked.symbol) == [
        (True,)
    ]:
        detail = f"{asked.symbol} is not traded now: no candle would cross a price"
        raise problem(409, "Not traded", detail, field="body.symbol")
    alert = model.NewAlert(**asked.model_dump(), made_by=caller.name)
    alert_id = await given.alerts.add(alert, now_ms=given.clock.now_ms())
    if alert_id is None:
        raise problem(409, "Too many alerts", "remove some that are not needed any more")
    return Json(await _known(given, alert_id), 201)


@router.get("", response_model=Alerts)
async def newest(
    given: Given,
    symbol: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Before = None,
) -> Json:
    """The newest alerts."""
    found = await _alerts(given, symbol=symbol, limit=limit, before=before)
    return Json({"data": found, "next": found[-1]["alert_id"] if len(found) == limit else None})


@router.get("/{alert_id:int}", response_model=Alert)
async def show(alert_id: AlertId, given: Given) -> Json:
    """One alert."""
    return Json(await _known(given, alert_id))


@router.patch("/{alert_id:int}", response_model=Alert, dependencies=[needs(Scope.TASK)])
async def switch(alert_id: AlertId, asked: Switch, given: Given) -> Json:
    """Turn an alert off, or on again."""
    if not await given.alerts.switch(alert_id, enabled=asked.enabled, now_ms=given.clock.now_ms()):
        raise _missing(alert_id)
    return Json(await _known(given, alert_id))


@router.delete("/{alert_id:int}", response_model=Alert, dependencies=[needs(Scope.TASK)])
async def remove(alert_id: AlertId, given: Given) -> Json:
    """Remove an alert, and return it as it was. Its events stay."""
    alert = await _known(given, alert_id)
    if not await given.alerts.remove(alert_id):
        raise _missing(alert_id)
    return Json(alert)


async def _known(given: Parts, alert_id: int) -> dict[str, Any]:
    for alert in await _alerts(given, alert_id=alert_id, limit=1):
        return alert
    raise _missing(alert_id)


async def _alerts(
    given: Parts,
    *,
    limit: int,
    symbol: str | None = None,
    before: int | None = None,
    alert_id: int | None = None,
) -> list[dict[str, Any]]:
    return await given.reader.records(
        "alerts.newest", symbol=symbol, before=before, alert_id=alert_id, limit=limit
    )


def _missing(alert_id: int) -> ProblemError:
    return problem(404, "Unknown alert", f"there is no alert {alert_id}")
