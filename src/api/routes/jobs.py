"""Jobs: what is done by itself, when it is next, and how the last time ended."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, Field

from ..answers import Json
from ..asking import TaskView
from ..parts import Given
from ..security import Scope, needs

router = APIRouter(prefix="/api/v1/jobs", tags=["tasks"], dependencies=[needs(Scope.READ)])

_KEPT_S = 1.0


class Job(BaseModel):
    """A task that is asked for whenever `cron` says (UTC). `SCHEDULES` of the daemon that answers has them."""

    name: str = Field(description="As the configuration has it.")
    kind: str
    parameters: dict[str, Any]
    cron: str = Field(
        description="Minute, hour, day, month, weekday, and second where there is a sixth field."
    )
    next_ms: int = Field(description="When it is due next, UTC ms.")
    last: TaskView | None = Field(
        description="The task of the newest period; null where none was asked for yet."
    )


@router.get("", response_model=list[Job])
async def jobs(given: Given) -> Json:
    """Every job that the daemon does by itself, in the order of their names, each with its newest task."""
    found = given.desk.jobs(given.clock.now_ms())
    asked = orjson.dumps(
        [
            {"number": number, "kind": job.kind, "parameters": dict(job.parameters)}
            for number, job in enumerate(found)
        ]
    ).decode()

    async def read() -> dict[int, dict[str, Any]]:
        rows = await given.reader.records("api_work.newest_of_jobs", jobs=asked)
        return {row.pop("number"): row for row in rows}

    newest = await given.kept.get(("jobs", asked), _KEPT_S, given.clock, read)
    return Json(
        [
            {
                "name": job.name,
                "kind": job.kind,
                "parameters": dict(job.parameters),
                "cron": job.cron,
                "next_ms": job.next_ms,
                "last": newest.get(number),
            }
            for number, job in enumerate(found)
        ]
    )
