"""The task Levels as the frame does it: checked parameters, a kernel process, lines in the task's log."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from src.adapters.kernels import KernelOptions, KernelPool
from src.adapters.timescale.options import DatabaseOptions
from src.analysis.jobs import Context
from src.analysis.levels.jobs import kind
from src.errors import BadData
from src.model import Task
from src.model.bars import VenueBar
from tests.integration.analysis.level_world import SOURCE, level_world, moment
from tests.integration.analysis.test_level_runs import wave


class Nobody:
    """No market: where nothing is missing nobody is asked."""

    async def closed_ms(self, period_ms: int) -> int:
        raise AssertionError("asked for the time")

    async def bars(
        self, symbol: str, period: str, period_ms: int, from_ms: int, to_ms: int
    ) -> list[VenueBar]:
        raise AssertionError("asked for bars")


NOBODY = Nobody()


class Told:
    """Takes the lines of a task."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    async def tell(self, task: Task, line: str, *, share: float | None = None, level: str = "info") -> None:
        self.lines.append(line)


@dataclass
class Desk:
    kernels: KernelPool
    told: Told

    async def do(self, **parameters: Any) -> Mapping[str, Any]:
        made = kind(SOURCE, futures=NOBODY, spot=NOBODY)
        task = Task("levels-1", made.name, parameters, requested_by="a test")
        context = Context(task, self.told, self.kernels, made.deadline_s)  # type: ignore[arg-type]
        return await made.run(context, made.asked(parameters))


@pytest.fixture
async def desk(database: str) -> AsyncIterator[Desk]:
    kernels = KernelPool(KernelOptions(), DatabaseOptions(database))
    yield Desk(kernels, Told())
    await kernels.close()


async def test_the_task_analyses_all_or_one_in_a_kernel_process(database: str, desk: Desk) -> None:
    rows = wave(150)
    with level_world(database) as world:
        for symbol in ("AUSDT", "币USDT"):
            world.listed(symbol)
            world.traded(symbol, rows)
        done = await desk.do(until=moment(rows[-2][1]).isoformat())
        assert (done["symbols"], done["skipped"]) == (2, {})
        assert desk.told.lines[0] == "2 of 2 symbols, 298 bars"
        assert desk.told.lines[-1].startswith("2 symbols, ")
        one = await desk.do(symbol="币USDT")
        assert one["symbols"] == 1
        assert world.fetch("SELECT symbol, input_limit FROM analysis_results ORDER BY symbol") == [
            ("AUSDT", 149),
            ("币USDT", 150),
        ]
    with pytest.raises(BadData, match="NOSUCHUSDT"):
        await desk.do(symbol="NOSUCHUSDT")


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"exchange": "kraken"}, "exchange: Input should be 'binance'"),
        ({"timeframe": "7m"}, "timeframe: Input should be '5m'"),
        ({"market_type": "spot"}, "of spot there is no universe here, name one"),
        ({"history": 2001}, "history: Input should be less than or equal to 2000"),
        ({"bars": 5}, "bars: there is no such parameter"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(BadData, match=problem):
        kind(SOURCE, futures=NOBODY, spot=NOBODY).asked(asked)


def test_runs_of_one_timeframe_wait_for_each_other() -> None:
    made = kind(SOURCE, futures=NOBODY, spot=NOBODY)
    assert made.subject_of({}) == made.subject_of({"symbol": "BTCUSDT"}) == "Levels/future/1h"
    assert made.subject_of({"timeframe": "4h"}) != made.subject_of({})


def test_the_daemon_can_import_the_task_without_numpy_and_scipy() -> None:
    code = (
        "import sys, src.analysis.levels.jobs;"
        "assert not {'numpy', 'scipy', 'numba', 'polars'} & set(sys.modules), 'loaded'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
