"""The API on a real socket in the test's own loop, over whatever stands in for the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NoReturn

from fastapi import FastAPI
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from src.api.app import Access, make_app
from src.api.feed.hub import Hub
from src.api.feed.watch import TaskWatch
from src.api.limits import Limits
from src.api.origins import Origins
from src.api.parts import Parts
from src.api.security import Guard, Tokens
from src.api.server import HttpServer
from src.clock import VenueClock
from src.config.listening import Listener
from src.errors import Unavailable
from src.model import BackfillRequest, Task, TaskLine, TaskState
from src.model.alerts import NewAlert
from src.ports.alerts import AlertBook
from src.ports.reading import Reader
from src.ports.work import BackfillCost, Backfills, Batches, JobView, KindView, TaskDesk
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics

from .eventually import eventually


class StandInReader:
    """``ports.reading.Reader`` whose answers are given; by query, or a function of the values."""

    def __init__(self, answers: Mapping[str, Any] | None = None) -> None:
        self.answers = dict(answers or {})
        self.asked: list[tuple[str, dict[str, Any]]] = []

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        self.asked.append((query, values))
        found = self.answers.get(query, [])
        return list(found(**values) if callable(found) else found)

    async def records(self, query: str, **values: Any) -> list[dict[str, Any]]:
        return [dict(row) for row in await self.rows(query, **values)]


class ClosedDesk:
    """``ports.work.TaskDesk`` that is never open."""

    def kinds(self) -> Sequence[KindView]:
        return ()

    def jobs(self, now_ms: int) -> Sequence[JobView]:
        return ()

    async def ask(
        self,
        kind: str,
        parameters: Mapping[str, Any],
        *,
        task_id: str | None = None,
        requested_by: str = "",
    ) -> tuple[Task, bool]:
        self._refuse()

    async def show(self, task_id: str) -> Task | None:
        self._refuse()

    async def newest(
        self,
        *,
        kind: str | None = None,
        state: TaskState | None = None,
        limit: int = 50,
        before: str | None = None,
    ) -> list[Task]:
        self._refuse()

    async def lines(self, task_id: str, *, after: int = 0, limit: int = 1000) -> list[TaskLine]:
        self._refuse()

    async def cancel(self, task_id: str) -> bool:
        self._refuse()

    async def waiting(self) -> int:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise Unavailable("no tasks here")


class NoBatches:
    """``ports.work.Batches`` that takes none."""

    async def add(self, name: str) -> int | None:
        raise Unavailable("no batches here")


class NoBackfills:
    """``ports.work.Backfills`` that takes none."""

    async def estimate(self, wanted: BackfillRequest) -> BackfillCost:
        raise Unavailable("no backfills here")

    async def start(self, wanted: BackfillRequest, *, requested_by: str) -> tuple[BackfillRequest, bool]:
        raise Unavailable("no backfills here")

    async def cancel(self, number: int) -> None:
        raise Unavailable("no backfills here")


class NoAlerts:
    """``ports.alerts.AlertBook`` that keeps none."""

    async def add(self, alert: NewAlert, *, now_ms: int) -> int | None:
        raise Unavailable("no alerts here")

    async def switch(self, alert_id: int, *, enabled: bool, now_ms: int) -> bool:
        raise Unavailable("no alerts here")

    async def remove(self, alert_id: int) -> bool:
        raise Unavailable("no alerts here")


@dataclass(slots=True)
class Api:
    """A served API: its parts, its port, and what it has counted."""

    parts: Parts
    server: HttpServer
    tokens: Tokens
    app: ASGIApp = field(repr=False)
    metrics: Metrics = field(repr=False)

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answered(self, route: str, code: int = 200) -> float:
        """How often a route has answered so."""
        labels = {"route": route, "code": str(code)}
        return self.metrics.registry.get_sample_value("marketd_api_requests_total", labels) or 0.0

    def refused(self, reason: str) -> float:
        """How often something was refused for this reason."""
        return self.metrics.registry.get_sample_value("marketd_api_refused_total", {"reason": reason}) or 0.0


def made_parts(
    *,
    tokens: Tokens | None = None,
    reader: Reader | None = None,
    desk: TaskDesk | None = None,
    batches: Batches | None = None,
    alerts: AlertBook | None = None,
    backfills: Backfills | None = None,
    target_names: Collection[str] = (),
) -> Parts:
    """What routes work with; what is not given answers nothing."""
    metrics, clock = Metrics(), VenueClock()
    reader = reader or StandInReader()
    hub = Hub(clock, metrics)
    return Parts(
        reader=reader,
        desk=ClosedDesk() if desk is None else desk,
        batches=NoBatches() if batches is None else batches,
        backfills=NoBackfills() if backfills is None else backfills,
        alerts=NoAlerts() if alerts is None else alerts,
        target_names=target_names,
        hub=hub,
        watch=TaskWatch(hub, reader),
        guard=Guard(tokens or Tokens(None)),
        clock=clock,
        metrics=metrics,
        health=Health(),
        exchange="binance_futures_um",
        version="1.2.3",
    )


def routes_of(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    """Every route, those of included routers too."""
    for route in routes:
        if (included := getattr(route, "original_router", None)) is not None:
            yield from routes_of(included.routes)
        else:
            yield route


def routes_in(app: ASGIApp) -> FastAPI:
    """The application's own part, behind the gate and what packs answers."""
    found: FastAPI = app._app.app  # type: ignore[attr-defined] # of the gate
    return found


@asynccontextmanager
async def served(
    *,
    tokens: Tokens | None = None,
    origins: Origins | None = None,
    limits: Limits | None = None,
    reader: Reader | None = None,
    desk: TaskDesk | None = None,
    batches: Batches | None = None,
    alerts: AlertBook | None = None,
    backfills: Backfills | None = None,
    target_names: Collection[str] = (),
    app: Callable[[Parts, Access], ASGIApp] = make_app,
) -> AsyncIterator[Api]:
    """The API on a free port of 127.0.0.1, with its feed running."""
    tokens = tokens or Tokens(None)
    parts = made_parts(
        tokens=tokens,
        reader=reader,
        desk=desk,
        batches=batches,
        alerts=alerts,
        backfills=backfills,
        target_names=target_names,
    )
    hub, metrics = parts.hub, parts.metrics
    access = Access(origins or Origins((), ()), limits or Limits())
    listener = Listener("127.0.0.1", 0, setting="API")
    made = app(parts, access)
    server = HttpServer(lambda: made, listener, access.limits, metrics)
    server.prepare()
    running = [
        asyncio.create_task(run(), name=name) for name, run in (("api", server.run), ("feed", hub.run))
    ]
    try:
        await eventually(lambda: server.serving, timeout=60)
        yield Api(parts, server, tokens, made, metrics)
    finally:
        for task in running:
            task.cancel()
        for task in running:
            with suppress(asyncio.CancelledError):
                await task
