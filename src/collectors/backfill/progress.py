"""How far a filling has come: numbers for whoever waits, gauges for Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from ...telemetry.metrics import Metrics


@dataclass(slots=True)
class Progress:
    """Counted while a filling works; ``note`` is why it stands still, empty while it works.

    ``minutes_planned`` and ``minutes_done`` are missing minutes that tasks are for, and of tasks that are through.
    """

    tasks_planned: int = 0
    tasks_done: int = 0
    minutes_planned: int = 0
    minutes_done: int = 0
    rows_inserted: int = 0
    rows_replaced: int = 0
    rows_unchanged: int = 0
    absent: int = 0
    quarantined: int = 0
    note: str = ""

    def plan_more(self, tasks: int, minutes: int) -> None:
        self.tasks_planned += tasks
        self.minutes_planned += minutes

    def task_done(self, minutes: int) -> None:
        self.tasks_done += 1
        self.minutes_done += minutes

    def replan(self) -> None:
        """What was planned and not done is planned anew."""
        self.tasks_planned = self.tasks_done
        self.minutes_planned = self.minutes_done

    def as_dict(self) -> dict[str, object]:
        """For whoever follows it from another process."""
        return asdict(self)

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """What another process, perhaps of another version, told."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in told.items() if name in known})

    def show(self, metrics: Metrics) -> None:
        """Set the gauges. Work that nobody planned (asking again for what is absent) goes on beside what was: it leaves
        them as they are."""
        if self.tasks_done > self.tasks_planned:
            return
        metrics.backfill_tasks_left.set(max(self.tasks_planned - self.tasks_done, 0))
        metrics.backfill_candles_left.set(max(self.minutes_planned - self.minutes_done, 0))
