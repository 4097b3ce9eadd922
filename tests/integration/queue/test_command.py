"""``marketd jobs`` as a person uses it, in a process of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from src.analysis.prices import jobs as price_jobs
from src.analysis.runner import Runner
from src.clock import VenueClock
from src.errors import EXIT_FAILURE, EXIT_OK
from src.model import TaskState
from tests.integration.arbitrage.world import POOL, SYMBOL, stored_world
from tests.support.processes import Child

from .world import World, stop, world

_PRICES = (
    "start_date=2025-10-10T00:00:00Z",
    "end_date=2025-10-10T01:00:00Z",
    f"symbol={SYMBOL}",
    f"pool={POOL.address}",
)


@pytest.fixture
async def here(database: str) -> AsyncIterator[World]:
    async with world(database) as found:
        yield found


async def _marketd(here: World, folder: Path, *arguments: str) -> tuple[int, str]:
    """Its exit code, and what it printed."""
    environment = {
        "DATABASE_URL": here.database,
        "MARKETD_ENV_FILE": "/dev/null",
        "MARKETD_CONFIG_FILE": "/dev/null",
    }
    child = Child(
        ("-m", "src", "jobs", *arguments), environment=environment, log=folder / f"{uuid4().hex}.log"
    )
    code = await child.wait(within=60)
    return code, child.text()


async def test_a_task_from_asking_to_its_log(here: World, tmp_path: Path) -> None:
    await stored_world(here.database)
    code, text = await _marketd(here, tmp_path, "run", "ProcessPrices", *_PRICES, "--id", "one")
    assert code == EXIT_OK, text
    assert "nobody works at tasks now" in text
    code, text = await _marketd(here, tmp_path, "show", "one")
    assert (code, "PENDING" in text) == (EXIT_OK, True), text

    kind = price_jobs.KIND
    runner = Runner({kind.name: kind}, here.store, here.kernels, VenueClock(), here.metrics, version="v1")
    queue = await here.queue()
    worker = asyncio.create_task(queue.work(runner.do))
    here.stack.push_async_callback(stop, worker)
    code, text = await _marketd(here, tmp_path, "show", "one", "--follow")
    assert code == EXIT_OK, text
    assert "SUCCESS" in text and '"version": "v1"' in text
    code, text = await _marketd(here, tmp_path, "run", "ProcessPrices", *_PRICES, "--id", "one")
    assert "one was asked for before" in text
    code, text = await _marketd(here, tmp_path, "run", "ProcessPrices", *_PRICES, "overwrite=yes", "-f")
    assert code == EXIT_OK, text
    code, text = await _marketd(here, tmp_path, "--json", "--state", "SUCCESS")
    assert [task["kind"] for task in json.loads(text)] == ["ProcessPrices"] * 2
    code, text = await _marketd(here, tmp_path)
    assert text.count("SUCCESS") == 2 and "100%" in text


async def test_what_is_wrong_is_told_before_anything_is_written(here: World, tmp_path: Path) -> None:
    for arguments, word in (
        (("run", "Process"), "there is no task called Process"),
        (("run", "Aggregate", "symbol=BTCUSDT"), "size: Field required"),
        (("run", "ProcessPrices", *_PRICES, "colour=red"), "colour: there is no such parameter"),
        (("run", "ProcessPrices", "colour"), "'colour' is not NAME=VALUE"),
        (("show", "nobody"), "there is no task nobody"),
        (("cancel", "nobody"), "there is no task nobody"),
    ):
        code, text = await _marketd(here, tmp_path, *arguments)
        assert code == EXIT_FAILURE, text
        assert word in text
    assert await here.store.newest() == []
    code, text = await _marketd(here, tmp_path, "kinds")
    assert code == EXIT_OK
    assert "ProcessPrices: " in text and "start_date" in text


async def test_cancelling(here: World, tmp_path: Path) -> None:
    code, text = await _marketd(here, tmp_path, "run", "ProcessPrices", *_PRICES, "--id", "one")
    assert code == EXIT_OK, text
    code, text = await _marketd(here, tmp_path, "cancel", "one")
    assert code == EXIT_OK, text
    await here.until("one", TaskState.CANCELLED)
    code, text = await _marketd(here, tmp_path, "cancel", "one")
    assert (code, "one is over: CANCELLED" in text) == (EXIT_FAILURE, True), text
    code, text = await _marketd(here, tmp_path, "show", "one", "--json")
    assert code == EXIT_FAILURE
    assert json.loads(text)["state"] == "CANCELLED"
