"""``marketd doctor`` and a node that answers."""

from __future__ import annotations

from src.cli.health.checkup_work import check_node
from src.config import Settings
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox

from .world import ALL


async def test_a_node_that_offers_the_receipts_of_blocks_is_well() -> None:
    async with Sandbox(SandboxOptions(symbols=2)) as sandbox:
        pools = ",".join(ALL)
        [finding] = await check_node(Settings(eth_rpc_url=sandbox.rpc_url, uniswap_pools=pools))
    assert (finding.subject, finding.state) == ("node", "ok"), finding
    assert "eth_getBlockReceipts" in finding.text
