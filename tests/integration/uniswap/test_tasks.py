"""The task's own way to node and database: opened when it is first asked, given back, and opened again."""

from __future__ import annotations

from typing import Any

import pytest

from src.config import Settings
from src.errors import ConfigError
from src.sandbox.chain.blocks import BLOCK_MS
from src.sandbox.chain.swaps import WETH_USDT
from src.telemetry.metrics import Metrics
from src.wiring.core import Core
from src.wiring.uniswap import SwapTasks

from .world import CONFIRMATIONS, untold, world


async def test_swaps_are_collected_by_a_task_and_once_more_after_it_was_closed(database: str) -> None:
    async with world(database) as at:
        given: dict[str, Any] = {
            "database_url": database,
            "eth_rpc_url": at.sandbox.rpc_url,
            "eth_confirmations": CONFIRMATIONS,
        }
        tasks = SwapTasks(Core(Settings(**given), Metrics(), run_id="test"))
        try:
            for first in (90, 60):
                done = await tasks.collect(
                    WETH_USDT.address, (at.start - first) * BLOCK_MS, (at.start - 40) * BLOCK_MS, untold
                )
                assert done["blocks"] == (first - 40 if first == 90 else 0)
                await tasks.close()
        finally:
            await tasks.close()
        assert await at.rows(WETH_USDT.address) == at.truth(WETH_USDT.address, at.start - 90, at.start - 41)


async def test_without_a_node_the_task_says_what_to_set(database: str) -> None:
    tasks = SwapTasks(Core(Settings(), Metrics(), run_id="test"))
    with pytest.raises(ConfigError, match="ETH_RPC_URL"):
        await tasks.collect(WETH_USDT.address, 0, 1, untold)
    await tasks.close()
