"""What the task CollectUniswap can be asked, and what it hands on."""

from __future__ import annotations

from typing import Any

import pytest

from src.analysis.collect_uniswap import kind
from src.analysis.jobs import Context
from src.errors import BadData
from src.model import Task

POOL = "0x88E6A0c2dDD26FEEb64F039a2c41296FcB3f5640"
ASKED = {"pool_address": POOL, "start_ts": "2026-11-01T00:00:00Z", "end_ts": "2026-11-02T01:00:00+01:00"}


class Collector:
    """Notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []

    async def collect(self, pool: str, start_ms: int, end_ms: int, tell: Any) -> dict[str, Any]:
        self.asked.append((pool, start_ms, end_ms))
        await tell("half of it", 0.5)
        return {"blocks": 7}


class Tasks:
    """Takes the lines of a task."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, float | None]] = []

    async def tell(self, task: Task, line: str, *, share: float | None = None) -> None:
        self.lines.append((line, share))


async def test_a_task_asks_for_a_pool_and_two_moments() -> None:
    collector, tasks = Collector(), Tasks()
    made = kind(collector)
    task = Task("1", made.name, ASKED, requested_by="a test")
    context = Context(task, tasks, None, made.deadline_s)  # type: ignore[arg-type]
    assert await made.run(context, made.asked(ASKED)) == {"blocks": 7}
    assert collector.asked == [(POOL.lower(), 1_793_491_200_000, 1_793_577_600_000)]
    assert tasks.lines == [("half of it", 0.5)]


def test_two_tasks_of_one_pool_never_run_at_once_however_it_is_written() -> None:
    made = kind(Collector())
    assert made.subject_of(ASKED) == made.subject_of(ASKED | {"pool_address": POOL.lower()})


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"pool_address": "0x12"}, "pool_address"),
        ({"start_ts": "2026-11-01T00:00:00"}, "start_ts"),
        ({"end_ts": "2026-10-01T00:00:00Z"}, "before end_ts"),
        ({"other": 1}, "other"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(BadData, match=named):
        kind(Collector()).asked(ASKED | wrong)
