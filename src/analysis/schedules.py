"""What is done by itself, and when: one task a period, however many daemons ask for it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from croniter import croniter

from ..config.schedules import name_of, named
from ..errors import BadData, ConfigError, MarketdError
from ..model import Task
from ..ports.clock import Clock
from ..ports.tasks import TaskQueue
from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics
from ..telemetry.pulse import outside
from .jobs import Kind

_SECOND_MS = 1000
_AGAIN_MS = 15_000
_SHORT = 80
_PLAIN = re.compile(r"[\w.:+-]+(,\w+=[\w.:+-]+)*")

_log = get_logger("schedules")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A task of ``kind`` with ``parameters``, whenever ``cron`` says: minute, hour, day, month, weekday and,
    where there is a sixth field, second; UTC."""

    kind: str
    cron: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As the configuration names it."""
        return name_of(self.kind, dict(self.parameters))

    def next_ms(self, after_ms: int) -> int:
        """The first period that begins after ``after_ms``."""
        return int(croniter(self.cron, after_ms / _SECOND_MS).get_next(float) * _SECOND_MS)

    def last_ms(self, until_ms: int) -> int:
        """The last period that began at ``until_ms`` or before."""
        # The one before the next whole second: of a fraction, one that is still to come would be taken.
        return int(croniter(self.cron, until_ms // _SECOND_MS + 1).get_prev(float) * _SECOND_MS)

    def task(self, period_ms: int) -> Task:
        """The task of a period; its id is the same wherever it is made."""
        at = datetime.fromtimestamp(period_ms / _SECOND_MS, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Task(
            f"{self._prefix()}@{at}",
            self.kind,
            dict(self.parameters),
            requested_by="schedule",
            scheduled_ms=period_ms,
        )

    def _prefix(self) -> str:
        """What tells the schedule's tasks from others: no shell and no URL reads anything into it."""
        if not self.parameters:
            return self.kind
        written = self.name.removeprefix(self.kind)[1:-1]
        if len(written) <= _SHORT and _PLAIN.fullmatch(f"{self.kind},{written}"):
            return f"{self.kind},{written}"
        return f"{self.kind},{hashlib.sha256(written.encode()).hexdigest()[:12]}"


def checked(schedules: Mapping[str, str], kinds: Mapping[str, Kind[Any]]) -> list[Schedule]:
    """The schedules of a configuration. Raises ``ConfigError`` with a line for each that cannot be."""
    problems: list[str] = []
    found: list[Schedule] = []
    for name, cron in sorted(schedules.items()):
        try:
            kind, parameters = named(name)
        except ValueError as error:
            problems.append(f"SCHEDULES: {error}")
            continue
        if not croniter.is_valid(cron):
            problems.append(f"SCHEDULES: {name}: {cron!r} is not five or six cron fields")
        if kind not in kinds:
            problems.append(
                f"SCHEDULES: there is no task called {kind}; there are {', '.join(sorted(kinds))}"
            )
            continue
        try:
            kinds[kind].subject_of(parameters)
        except BadData as error:
            problems.append(f"SCHEDULES: {name}: {str(error).removeprefix(f'{kind}: ')}")
        found.append(Schedule(kind, cron, parameters))
    if problems:
        raise ConfigError(*sorted(problems))
    return found


class Scheduler:
    """Asks for the task of each period; at the start for that of the period that is running."""

    def __init__(
        self,
        schedules: Sequence[Schedule],
        kinds: Mapping[str, Kind[Any]],
        queue: TaskQueue,
        clock: Clock,
        metrics: Metrics,
        *,
        after: asyncio.Event,
    ) -> None:
        self._schedules, self._kinds, self._queue = schedules, kinds, queue
        self._clock, self._metrics, self._after = clock, metrics, after
        self._asked: dict[str, int] = {}
        for result in ("new", "there", "failed"):
            metrics.tasks_asked.labels(result=result)
        self._changed = asyncio.Event()

    def change(self, schedules: Sequence[Schedule]) -> None:
        """These from now on. Of a new one the task of the period that is running is asked for, as at the start."""
        if list(schedules) != list(self._schedules):
            self._schedules = schedules
            self._changed.set()

    async def run(self) -> None:
        """Until cancelled; a database that is away is asked again 15 s later. ``after`` is waited for first: a period
        needs a clock that is right."""
        await self._after.wait()
        while True:
            self._changed.clear()
            now = self._clock.now_ms()
            schedules = self._schedules  # others may come while the database is asked
            asked = [await self._ask(schedule, schedule.last_ms(now)) for schedule in schedules]
            if not asked:
                with outside("nothing: no schedule is set"):
                    await self._changed.wait()
                continue
            due = min(schedule.next_ms(now) for schedule in schedules)
            if not all(asked):
                due = min(due, now + _AGAIN_MS)
            await self._until(due / _SECOND_MS)

    async def _until(self, due: float) -> None:
        """Sleep until ``due`` (venue seconds), or until the schedules change."""
        async with asyncio.TaskGroup() as group:
            sleep = group.create_task(self._clock.sleep_until(due), name="until a schedule is due")
            change = group.create_task(self._changed.wait(), name="until the schedules change")
            await asyncio.wait({sleep, change}, return_when=asyncio.FIRST_COMPLETED)
            sleep.cancel()
            change.cancel()

    async def _ask(self, schedule: Schedule, period_ms: int) -> bool:
        """False when the database did not take it."""
        if self._asked.get(schedule.name) == period_ms:
            return True
        task, kind = schedule.task(period_ms), self._kinds[schedule.kind]
        try:
            is_new = await self._queue.ask(task, subject=kind.subject_of(schedule.parameters))
        except MarketdError as error:
            self._metrics.tasks_asked.labels(result="failed").inc()
            _log.warning("schedule_missed", msg=f"{schedule.name}: {error}", task=task.task_id)
            return False
        self._asked[schedule.name] = period_ms
        self._metrics.tasks_asked.labels(result="new" if is_new else "there").inc()
        return True
