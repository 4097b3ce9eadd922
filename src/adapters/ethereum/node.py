"""A node over JSON-RPC: blocks, pools and swaps of one chain, by web3.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from types import ModuleType
from typing import Any, TypeVar

from yarl import URL

from ...config.network import secret_parts
from ...errors import BadData, Permanent, Unavailable
from ...model import Block, Pool, Swap
from ...ports.chain import SwapLog
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..binance.rest.http import Answer, GuardedSession, checked_url
from ..binance.rest.retry import Retrying
from . import decode
from .bloom import may_hold
from .errors import error_of, refused_status

T = TypeVar("T")
_log = get_logger("chain")

CHAINS = {
    1: "ethereum",
    10: "optimism",
    56: "bsc",
    137: "polygon",
    8453: "base",
    42161: "arbitrum",
}
"""Our words for the chains that have Uniswap v3; another one is called ``chain_<id>``."""
SELECTORS = {
    "token0": "0x0dfe1681",
    "token1": "0xd21220a7",
    "fee": "0xddca3f43",
    "tickSpacing": "0xd0c93a7c",
    "decimals": "0x313ce567",
    "symbol": "0x95d89b41",
}
_HEADERS = {"Content-Type": "application/json", "User-Agent": "marketd", "Accept-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """How to reach the node. ``url`` may hold a key and is never shown. Times in wall seconds."""

    url: str = field(repr=False)
    proxy: str | None = field(default=None, repr=False)
    timeout: float = 30.0
    in_flight: int = 8
    attempts: int = 5
    backoff_base: float = 0.5
    backoff_cap: float = 8.0
    patience: float = 60.0


class EthereumNode:
    """``ports.chain.ChainSource``. Constructing does nothing; ``open`` loads web3, off the loop, and sends nothing."""

    def __init__(self, options: NodeOptions, metrics: Metrics) -> None:
        self._options = options
        self._url = URL(checked_url("ETH_RPC_URL", options.url))
        self._secrets = sorted(secret_parts(options.url), key=len, reverse=True)
        self._metrics = metrics
        self._retrying = Retrying(options, tell=self._tell)
        self._slots = asyncio.Semaphore(options.in_flight)
        self._session: GuardedSession | None = None
        self._provider: Any = None
        self._chain: str | None = None

    async def open(self) -> None:
        """Load web3 and make the session; does nothing when that was done."""
        if self._session is not None:
            return
        loaded: ModuleType = await asyncio.to_thread(import_module, ".provider", __package__)
        self._session = GuardedSession(
            self._options.url,
            proxy=self._options.proxy,
            timeout=self._options.timeout,
            on_answer=lambda *_: None,  # the path holds the key; calls are counted by method
            max_connections=self._options.in_flight,
            may_be_private=True,  # one's own node, in one's own network
        )
        self._provider = loaded.connected(self._post).provider

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = self._provider = None

    async def chain(self) -> str:
        """See ``ports.chain.ChainSource``."""
        if self._chain is None:
            number = decode.quantity(await self._call("eth_chainId"), "chainId")
            self._chain = CHAINS.get(number, f"chain_{number}")
        return self._chain

    async def head(self) -> Block:
        """See ``ports.chain.ChainSource``."""
        return self._sound(decode.header, await self._some("eth_getBlockByNumber", "latest", False))

    async def block(self, number: int) -> Block | None:
        """See ``ports.chain.ChainSource``."""
        answer = await self._call("eth_getBlockByNumber", hex(number), False)
        if answer is None:
            return None
        found = self._sound(decode.header, answer)
        if found.number != number:
            raise self._refused("contradiction", f"asked for block {number}, got {found.number}")
        return found

    async def pool(self, address: str) -> Pool:
        """See ``ports.chain.ChainSource``."""
        place = address.lower()
        chain = await self.chain()
        said = await self._answers((place, name) for name in ("token0", "token1", "fee", "tickSpacing"))
        try:
            tokens = [decode.address_word(said[place, name], name) for name in ("token0", "token1")]
            said |= await self._answers((token, name) for token in tokens for name in ("decimals", "symbol"))
            return decode.pool(chain, place, lambda contract, name: said[contract, name])
        except BadData as error:
            raise BadData(
                f"{place} is no Uniswap v3 pool on {chain}: {error}", reason="not_a_pool"
            ) from error

    async def logs(self, pool: Pool, first: int, last: int) -> list[SwapLog]:
        """See ``ports.chain.ChainSource``. Ordered, none twice."""
        wanted = {
            "address": pool.address,
            "topics": [decode.SWAP_TOPIC],
            "fromBlock": hex(first),
            "toBlock": hex(last),
        }
        answer = await self._some("eth_getLogs", wanted)
        if not isinstance(answer, list):
            raise self._refused("shape", "eth_getLogs answered no list")
        found = {log.key: log async for log in _politely(self._sound(decode.swap_log, one) for one in answer)}
        if any(not first <= log.block_number <= last for log in found.values()):
            raise self._refused("contradiction", "eth_getLogs answered of other blocks")
        return [found[key] for key in sorted(found)]

    async def swaps(self, pool: Pool, logs: Sequence[SwapLog]) -> list[Swap]:
        """See ``ports.chain.ChainSource``."""
        # A transaction's receipt has all of its logs, those too that ``eth_getLogs`` left out: they are taken from it.
        blocks = {log.transaction_hash: log for log in logs}
        numbers = sorted({log.block_number for log in logs})
        headers = dict(zip(numbers, await self._each(self.block, numbers), strict=True))
        receipts = await self._each(self._receipt, list(blocks))
        found = []
        async for log, receipt in _politely(zip(blocks.values(), receipts, strict=True)):
            header = headers[log.block_number]
            if header is None:
                raise self._refused("lag", f"block {log.block_number} is not there yet")
            if header.hash != log.block_hash:
                raise self._refused("contradiction", f"log and header of block {log.block_number}")
            found += self._swaps_in(receipt, {pool.address: pool}, header)
        if len(found) > len(logs):
            self._metrics.chain_answers_refused.labels("skipped").inc()
        return sorted(found, key=lambda swap: swap.key)

    async def swaps_of_block(self, pools: Sequence[Pool], block: Block) -> list[Swap]:
        """See ``ports.chain.ChainSource``. Costs nothing where the bloom proves that there are none."""
        wanted = {
            pool.address: pool for pool in pools if may_hold(block.bloom, (pool.address, decode.SWAP_TOPIC))
        }
        if not wanted:
            return []
        return await self._retrying(self._swaps_of_block, wanted, block)

    async def _swaps_of_block(self, wanted: Mapping[str, Pool], block: Block) -> list[Swap]:
        receipts = await self._once("eth_getBlockReceipts", [hex(block.number)])
        if not isinstance(receipts, list):
            raise self._refused("lag", f"no receipts of block {block.number} yet")
        bloom = 0
        receipts = self._sound(decode.mappings, receipts, "receipts")
        for receipt in receipts:
            if str(receipt.get("blockHash")).lower() != block.hash:
                raise self._refused("contradiction", f"receipts of another block {block.number}")
            bloom |= self._sound(_bloom_of, receipt)
        if block.bloom & ~bloom:
            # Every log has its bits in the header's bloom: those that nobody here has are of a missing one. More bits
            # than the header's are no fault: Polygon gives a receipt of the chain's own, which that leaves out.
            raise self._refused("skipped", f"the receipts of block {block.number} are not all there")
        return [swap for receipt in receipts for swap in self._swaps_in(receipt, wanted, block)]

    async def keeps(self, number: int) -> bool:
        """See ``ports.chain.ChainSource``."""
        try:
            return isinstance(await self._call("eth_getBlockReceipts", hex(number)), list)
        except Permanent as error:
            if error.reason == "pruned":
                return False
            raise

    def _swaps_in(self, receipt: Mapping[str, Any], wanted: Mapping[str, Pool], block: Block) -> list[Swap]:
        """The swaps of the wanted pools in one transaction."""
        logs = self._sound(decode.mappings, receipt.get("logs") or [], "logs of a receipt")
        return [
            self._sound(decode.swap, log, receipt, block, wanted[place])
            for log in logs
            if (place := str(log.get("address")).lower()) in wanted and decode.is_swap(log)
        ]

    async def _receipt(self, name: str) -> Mapping[str, Any]:
        answer = await self._some("eth_getTransactionReceipt", name)
        if not isinstance(answer, Mapping):
            raise self._refused("shape", "eth_getTransactionReceipt answered no receipt")
        return answer

    async def _answers(self, asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
        """What contracts say of themselves, by contract and name; 0x of one that has no such function."""
        calls = list(asked)
        return dict(zip(calls, await self._each(self._contract, calls), strict=True))

    async def _contract(self, call: tuple[str, str]) -> str:
        contract, name = call
        try:
            return str(await self._some("eth_call", {"to": contract, "data": SELECTORS[name]}, "latest"))
        except Permanent as error:
            if error.reason == "refused":  # it reverted
                return "0x"
            raise

    async def _each(self, ask: Callable[[Any], Awaitable[T]], items: Sequence[Any]) -> list[T]:
        """``ask`` of every item, ``in_flight`` of them at a time; the first error ends the others."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_awaited(ask(item)), name="chain call") for item in items]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        return [task.result() for task in tasks]

    async def _some(self, method: str, *params: Any) -> Any:
        """The result of a call that must have one; null is asked again like any failure."""

        async def ask() -> Any:
            answer = await self._once(method, params)
            if answer is None:
                raise self._refused("lag", f"{method} answered nothing")
            return answer

        return await self._retrying(ask)

    async def _call(self, method: str, *params: Any) -> Any:
        """The result of a call, ``None`` where that is null."""
        return await self._retrying(self._once, method, params)

    async def _once(self, method: str, params: Sequence[Any]) -> Any:
        if self._provider is None:
            raise Unavailable("node: not open", reason="closed")
        result = "failed"
        try:
            async with self._slots:
                answer = await self._answer(method, params)
            if not isinstance(answer, dict) or ("result" not in answer and not answer.get("error")):
                raise self._refused("shape", f"{method} answered neither result nor error")
            if answer.get("error"):
                raise error_of(method, answer["error"], secrets=self._secrets)
            result = "ok"
            return answer["result"]
        finally:
            self._metrics.chain_requests.labels(method, result).inc()

    async def _answer(self, method: str, params: Sequence[Any]) -> Any:
        try:
            return await self._provider.make_request(method, list(params))
        except ValueError as error:  # whatever came was not JSON
            raise self._refused("shape", f"{method}: no JSON") from error

    async def _post(self, data: bytes) -> bytes:
        if self._session is None:
            raise Unavailable("node: not open", reason="closed")
        answer: Answer = await self._session.post(self._url, data, headers=_HEADERS)
        if (error := refused_status(answer.status, answer.headers)) is not None:
            raise error
        return answer.body

    def _sound(self, read: Callable[..., T], *given: Any) -> T:
        """``read(*given)``, where a node that answers nonsense is one to ask again."""
        try:
            return read(*given)
        except BadData as error:
            raise self._refused(
                "contradiction" if error.reason == "contradiction" else "shape", str(error)
            ) from error

    def _refused(self, reason: str, text: str) -> Unavailable:
        self._metrics.chain_answers_refused.labels(reason).inc()
        return Unavailable(f"node: {text}", reason=reason)

    def _tell(self, error: Exception, attempt: int) -> None:
        _log.info("asked_again", msg=str(error), attempt=attempt)


async def _politely(items: Iterable[T]) -> AsyncIterator[T]:
    """The items; the loop turns between every few of them, since each takes some 50 us to read."""
    for place, item in enumerate(items):
        if place % 64 == 63:
            await asyncio.sleep(0)
        yield item


async def _awaited(work: Awaitable[T]) -> T:
    return await work


def _bloom_of(receipt: Mapping[str, Any]) -> int:
    return decode.bloom(receipt.get("logsBloom"))
