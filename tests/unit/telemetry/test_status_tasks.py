"""What ``/status`` says of the tasks that this process did."""

from __future__ import annotations

from src.adapters.status import RunInfo, StatusReport
from src.clock import VenueClock
from src.telemetry.health import Health
from src.telemetry.metrics import Metrics


def test_attempts_at_tasks_are_told_by_outcome() -> None:
    metrics = Metrics()
    for kind, outcome in (("Bars", "success"), ("Levels", "success"), ("Levels", "failed")):
        metrics.tasks.labels(kind, outcome).inc()
    report = StatusReport(metrics.registry, Health(), VenueClock(), RunInfo("run", "0", 1.0))
    assert report()["tasks"] == {"failed": 1, "success": 2}
