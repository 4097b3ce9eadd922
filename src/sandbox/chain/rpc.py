"""The chain's node: JSON-RPC over HTTP, with what real providers refuse and the words in which they do it.

``{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}`` is answered
``{"jsonrpc":"2.0","id":1,"result":"0x8b5c2f1"}``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from ..faults import Kind
from ..rest.endpoints import answer
from ..venue import Venue
from .blocks import ChainBlock, ChainLog, ChainTransaction, bloom
from .swaps import POOLS, ChainPool, ChainToken

CHAIN_ID = 1
_LONG = 200
"""Blocks from which on logs are collected in a thread, so that the streams go on."""

RANGE_WORDS: dict[str, tuple[int, int, str]] = {
    "infura": (200, -32602, "range {blocks} exceeds limit of {limit}"),
    "quicknode": (413, -32614, "eth_getLogs is limited to a {limit:,} range"),
    "alchemy": (
        400,
        -32600,
        "You can make eth_getLogs requests with up to a {limit} block range. Based on your parameters,"
        " this block range should work: [{first:#x}, {last:#x}]",
    ),
    "reth": (200, -32602, "query exceeds max block range {limit}"),
    "morph": (
        200,
        -32000,
        "block range is larger than max block range, block range = {blocks}, max block range = {limit}",
    ),
    "high": (200, -32600, "block range too high"),
}
"""How providers refuse a range: HTTP status, code, text."""
RESULT_WORDS = (200, -32005, "query returned more than {limit} results")


class Refused(Exception):
    """An error answer: HTTP status, code and text."""

    def __init__(self, code: int, text: str, *, status: int = 200) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


class ChainRpc:
    """``POST /rpc``, one call or a batch of them."""

    def __init__(self, venue: Venue) -> None:
        self._venue, self._chain = venue, venue.chain
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": self._chain_id,
            "net_version": lambda _: str(CHAIN_ID),
            "web3_clientVersion": lambda _: "marketd-sandbox",
            "eth_blockNumber": lambda head: hex(head),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": self._block_by_hash,
            "eth_getLogs": self._logs,
            "eth_getTransactionReceipt": self._receipt,
            "eth_getBlockReceipts": self._receipts,
            "eth_call": self._call,
        }

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/rpc", self._post)]

    async def _post(self, request: web.Request) -> web.StreamResponse:
        try:
            calls = orjson.loads(await request.read())
        except orjson.JSONDecodeError:
            return answer(_error(None, -32700, "parse error"), status=400)
        head = self._head()
        if isinstance(calls, list):
            return answer([(await self._one(call, head))[1] for call in calls])
        status, body = await self._one(calls, head)
        return answer(body, status=status)

    def _head(self) -> int:
        """The newest block that the backend which answers has: behind a balancer some are late."""
        fault = self._venue.faults.hit(Kind.CHAIN_LAG)
        return self._chain.head - (0 if fault is None else fault.copies)

    async def _one(self, call: Any, head: int) -> tuple[int, dict[str, Any]]:
        method = call.get("method") if isinstance(call, dict) else None
        number = call.get("id") if isinstance(call, dict) else None
        known = self._methods.get(str(method), _unknown(method))
        status, body = 200, {}
        try:
            result = known(head, *call.get("params", []))
            if asyncio.iscoroutine(result):
                result = await result
            body = {"jsonrpc": "2.0", "id": number, "result": result}
        except Refused as refused:
            status, body = refused.status, _error(number, refused.code, refused.text)
        except (TypeError, ValueError, KeyError) as error:
            body = _error(number, -32602, f"invalid argument: {error}")
        self._venue.stats.request(f"/rpc#{method}", status if "result" in body else 400)
        return status, body

    def _chain_id(self, _: int) -> str:
        return hex(CHAIN_ID)

    def _block_by_number(self, head: int, number: str, whole: bool = False) -> dict[str, Any] | None:
        at = head if number in {"latest", "pending"} else int(number, 16)
        return _header(self._chain.block(at), whole=whole) if 0 <= at <= head else None

    def _block_by_hash(self, head: int, name: str, whole: bool = False) -> dict[str, Any] | None:
        at = self._chain.number(name)
        return _header(self._chain.block(at), whole=whole) if at is not None and at <= head else None

    async def _logs(self, head: int, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        if "blockHash" in wanted:
            at = self._chain.number(wanted["blockHash"])
            if at is None or at > head:
                raise Refused(-32000, "unknown block")
            first = last = at
        else:
            first, last = int(wanted["fromBlock"], 16), int(wanted["toBlock"], 16)
            self._check_range(first, last)
        # Whatever is above the head of a late backend is left out without a word, as geth does.
        numbers = range(max(first, self._chain.pruned_below), min(last, head) + 1)
        blocks = [self._chain.block(number) for number in numbers[:_LONG]]
        if len(numbers) > _LONG:
            rest = numbers[_LONG:]
            blocks += await asyncio.to_thread(lambda: [self._chain.block(number) for number in rest])
        found = [
            _log(block, place, one, index)
            for block in blocks
            for index, one in enumerate(block.transactions)
            for place, log in enumerate(one.logs, one.first_log)
            if _matches(log, wanted)
        ]
        if first < self._chain.pruned_below:
            self._venue.faults.count("chain_pruned")
        limit = self._venue.chain_limits.results
        if len(found) > limit:
            self._venue.faults.count("chain_results")
            status, code, text = RESULT_WORDS
            raise Refused(code, text.format(limit=limit), status=status)
        return self._skipped(found)

    def _check_range(self, first: int, last: int) -> None:
        limits = self._venue.chain_limits
        if last - first + 1 <= limits.blocks:
            return
        self._venue.faults.count("chain_range")
        status, code, text = RANGE_WORDS[limits.words]
        given = {"blocks": last - first + 1, "limit": limits.blocks, "first": first}
        raise Refused(code, text.format(last=first + limits.blocks - 1, **given), status=status)

    def _skipped(self, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """A fault: every other log, beginning with the first, is left out."""
        if not found or self._venue.faults.hit(Kind.CHAIN_SKIP, path="logs") is None:
            return found
        return found[1::2]

    def _receipt(self, head: int, name: str) -> dict[str, Any] | None:
        found = self._chain.transaction(name)
        if found is None or not self._chain.pruned_below <= found[0].number <= head:
            return None
        block, index = found
        return _receipt(block, index, block.transactions[index])

    def _receipts(self, head: int, which: str) -> list[dict[str, Any]] | None:
        at = self._chain.number(which) if len(which) == 66 else int(which, 16)
        if at is None or not self._chain.pruned_below <= at <= head:
            return None
        block = self._chain.block(at)
        told = [_receipt(block, index, one) for index, one in enumerate(block.transactions)]
        if self._venue.faults.hit(Kind.CHAIN_SKIP, path="receipts") is not None:
            return told[:-1]
        return told

    def _call(self, head: int, call: dict[str, str], at: str | dict[str, str] = "latest") -> str:
        """``eth_call`` of what a pool and its tokens are asked; another contract has no code, which answers 0x."""
        to, selector = call["to"].lower(), call.get("data", call.get("input", ""))[:10].lower()
        number = int(at, 16) if isinstance(at, str) and at.startswith("0x") else head
        for pool in POOLS:
            if pool.address == to:
                return self._pool_answer(pool, selector, min(number, head))
            for token in (pool.token0, pool.token1):
                if token.address == to:
                    return _token_answer(token, selector)
        return "0x"

    def _pool_answer(self, pool: ChainPool, selector: str, number: int) -> str:
        sqrt_price = self._chain.sqrt_price(pool, number)
        match selector:
            case "0x0dfe1681":
                return _words(int(pool.token0.address, 16))
            case "0xd21220a7":
                return _words(int(pool.token1.address, 16))
            case "0xddca3f43":
                return _words(pool.fee)
            case "0xd0c93a7c":
                return _words(pool.tick_spacing)
            case "0x1a686502":
                return _words(pool.liquidity if sqrt_price and not pool.dry else 0)
            case "0x3850c7bd":
                return _words(sqrt_price, 0, 0, 1, 1, 0, int(sqrt_price > 0))
        raise Refused(3, "execution reverted")


def _unknown(method: object) -> Callable[..., Any]:
    def refuse(*_: Any) -> Any:
        raise Refused(-32601, f"the method {method} does not exist/is not available")

    return refuse


def _token_answer(token: ChainToken, selector: str) -> str:
    raw = token.symbol.encode()
    match selector:
        case "0x313ce567":
            return _words(token.decimals)
        case "0x95d89b41" if token.padded:
            return "0x" + raw.ljust(32, b"\0").hex()
        case "0x95d89b41":
            return _words(32, len(raw)) + raw.ljust(32, b"\0").hex()
    raise Refused(3, "execution reverted")


def _words(*numbers: int) -> str:
    return "0x" + "".join(f"{number:064x}" for number in numbers)


def _matches(log: ChainLog, wanted: dict[str, Any]) -> bool:
    addresses = wanted.get("address", [])
    addresses = [addresses] if isinstance(addresses, str) else addresses
    if addresses and log.address not in {one.lower() for one in addresses}:
        return False
    for place, topic in enumerate(wanted.get("topics", [])):
        options = [topic] if isinstance(topic, str) else topic
        if options and (place >= len(log.topics) or log.topics[place] not in options):
            return False
    return True


def _log(block: ChainBlock, place: int, one: ChainTransaction, index: int) -> dict[str, Any]:
    log = one.logs[place - one.first_log]
    return {
        "address": log.address,
        "topics": list(log.topics),
        "data": log.data,
        "blockNumber": hex(block.number),
        "blockHash": block.hash,
        "blockTimestamp": hex(block.timestamp),
        "transactionHash": one.hash,
        "transactionIndex": hex(index),
        "logIndex": hex(place),
        "removed": False,
    }


def _receipt(block: ChainBlock, index: int, one: ChainTransaction) -> dict[str, Any]:
    return {
        "type": "0x2",
        "status": "0x1",
        "transactionHash": one.hash,
        "transactionIndex": hex(index),
        "blockHash": block.hash,
        "blockNumber": hex(block.number),
        "from": f"0x{index + 1:040x}",
        "to": one.logs[0].address,
        "contractAddress": None,
        "gasUsed": hex(one.gas_used),
        "cumulativeGasUsed": hex(sum(other.gas_used for other in block.transactions[: index + 1])),
        "effectiveGasPrice": hex(block.base_fee + one.tip),
        "logs": [_log(block, one.first_log + place, one, index) for place in range(len(one.logs))],
        "logsBloom": f"0x{bloom(one.logs):0512x}",
    }


def _header(block: ChainBlock, *, whole: bool) -> dict[str, Any]:
    if whole:
        raise Refused(-32602, "the sandbox tells transactions by their hashes only")
    zero = f"0x{0:064x}"
    return {
        "number": hex(block.number),
        "hash": block.hash,
        "parentHash": block.parent_hash,
        "timestamp": hex(block.timestamp),
        "baseFeePerGas": hex(block.base_fee),
        "logsBloom": f"0x{block.bloom:0512x}",
        "transactions": [one.hash for one in block.transactions],
        "gasLimit": hex(36_000_000),
        "gasUsed": hex(sum(one.gas_used for one in block.transactions)),
        "miner": f"0x{1:040x}",
        "difficulty": "0x0",
        "nonce": "0x0000000000000000",
        "mixHash": zero,
        "extraData": "0x",
        "stateRoot": zero,
        "receiptsRoot": zero,
        "transactionsRoot": zero,
        "sha3Uncles": zero,
        "uncles": [],
        "size": "0x400",
    }


def _error(number: object, code: int, text: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": text}}
