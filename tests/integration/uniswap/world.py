"""Everything of swaps but the daemon: the sandbox's node, web3, the real database, and the chain's truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Any

from src.adapters.ethereum.node import EthereumNode, NodeOptions
from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.swap_store import SwapStore
from src.clock import VenueClock
from src.collectors.running.supervisor import Supervisor
from src.collectors.uniswap.collect import SwapCollection
from src.collectors.uniswap.fill import SwapFilling
from src.collectors.uniswap.follow import SwapFollower
from src.collectors.uniswap.patience import Patience
from src.model import Pool
from src.sandbox.chain.blocks import BLOCK_MS
from src.sandbox.chain.swaps import DRY, EMPTY, USDC_WETH, WETH_USDT
from src.sandbox.options import SandboxOptions
from src.sandbox.server import Sandbox
from src.telemetry.metrics import Metrics
from tests.integration.timescale.helpers import fetch
from tests.support.eventually import eventually

CONFIRMATIONS = 16
START_MS = 1_790_000_000_000
BACK = 60
"""Blocks before the head at which following begins."""
ALL = (USDC_WETH.address, WETH_USDT.address, DRY.address, EMPTY.address)

Row = tuple[Any, ...]


async def untold(line: str, share: float) -> None:
    """Progress that no test asks for."""


class Hurried(Random):
    """Draws the shortest wait, so that a test does not wait for a restart."""

    def uniform(self, a: float, b: float) -> float:
        return a


@dataclass
class World:
    """``start`` is the head's number when the world was made."""

    database: str
    sandbox: Sandbox
    node: EthereumNode
    store: SwapStore
    metrics: Metrics
    start: int
    pools: dict[str, Pool]
    look: SwapStore
    """For what a test asks, so that faults of the other session are the follower's."""

    @property
    def patience(self) -> Patience:
        return Patience(self.node, base=0.01)

    @property
    def control(self) -> Any:
        return self.sandbox.control

    @property
    def head(self) -> int:
        return self.sandbox.venue.chain.head

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0

    def follower(self, pools: Iterable[str] = ALL, back: int = BACK) -> SwapFollower:
        return SwapFollower(
            self.node,
            self.store,
            VenueClock(),
            self.metrics,
            pools=list(pools),
            confirmations=CONFIRMATIONS,
            since=lambda _now: (self.start - back) * BLOCK_MS,
            poll=0.02,
            patience=self.patience,
        )

    def filling(self, **given: Any) -> SwapFilling:
        return SwapFilling(self.node, self.store, self.metrics, patience=self.patience, **given)

    async def collect(self, pool: str, start_ms: int, end_ms: int) -> dict[str, Any]:
        collection = SwapCollection(self.node, self.store, self.metrics, confirmations=CONFIRMATIONS)
        return await collection.collect(pool, start_ms, end_ms, untold)

    @asynccontextmanager
    async def following(self, pools: Iterable[str] = ALL, back: int = BACK) -> AsyncIterator[SwapFollower]:
        """A follower that is started again when it fails, as in the daemon."""
        follower = self.follower(pools, back)
        supervisor = Supervisor(
            "uniswap", follower.run, self.metrics, progress=lambda: follower.blocks, rng=Hurried()
        )
        task = asyncio.create_task(supervisor.run(), name="follower")
        try:
            yield follower
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def rows(self, pool: str) -> list[Row]:
        """What is stored of a pool, in the shape of ``truth``."""
        return await fetch(
            self.database,
            """SELECT block_number, log_index, block_hash, amount0::text, amount1::text, sqrt_price_x96::text,
                liquidity::text, tick::text FROM uniswap_swaps WHERE pool = %s ORDER BY block_number, log_index""",
            [pool],
        )

    def truth(self, pool: str, first: int, last: int) -> list[Row]:
        """What the chain has of a pool in blocks [first, last], as it is now."""
        return self.sandbox.swaps_truth(pool, first * BLOCK_MS, (last + 1) * BLOCK_MS)

    async def headers(self) -> list[Row]:
        """Number, time and base fee of the blocks that are kept."""
        return await fetch(
            self.database,
            """SELECT block_number, (extract(epoch FROM block_time) * 1000)::bigint, base_fee
                FROM block_headers ORDER BY block_time, block_number""",
        )

    def true_headers(self, first: int, last: int) -> list[Row]:
        """Those of the chain, as it is now."""
        blocks = [self.sandbox.venue.chain.block(number) for number in range(first, last + 1)]
        return [(block.number, block.timestamp * 1000, block.base_fee) for block in blocks]

    async def complete(self, pools: Iterable[str] = ALL, first: int | None = None) -> bool:
        """The table has exactly what the chain has, up to its head, and says so. Raises ``AssertionError`` else."""
        first = self.start - BACK if first is None else first
        for pool in pools:
            head = self.head
            held = await self.look.ranges(self.pools[pool])
            assert [(one.from_block, one.to_block) for one in held] == [(first, head)]
            assert await self.rows(pool) == self.truth(pool, first, head)
            assert await self.headers() == self.true_headers(first, head)
        return True

    async def in_step(self, pools: Iterable[str] = ALL, first: int | None = None) -> None:
        """Wait until it is ``complete``."""
        await eventually(lambda: self.complete(pools, first), timeout=90)


@asynccontextmanager
async def world(database: str) -> AsyncIterator[World]:
    metrics = Metrics()
    options = DatabaseOptions(database)
    store = SwapStore(SharedSession(options, purpose="swaps", metrics=metrics))
    look = SwapStore(SharedSession(options, purpose="look"))
    async with Sandbox(SandboxOptions(symbols=2, start_ms=START_MS)) as sandbox:
        node = EthereumNode(
            NodeOptions(sandbox.rpc_url, timeout=30.0, backoff_base=0.01, backoff_cap=0.1), metrics
        )
        await node.open()
        try:
            pools = {address: await store.add_pool(await node.pool(address)) for address in ALL}
            yield World(database, sandbox, node, store, metrics, sandbox.venue.chain.head, pools, look)
        finally:
            await node.close()
            await store.close()
            await look.close()
