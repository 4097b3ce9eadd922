"""Control of the chain's node: reorgs, backends that are late, logs that are skipped, ranges that are refused."""

from __future__ import annotations

from typing import Any

from ..chain.rpc import RANGE_WORDS
from ..faults import Fault, Kind
from .part import ControlPart


class ChainFaults(ControlPart):
    """Faults of ``/rpc``. What any HTTP server does wrong is the fault ``rest`` with ``path="/rpc"``."""

    def chain_reorg(self, depth: int) -> int:
        """The newest ``depth`` blocks become others, with other swaps; returns the newest block that stays."""
        if not 1 <= depth <= 1_000:
            raise ValueError(f"no such depth: {depth}")
        self._faults.count("chain_reorg")
        return self._venue.chain.reorg(depth)

    def chain_advance(self, blocks: int) -> int:
        """So many blocks come at once, ahead of the clock; returns the new head."""
        if not 0 <= blocks <= 100_000:
            raise ValueError(f"no such number of blocks: {blocks}")
        return self._venue.chain.advance(blocks)

    def chain_lag(self, blocks: int, *, share: float = 1.0, count: int | None = None) -> Fault:
        """Requests are answered by a backend so many blocks behind, which says nothing of what it does not have."""
        return self._faults.add(Kind.CHAIN_LAG, copies=blocks, share=share, left=count)

    def chain_skip(
        self, *, where: str | None = "logs", share: float = 1.0, count: int | None = None
    ) -> Fault:
        """Every other log of an ``eth_getLogs`` is left out; with ``where="receipts"`` a block's last receipt."""
        if where not in {"logs", "receipts", None}:
            raise ValueError(f"no such answers: {where}")
        return self._faults.add(Kind.CHAIN_SKIP, path=where, share=share, left=count)

    def chain_limit(
        self, blocks: int = 10_000, *, results: int = 10_000, words: str = "infura"
    ) -> dict[str, Any]:
        """What one ``eth_getLogs`` may be about, refused in the words of a provider (``RANGE_WORDS``)."""
        if blocks < 1 or results < 1 or words not in RANGE_WORDS:
            raise ValueError(f"no such limit: {blocks}, {results}, {words} (of {', '.join(RANGE_WORDS)})")
        limits = self._venue.chain_limits
        limits.blocks, limits.results, limits.words = blocks, results, words
        return {"blocks": blocks, "results": results, "words": words}

    def chain_prune(self, below: int) -> None:
        """Logs of older blocks are left out without a word, and their receipts are null."""
        self._venue.chain.pruned_below = below
