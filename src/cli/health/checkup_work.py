"""The checks of ``marketd doctor`` about tasks: somebody works at them, and can; what they read answers."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from ...adapters.kernels import KernelOptions, KernelPool
from ...config import Settings
from ...errors import MarketdError
from .checkup import Finding

_KERNEL_S = 30.0
_NODE_S = 20.0


def judge_tasks(work: dict[str, Any], *, scheduled: bool) -> list[Finding]:
    """What the tables say of tasks; pure. ``scheduled``: somebody wrote SCHEDULES, and so counts on them.

    A daemon that only collects needs no worker, so where nobody asked for anything there is nothing amiss.
    """
    tasks = work["tasks"]
    waiting = tasks["states"].get("PENDING", 0)
    if tasks["workers"]:
        return [Finding("tasks", "ok", f"{tasks['workers']} at work, {waiting} waiting")]
    advice = "start `marketd --jobs` (or --all), or `marketd worker`"
    if waiting:
        return [Finding("tasks", "bad", f"{waiting} wait and nobody works at them", advice)]
    if scheduled or tasks["states"]:
        return [Finding("tasks", "warning", "nobody works at them, so no schedule is kept", advice)]
    return [Finding("tasks", "ok", "none is asked for, and nobody works at them")]


async def check_kernels(settings: Settings) -> list[Finding]:
    """Start a process that computes, with its memory limit, and let it answer."""
    pool = KernelPool(KernelOptions(memory_mb=settings.kernel_memory_mb))
    try:
        await pool.run("adapters.kernels.selfcheck:echo", deadline_s=_KERNEL_S, value="doctor")
    except MarketdError as error:
        advice = "see that this machine may start processes, and that KERNEL_MEMORY_MB is not too small"
        return [Finding("kernels", "bad", str(error), advice)]
    finally:
        await pool.close()
    limit = f"{settings.kernel_memory_mb:,} MB"
    return [Finding("kernels", "ok", f"a process that computes starts, with {limit} at most")]


async def check_node(settings: Settings) -> list[Finding]:
    """The Ethereum node answers and offers the receipts of whole blocks; nothing where no pool is configured."""
    if not settings.uniswap_pools or settings.eth_rpc_url is None:
        return []
    from ...adapters.ethereum.node import EthereumNode
    from ...telemetry.metrics import Metrics
    from ...wiring.uniswap import node_options

    node = EthereumNode(node_options(settings), Metrics())
    try:
        async with asyncio.timeout(_NODE_S):
            await node.open()
            chain, head = await node.chain(), await node.head()
            offered = await node.keeps(head.number)
    except TimeoutError:
        return [Finding("node", "bad", f"no answer within {_NODE_S:g} s", "see that ETH_RPC_URL is reached")]
    except MarketdError as error:
        advice = "see that ETH_RPC_URL is right, reached, and offers eth_getBlockReceipts"
        return [Finding("node", "bad", str(error), advice)]
    finally:
        await node.close()
    if not offered:
        text = f"no receipts of block {head.number:,} of {chain} by eth_getBlockReceipts"
        return [Finding("node", "bad", text, "use a node that offers eth_getBlockReceipts")]
    return [Finding("node", "ok", f"{chain} at block {head.number:,}, with eth_getBlockReceipts")]


def check_folder(settings: Settings) -> list[Finding]:
    """COLLECT_DIR can be listed; nothing where it is not set."""
    if settings.collect_dir is None:
        return []
    folder = Path(settings.collect_dir)
    if not folder.is_dir():
        return [
            Finding("files", "bad", f"COLLECT_DIR={folder} is no folder", "make it, or correct the setting")
        ]
    if not os.access(folder, os.R_OK | os.X_OK):
        return [
            Finding("files", "bad", f"COLLECT_DIR={folder} cannot be read", "give this user the right to")
        ]
    return [Finding("files", "ok", f"COLLECT_DIR={folder} can be read")]
