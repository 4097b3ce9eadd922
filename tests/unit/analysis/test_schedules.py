"""Schedules of one kind with different parameters: what is checked at the start, and what tells their tasks apart."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

import pytest

from src.analysis.schedules import Schedule, Scheduler, checked
from src.clock import VenueClock
from src.config import Settings
from src.config.schedules import schedules
from src.errors import ConfigError
from src.model import Task
from src.telemetry.metrics import Metrics
from src.telemetry.pulse import Pulse
from src.wiring.core import Core
from src.wiring.jobs import kinds
from tests.support.eventually import eventually

KINDS = kinds(Core(Settings(), Metrics(), run_id="test"))
_MIDNIGHT_MS = 1_764_115_200_000


def _checked(text: str) -> list[Schedule]:
    return checked(schedules(text), KINDS)


def test_a_schedule_of_each_timeframe_and_of_both_analyses() -> None:
    found = _checked(
        "Levels=2 * * * *,Levels(timeframe=15m)=*/15 * * * *,ProcessPrices(aggregation_interval=second)=9 * * * *,"
        'Analyse(strategy={"mode":"execution"},overwrite=true)=12 * * * *'
    )
    assert [schedule.kind for schedule in found] == ["Analyse", "Levels", "Levels", "ProcessPrices"]
    assert found[0].parameters == {"strategy": {"mode": "execution"}, "overwrite": "true"}
    tasks = [schedule.task(_MIDNIGHT_MS) for schedule in found]
    assert [task.task_id for task in tasks[1:]] == [
        "Levels@2025-11-26T00:00:00Z",
        "Levels,timeframe=15m@2025-11-26T00:00:00Z",
        "ProcessPrices,aggregation_interval=second@2025-11-26T00:00:00Z",
    ]
    assert re.fullmatch(r"Analyse,[0-9a-f]{12}@2025-11-26T00:00:00Z", tasks[0].task_id)
    assert dict(tasks[2].parameters) == {"timeframe": "15m"}


def test_the_id_is_short_and_one_for_the_same_parameters() -> None:
    one = _checked(f"Levels(symbol={'A' * 60},timeframe=4h,history=2000)=1 * * * *")[0]
    other = _checked(f"Levels(history=2000,timeframe=4h,symbol={'A' * 60})=1 * * * *")[0]
    assert one.task(_MIDNIGHT_MS) == other.task(_MIDNIGHT_MS)
    assert len(one.task(_MIDNIGHT_MS).task_id) < 60


def test_every_entry_that_cannot_be_is_named_with_its_field() -> None:
    with pytest.raises(ConfigError) as caught:
        _checked(
            "Levels(timeframe=7m)=1 * * * *,Levels(market_type=spot)=1 * * * *,Level=1 * * * *,"
            "ProcessPrices(end=2026-01-01)=1 * * * *,ProcessPrices(overwrite=true)=1 * * * *"
        )
    said = caught.value.problems
    assert len(said) == 5
    assert any("Levels(timeframe=7m): timeframe:" in line for line in said)
    assert any("Levels(market_type=spot): " in line and "symbol:" in line for line in said)
    assert any("no task called Level;" in line for line in said)
    assert any("ProcessPrices(end=2026-01-01): end:" in line for line in said)
    assert any("ProcessPrices(overwrite=true): " in line and "needs start_date" in line for line in said)


async def test_all_schedules_may_go_while_the_database_is_asked() -> None:
    ready, asking, go = asyncio.Event(), asyncio.Event(), asyncio.Event()
    ready.set()

    class Queue:
        async def ask(self, task: Task, *, subject: str, most_waiting: int | None = None) -> bool:
            asking.set()
            await go.wait()
            return True

        async def cancel(self, task_id: str) -> bool:
            raise AssertionError("nothing is cancelled here")

    pulse = Pulse("schedules")
    scheduler = Scheduler(_checked("Levels=0 0 1 1 *"), KINDS, Queue(), VenueClock(), Metrics(), after=ready)

    async def run() -> None:
        with pulse.watched():
            await scheduler.run()

    task = asyncio.create_task(run(), name="schedules")
    await asking.wait()
    scheduler.change([])
    go.set()
    await eventually(lambda: task.done() or any(pulse._causes.values()), message="it waits for a schedule")
    assert not task.done()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
