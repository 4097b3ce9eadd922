"""What routes work with: made by ``wiring``, the same for every request."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from ..model import Dataset
from ..ports import Clock
from ..ports.alerts import AlertBook
from ..ports.reading import Reader
from ..ports.work import Backfills, Batches, TaskDesk
from ..telemetry.health import Health
from ..telemetry.metrics import Metrics
from .cache import AnswerCache
from .feed.hub import Hub
from .feed.watch import TaskWatch
from .kept import Kept
from .security import Guard


@dataclass(frozen=True, slots=True)
class Parts:
    """``exchange`` is the word of the futures in the column ``exchange``.

    ``target_names`` are those of ``ALERT_TARGETS``; ``hub`` tells those who listen live, ``watch`` has the news of
    tasks for it; ``guard`` knows who a token is; ``cache`` keeps answers about ranges that are over. ``asked_from``
    says from a dataset and now (UTC ms) since when it is filled unasked: what is missing before, nobody fetches.
    """

    reader: Reader
    desk: TaskDesk
    batches: Batches
    backfills: Backfills
    alerts: AlertBook
    target_names: Collection[str]
    hub: Hub
    watch: TaskWatch
    guard: Guard
    clock: Clock
    metrics: Metrics
    health: Health
    exchange: str
    version: str
    asked_from: Callable[[Dataset, int], int] = lambda dataset, now_ms: 0
    kept: Kept = field(default_factory=Kept)
    cache: AnswerCache = field(default_factory=AnswerCache)


async def parts(connection: HTTPConnection) -> Parts:
    found = connection.app.state.parts
    assert isinstance(found, Parts)  # noqa: S101 - make_app sets it
    return found


Given = Annotated[Parts, Depends(parts)]
"""Type of a route's parameter that takes the parts."""
