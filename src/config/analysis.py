"""Settings of tasks: what is done by itself, and by how many at a time."""

from __future__ import annotations

from . import checks
from .fields import setting
from .trades import TradeSettings


class AnalysisSettings(TradeSettings):
    """The tasks of ``--jobs`` and ``marketd worker``."""

    schedules: checks.Schedules = setting(
        {"Bars": "*/5 * * * * 20", "Levels": "2 * * * *"},
        "Which tasks are done by themselves, and when (cron, UTC; a sixth field is the second). Each period is"
        " done once, however many daemons ask. A task may have parameters, those of `marketd jobs kinds`; a value"
        " with a comma or bracket is written as JSON. In YAML a list of kind, cron and parameters is taken too.",
        group="Tasks",
        accepts="task=cron pairs, comma-separated, such as"
        " `Bars=*/5 * * * * 20,Levels=2 * * * *,Levels(timeframe=4h)=3 */4 * * *`",
    )
    task_concurrency: int = setting(
        2,
        "Tasks worked at side by side in this process.",
        group="Tasks",
        accepts="a whole number, 1 to 16",
        ge=1,
        le=16,
    )
    kernel_processes: int = setting(
        1,
        "Processes that compute for tasks; each holds 100 to 300 MB while it is at it.",
        group="Tasks",
        accepts="a whole number, 1 to 16",
        ge=1,
        le=16,
    )
    kernel_memory_mb: int = setting(
        4096,
        "How much memory one of them may take; a task that needs more fails.",
        group="Tasks",
        accepts="a whole number of megabytes, 256 to 1048576",
        ge=256,
        le=1_048_576,
    )
    task_days: int = setting(
        14,
        "Finished tasks and their logs are forgotten after so many days.",
        group="Tasks",
        accepts="a whole number of days, 1 to 3650",
        ge=1,
        le=3650,
    )
