"""Both kinds as the frame does them: checked parameters, a kernel process, lines in the log, a result in JSON."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from src.adapters.kernels import KernelOptions, KernelPool
from src.adapters.timescale.options import DatabaseOptions
from src.analysis.arbitrage import jobs as arbitrage_jobs
from src.analysis.jobs import Context, Kind
from src.analysis.prices import jobs as price_jobs
from src.errors import BadData
from src.model import Task
from tests.integration.arbitrage.world import END_MS, POOL, START_MS, World, iso, stored_world
from tests.integration.timescale.helpers import fetch


@dataclass
class Desk:
    """Does tasks, and takes the lines of their logs."""

    kernels: KernelPool
    lines: list[str] = field(default_factory=list)

    async def tell(self, task: Task, line: str, *, share: float | None = None, level: str = "info") -> None:
        self.lines.append(line)

    async def do(self, kind: Kind[Any], **parameters: Any) -> Mapping[str, Any]:
        task = Task("1", kind.name, parameters, requested_by="a test")
        context = Context(task, self, self.kernels, kind.deadline_s)  # type: ignore[arg-type]
        found = await kind.run(context, kind.asked(parameters))
        assert json.loads(json.dumps(found, allow_nan=False)) == found
        return found


@pytest.fixture
async def world(database: str) -> World:
    return await stored_world(database)


@pytest.fixture
async def desk(world: World) -> AsyncIterator[Desk]:
    kernels = KernelPool(KernelOptions(), DatabaseOptions(world.url))
    yield Desk(kernels)
    await kernels.close()


async def test_the_tasks_are_done_in_a_kernel_process(world: World, desk: Desk) -> None:
    prices = await desk.do(
        price_jobs.KIND,
        start_date=iso(START_MS),
        end_date=iso(END_MS),
        aggregation_interval="minute",
        pool=POOL.address,
    )
    assert prices["cex"]["written"] > 50 and prices["dex"]["written"] > 50
    assert len(desk.lines) == 2 and all("rows written of 2025-10-0" in line for line in desk.lines)
    desk.lines.clear()
    strategy = {
        "mode": "execution",
        "pool": POOL.address,
        "estimated_gas_used": 20_999,
        "profit_threshold": 5,
    }
    found = await desk.do(arbitrage_jobs.KIND, strategy=strategy)
    assert found["batch"] == "Auto Batch 1"
    assert found["written"] > 0
    assert desk.lines[0].startswith("Attempts: decided by the screen")
    assert desk.lines[1].startswith("estimated_gas_used 20999 is ignored")
    assert len([line for line in desk.lines if line.endswith(" found")]) == 2
    stored = await fetch(world.url, "SELECT (report->>'written')::int FROM batches")
    assert stored == [(found["written"],)]
    with pytest.raises(BadData, match="there is no batch 99"):
        await desk.do(arbitrage_jobs.KIND, batch_id=99, strategy=strategy)
