"""The checks of ``marketd doctor`` about tasks, with real processes and a node that is there or is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from src.cli.health.checkup_work import check_folder, check_kernels, check_node, judge_tasks
from src.config import Settings
from tests.support.processes import free_port

POOL = "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640"


@pytest.mark.parametrize(
    ("workers", "states", "scheduled", "state"),
    [
        (2, {"PENDING": 3, "SUCCESS": 9}, True, "ok"),
        (0, {"PENDING": 3}, False, "bad"),
        (0, {"SUCCESS": 9}, False, "warning"),
        (0, {}, True, "warning"),
        (0, {}, False, "ok"),
    ],
)
def test_tasks_that_wait_for_nobody_are_a_problem(
    workers: int, states: dict[str, int], scheduled: bool, state: str
) -> None:
    work: dict[str, Any] = {"tasks": {"workers": workers, "states": states, "last_failure": None}}
    [finding] = judge_tasks(work, scheduled=scheduled)
    assert finding.state == state
    assert ("marketd worker" in finding.advice) == (state != "ok")


async def test_a_process_that_computes_is_started_with_its_limit() -> None:
    [finding] = await check_kernels(Settings(kernel_memory_mb=512))
    assert (finding.state, "512 MB" in finding.text) == ("ok", True), finding


async def test_no_pool_no_node() -> None:
    assert await check_node(Settings(eth_rpc_url="http://127.0.0.1:1")) == []


async def test_a_node_that_is_away_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.cli.health.checkup_work._NODE_S", 0.5)
    url = f"http://127.0.0.1:{free_port()}"
    [finding] = await check_node(Settings(eth_rpc_url=url, uniswap_pools=POOL))
    assert (finding.subject, finding.state) == ("node", "bad")
    assert "ETH_RPC_URL" in finding.advice


def test_the_folder_of_files_is_there(tmp_path: Path) -> None:
    assert check_folder(Settings()) == []
    assert check_folder(Settings(collect_dir=str(tmp_path)))[0].state == "ok"
    assert check_folder(Settings(collect_dir=str(tmp_path / "none")))[0].state == "bad"
