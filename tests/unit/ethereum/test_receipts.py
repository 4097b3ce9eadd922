"""Whether the receipts of a block are all there, by the bloom of its header."""

from __future__ import annotations

from typing import Any, cast

import pytest

from src.adapters.ethereum.bloom import bits
from src.adapters.ethereum.decode import SWAP_TOPIC
from src.adapters.ethereum.node import EthereumNode, NodeOptions
from src.errors import Unavailable
from src.model import Block, Pool
from src.telemetry.metrics import Metrics

POOL = Pool("polygon", "0x" + "ab" * 20, "0x01", "0x02", "WETH", "USDC", 18, 6, 500, 10, 0)
HEADER = Block(7, "0x" + "cd" * 32, "0x" + "ef" * 32, 1000, 30, bits(POOL.address) | bits(SWAP_TOPIC))


class _Provider:
    """Answers every call with some receipts."""

    def __init__(self, blooms: list[int]) -> None:
        self._receipts = [
            {"blockHash": HEADER.hash, "logsBloom": f"0x{bloom:0512x}", "logs": []} for bloom in blooms
        ]

    async def make_request(self, method: str, params: list[Any]) -> dict[str, Any]:
        return {"jsonrpc": "2.0", "id": 1, "result": self._receipts}


def node_with(blooms: list[int]) -> EthereumNode:
    node = EthereumNode(NodeOptions("http://127.0.0.1:1", attempts=1), Metrics())
    node._provider = cast(Any, _Provider(blooms))
    return node


async def test_a_receipt_that_the_header_does_not_count_is_no_fault() -> None:
    """Polygon's own of what came from Ethereum: its logs have no bits in the header."""
    own = bits("0x" + "10" * 20)
    assert own & ~HEADER.bloom
    assert await node_with([HEADER.bloom, own]).swaps_of_block([POOL], HEADER) == []


async def test_receipts_without_a_bit_of_the_header_are_not_all_there() -> None:
    with pytest.raises(Unavailable) as refused:
        await node_with([bits(POOL.address)]).swaps_of_block([POOL], HEADER)
    assert refused.value.reason == "skipped"
