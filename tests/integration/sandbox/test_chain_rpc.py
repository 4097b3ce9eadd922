"""The sandbox's node as web3.py's own high-level calls see it: what they decode is what the chain has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from eth_typing import HexStr
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import BlockNotFound, TransactionNotFound, Web3RPCError
from web3.types import TxParams

from src.sandbox import Sandbox, SandboxOptions
from src.sandbox.chain.blocks import BLOCK_MS, SWAP_TOPIC
from src.sandbox.chain.swaps import EMPTY, USDC_WETH

_SWAP: dict[str, Any] = {
    "type": "event",
    "name": "Swap",
    "anonymous": False,
    "inputs": [
        {"name": "sender", "type": "address", "indexed": True},
        {"name": "recipient", "type": "address", "indexed": True},
        {"name": "amount0", "type": "int256", "indexed": False},
        {"name": "amount1", "type": "int256", "indexed": False},
        {"name": "sqrtPriceX96", "type": "uint160", "indexed": False},
        {"name": "liquidity", "type": "uint128", "indexed": False},
        {"name": "tick", "type": "int24", "indexed": False},
    ],
}
_START_MS = 149_166_667 * BLOCK_MS
"""A block has just come: the next ones come in 12 s, so a reorg takes some more than the test has seen."""
_REORG = 8


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with Sandbox(SandboxOptions(symbols=2, start_ms=_START_MS)) as served:
        yield served


@pytest.fixture
async def web3(sandbox: Sandbox) -> AsyncIterator[AsyncWeb3[AsyncHTTPProvider]]:
    provider = AsyncHTTPProvider(sandbox.rpc_url, exception_retry_configuration=None)
    yield AsyncWeb3(provider)
    await provider.disconnect()


async def test_blocks_are_found_by_number_and_by_hash(
    sandbox: Sandbox, web3: AsyncWeb3[AsyncHTTPProvider]
) -> None:
    assert await web3.eth.chain_id == 1
    number = await web3.eth.block_number
    block = await web3.eth.get_block(number)
    assert block["timestamp"] * 1000 == number * BLOCK_MS
    assert (await web3.eth.get_block(block["hash"]))["number"] == number
    assert (await web3.eth.get_block(number - 1))["hash"] == block["parentHash"]
    sandbox.control.chain_reorg(_REORG)
    with pytest.raises(BlockNotFound):
        await web3.eth.get_block(block["hash"])


async def test_web3_decodes_from_the_logs_what_the_chain_says_it_has(
    sandbox: Sandbox, web3: AsyncWeb3[AsyncHTTPProvider]
) -> None:
    head = await web3.eth.block_number
    contract: Any = web3.eth.contract(abi=[_SWAP])
    logs = await web3.eth.get_logs(
        {
            "address": web3.to_checksum_address(USDC_WETH.address),
            "topics": [HexStr(SWAP_TOPIC)],
            "fromBlock": head - 99,
            "toBlock": head,
        }
    )
    found = [
        (
            event["blockNumber"],
            event["logIndex"],
            event["blockHash"].to_0x_hex(),
            *(str(event["args"][one["name"]]) for one in _SWAP["inputs"][2:]),
        )
        for event in map(contract.events.Swap().process_log, logs)
    ]
    assert found == sandbox.swaps_truth(USDC_WETH.address, (head - 99) * BLOCK_MS, (head + 1) * BLOCK_MS)


async def test_receipts_and_logs_agree_and_orphans_have_none(
    sandbox: Sandbox, web3: AsyncWeb3[AsyncHTTPProvider]
) -> None:
    head = await web3.eth.block_number
    block = await web3.eth.get_block(head)
    receipts = await web3.eth.get_block_receipts(head)
    assert [receipt["transactionHash"] for receipt in receipts] == list(block["transactions"])
    for receipt in receipts:
        assert await web3.eth.get_transaction_receipt(receipt["transactionHash"]) == receipt
    logs = await web3.eth.get_logs({"blockHash": block["hash"]})
    assert [log for receipt in receipts for log in receipt["logs"]] == logs
    sandbox.control.chain_reorg(_REORG)
    with pytest.raises(TransactionNotFound):
        await web3.eth.get_transaction_receipt(receipts[0]["transactionHash"])
    with pytest.raises(Web3RPCError, match="unknown block"):
        await web3.eth.get_logs({"blockHash": block["hash"]})


async def test_a_range_of_ten_thousand_is_answered_and_one_more_is_refused(
    sandbox: Sandbox, web3: AsyncWeb3[AsyncHTTPProvider]
) -> None:
    sandbox.control.chain_limit(100)
    address = web3.to_checksum_address(EMPTY.address)
    assert await web3.eth.get_logs({"address": address, "fromBlock": 1000, "toBlock": 1099}) == []
    with pytest.raises(Web3RPCError, match="exceeds limit of 100"):
        await web3.eth.get_logs({"address": address, "fromBlock": 1000, "toBlock": 1100})
    assert sandbox.control.stats()["fired"]["chain_range"] == 1


async def test_a_pool_without_a_price_says_so_and_a_stranger_answers_nothing(
    sandbox: Sandbox, web3: AsyncWeb3[AsyncHTTPProvider]
) -> None:
    head = await web3.eth.block_number

    async def slot0(address: str) -> bytes:
        asked: TxParams = {"to": web3.to_checksum_address(address), "data": HexStr("0x3850c7bd")}
        return await web3.eth.call(asked, head)

    assert int.from_bytes((await slot0(EMPTY.address))[:32], "big") == 0
    root = sandbox.venue.chain.sqrt_price(USDC_WETH, head)
    assert int.from_bytes((await slot0(USDC_WETH.address))[:32], "big") == root
    assert await slot0("0x" + "9" * 40) == b""


async def test_batches_are_answered_in_one_and_nonsense_with_an_error(sandbox: Sandbox) -> None:
    calls = [
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_mine", "params": []},
        {"jsonrpc": "2.0", "id": 3, "method": "eth_getBlockByNumber", "params": ["latest", True]},
        {"jsonrpc": "2.0", "id": 4, "method": "eth_getLogs", "params": [{}]},
    ]
    async with aiohttp.ClientSession() as session:
        async with session.post(sandbox.rpc_url, json=calls) as answer:
            bodies = await answer.json()
        async with session.post(sandbox.rpc_url, data=b"{") as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (400, -32700)
    assert bodies[0]["result"] == "0x1"
    assert [body["error"]["code"] for body in bodies[1:]] == [-32601, -32602, -32602]


async def test_control_over_http_reorganises_and_tells_the_truth(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{sandbox.control_url}/chain_reorg", json={"depth": 2}) as answer:
            kept = (await answer.json())["result"]
        assert kept in {sandbox.venue.chain.head - 2, sandbox.venue.chain.head - 3}
        params = {
            "symbol": USDC_WETH.address,
            "dataset": "swaps",
            "from": str((kept - 40) * BLOCK_MS),
            "to": str((kept + 1) * BLOCK_MS),
        }
        async with session.get(f"{sandbox.control_url}/truth", params=params) as answer:
            told = [tuple(row) for row in await answer.json()]
        async with session.post(f"{sandbox.control_url}/chain_reorg", json={"depth": 0}) as answer:
            assert answer.status == 400
    assert told == sandbox.swaps_truth(USDC_WETH.address, (kept - 40) * BLOCK_MS, (kept + 1) * BLOCK_MS)
