"""The daemon that follows swaps: through kill -9 and a reorg that nobody saw, the table is the chain's truth."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from src.errors import EXIT_CONFIG
from src.sandbox import Sandbox, SandboxOptions
from src.sandbox.chain.blocks import BLOCK_MS
from src.sandbox.chain.swaps import DRY, EMPTY, WETH_USDT
from tests.faults.database import ask
from tests.support.daemon import Daemon
from tests.support.eventually import eventually
from tests.support.roles import separate_roles
from tests.support.venue import history_settings

_MIDNIGHT_MS = 1_790_035_200_000
"""2026-09-22."""
POOLS = (WETH_USDT.address, DRY.address, EMPTY.address)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """A quarter of an hour after midnight: the day has 75 blocks to fill."""
    async with Sandbox(SandboxOptions(symbols=2, start_ms=_MIDNIGHT_MS + 900_000)) as served:
        yield served


def settings(sandbox: Sandbox, database: str) -> dict[str, str]:
    return {
        **separate_roles(database),
        "BINANCE_REST_URL": sandbox.rest_url,
        "BINANCE_WS_URL": sandbox.ws_url,
        **history_settings(sandbox.rest_url),
        "ETH_RPC_URL": sandbox.rpc_url,
        "UNISWAP_POOLS": ",".join(POOLS),
        "UNISWAP_FROM": "2026-09-22",
        "ETH_CONFIRMATIONS": "12",
    }


async def test_swaps_are_the_chain_s_through_a_kill_and_a_reorg(
    sandbox: Sandbox, database: str, tmp_path: Path
) -> None:
    daemon = Daemon(settings(sandbox, database), folder=tmp_path, arguments=("--uniswap",))
    daemon.start()
    try:
        await daemon.wait_ready()
        await eventually(lambda: _complete(sandbox, database), timeout=180)
        await daemon.kill()
        sandbox.control.chain_reorg(7)
        sandbox.control.chain_advance(30)
        daemon.start()
        await eventually(lambda: _complete(sandbox, database), timeout=180)
        assert (await daemon.metrics()).total("chain_reorgs_total", kind="known") == 1
        await daemon.stop()
    finally:
        await daemon.kill()
    roles = await ask(database, "SELECT role, clean FROM market_data.daemon_runs ORDER BY started_at")
    assert roles == [("uniswap", None), ("uniswap", True)]


async def test_swaps_without_a_node_are_refused_with_what_to_set(
    sandbox: Sandbox, database: str, tmp_path: Path
) -> None:
    given = settings(sandbox, database)
    for missing in ("ETH_RPC_URL", "UNISWAP_POOLS"):
        without = {name: value for name, value in given.items() if name != missing}
        daemon = Daemon(without, folder=tmp_path, arguments=("--uniswap",))
        daemon.start()
        assert await daemon.child.wait(within=240) == EXIT_CONFIG
        assert missing in daemon.child.text()


async def _complete(sandbox: Sandbox, database: str) -> bool:
    """Every swap of the day and none else, and the database says that they are all there."""
    for pool in POOLS:
        head = sandbox.venue.chain.head
        ranges = await ask(
            database,
            "SELECT from_block, to_block FROM market_data.swap_ranges WHERE pool = %s",
            pool,
        )
        assert ranges == [(_MIDNIGHT_MS // BLOCK_MS, head)]
        rows = await ask(
            database,
            "SELECT block_number, log_index, block_hash, amount0::text, amount1::text, sqrt_price_x96::text,"
            " liquidity::text, tick::text FROM market_data.uniswap_swaps WHERE pool = %s ORDER BY 1, 2",
            pool,
        )
        assert rows == sandbox.swaps_truth(pool, _MIDNIGHT_MS, (head + 1) * BLOCK_MS)
    return True
