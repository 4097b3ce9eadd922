"""Analyses: the tasks that are done here."""

from __future__ import annotations

from .families import Families

_TASK_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class AnalysisFamilies(Families):
    """Metrics of tasks, by kind."""

    def _tasks(self) -> None:
        self.tasks = self._counter(
            "tasks",
            "Attempts at tasks that ended here, by kind and outcome: success, failed, cancelled, again.",
            "kind",
            "outcome",
        )
        self.task_seconds = self._histogram(
            "task_duration_seconds", "Wall time of one attempt at a task, by kind.", _TASK_BUCKETS, "kind"
        )
        self.tasks_asked = self._counter(
            "tasks_asked", "Tasks that schedules asked for, by result: new, there, failed.", "result"
        )
        self.tasks_taken_over = self._counter(
            "tasks_taken_over", "Tasks of workers that had gone silent, given back to the queue."
        )
