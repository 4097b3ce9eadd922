"""Settings of the chain and the pools whose swaps are kept."""

from __future__ import annotations

from . import checks
from .fields import setting
from .sources import SourceSettings


class ChainSettings(SourceSettings):
    """What ``--uniswap`` and the task CollectUniswap read."""

    eth_rpc_url: checks.RpcUrl | None = setting(
        None,
        "The JSON-RPC of an Ethereum node, for swaps. History needs one that keeps old logs and receipts.",
        group="Chain",
        accepts="an https:// URL without a query, or http:// on loopback",
    )
    uniswap_pools: checks.Pools = setting(
        (),
        "The Uniswap v3 pools whose swaps --uniswap follows; with some of them set, --all does so too.",
        group="Chain",
        accepts="addresses, comma-separated, such as 0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640",
    )
    uniswap_from: checks.Since = setting(
        "1d",
        "How far back --uniswap fills them by itself. The task CollectUniswap reaches further on request.",
        group="Chain",
        accepts="a number of days such as 1d, or a date such as 2026-01-01",
    )
    eth_confirmations: int = setting(
        64,
        "Blocks behind the head after which swaps count as final: analyses read no further, histories end there.",
        group="Chain",
        accepts="a whole number of blocks, 12 to 1000",
        ge=12,
        le=1000,
    )
