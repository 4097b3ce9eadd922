"""Does the tasks of a plan: files and requests side by side."""

from __future__ import annotations

import asyncio

from ...telemetry.metrics import Metrics
from ..unwrap import first_error
from .files import FileWork
from .job import Job, Outcome
from .plan import Plan
from .requests import RequestWork

KINDS = ("daily", "monthly", "rest")
RESULTS = ("ok", "unanswered")


class Engine:
    """Everything it does is in the database when it is done, so it may be cancelled and begun again at any time."""

    def __init__(self, files: FileWork, requests: RequestWork, metrics: Metrics) -> None:
        self._files = files
        self._requests = requests
        for kind in KINDS:
            for result in RESULTS:
                metrics.backfill_tasks.labels(kind=kind, result=result)

    async def run(self, plan: Plan, job: Job) -> Outcome:
        """Do the plan. Raises ``Misconfigured``; whatever else fails is in the outcome."""
        outcome = Outcome()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._files.run(plan.files, job, outcome), name="backfill files")
                group.create_task(self._requests.run(plan.requests, job, outcome), name="backfill requests")
        except BaseExceptionGroup as failed:
            raise first_error(failed) from failed
        return outcome
