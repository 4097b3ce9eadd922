"""The role ``uniswap``: swaps of chosen pools, followed at the head of their chain; the task that fills the past."""

from __future__ import annotations

import asyncio
from typing import Any

from ..adapters.ethereum.node import EthereumNode, NodeOptions
from ..adapters.timescale.sessions.role_lock import SessionLock
from ..adapters.timescale.sessions.shared import SharedSession
from ..adapters.timescale.swap_store import SwapStore
from ..collectors.backfill.scope import fill_since
from ..collectors.running.daemon import Closer, Keeper, Part
from ..collectors.running.role import LockKeeper
from ..collectors.uniswap.collect import SwapCollection
from ..collectors.uniswap.fill import Tell
from ..collectors.uniswap.follow import SwapFollower
from ..config import Settings
from ..errors import ConfigError
from . import options
from .core import Core
from .roles import UNISWAP, Role


def node_options(settings: Settings) -> NodeOptions:
    """How to reach the node. Raises ``ConfigError`` without one."""
    url = options.plain(settings.eth_rpc_url)
    if url is None:
        raise ConfigError("ETH_RPC_URL: is not set; swaps are read from an Ethereum node's JSON-RPC")
    return NodeOptions(url, proxy=options.plain(settings.http_proxy))


class UniswapRole(Role):
    """One node, one session, one follower for all pools. web3 is loaded when the role is opened, and only then."""

    name = UNISWAP

    def __init__(self, core: Core, *, standby: bool, leads: bool) -> None:
        self._core = core
        settings, metrics = core.settings, core.metrics
        database = core.database(UNISWAP)
        self.lock = SessionLock(database, metrics)
        self.keeper: Keeper = LockKeeper(
            UNISWAP, self.lock, waits=standby or not leads, health=core.health if leads else None
        )
        self.node = EthereumNode(node_options(settings), metrics)
        self.session = SharedSession(database, purpose="swaps", metrics=metrics)
        self.follower = SwapFollower(
            self.node,
            SwapStore(self.session),
            core.clock,
            metrics,
            pools=settings.uniswap_pools,
            confirmations=settings.eth_confirmations,
            since=lambda now_ms: fill_since(settings.uniswap_from, now_ms),
        )

    async def open(self) -> None:
        await self.node.open()

    def collectors(self) -> list[Part]:
        follower = self.follower
        return [
            self._core.supervised(
                "uniswap", follower.run, progress=lambda: follower.blocks, turn=self.keeper.settled
            )
        ]

    def closers(self) -> list[Closer]:
        return [
            Closer("uniswap_node", self.node.close),
            Closer("uniswap_session", self.session.close),
            Closer("uniswap_lock", self.lock.close),
        ]

    async def finish_run(self) -> None:
        await self.lock.finish_run()


class SwapTasks:
    """``ports.chain.SwapCollector`` for tasks: a node and a session of their own, made when the first one comes."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._opening = asyncio.Lock()
        self._node: EthereumNode | None = None
        self._session: SharedSession | None = None

    async def collect(self, pool: str, start_ms: int, end_ms: int, tell: Tell) -> dict[str, Any]:
        """See ``ports.chain.SwapCollector``. Raises ``ConfigError`` without ETH_RPC_URL."""
        settings, metrics = self._core.settings, self._core.metrics
        async with self._opening:
            if self._node is None or self._session is None:
                self._node = EthereumNode(node_options(settings), metrics)
                database = self._core.database("swap_tasks")
                self._session = SharedSession(database, purpose="swap_tasks", metrics=metrics)
            await self._node.open()
        collection = SwapCollection(
            self._node, SwapStore(self._session), metrics, confirmations=settings.eth_confirmations
        )
        return await collection.collect(pool, start_ms, end_ms, tell)

    async def close(self) -> None:
        """Give back what was made; the next task makes it anew."""
        if self._node is not None:
            await self._node.close()
        if self._session is not None:
            await self._session.close()
