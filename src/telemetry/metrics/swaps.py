"""Families of swaps: the chain's node, what was stored, what was taken back."""

from __future__ import annotations

from .families import Families


class SwapFamilies(Families):
    """Part of ``Metrics``."""

    def _swaps(self) -> None:
        self.chain_requests = self._counter(
            "chain_requests", "Calls of the chain's node, by method and result.", "method", "result"
        )
        self.chain_answers_refused = self._counter(
            "chain_answers_refused",
            "Answers of the node that were not taken: skipped (logs left out), lag (it does not have the block yet),"
            " shape, contradiction (parts that are of different blocks).",
            "reason",
        )
        self.chain_reorgs = self._counter(
            "chain_reorgs",
            "Reorgs that were followed, by kind: known, deep (below what is remembered).",
            "kind",
        )
        self.chain_reorg_depth = self._gauge("chain_reorg_depth_blocks", "Blocks of the last reorg.")
        self.swap_rows = self._counter(
            "swap_rows",
            "Swaps by what was done: inserted, withdrawn (their block is none any more).",
            "result",
        )
        self.swap_stretches_unproved = self._counter(
            "swap_stretches_unproved",
            "Long stretches between two swaps of which only two equal readings say that none is missing.",
        )
        self.swaps_through = self._gauge(
            "swaps_through_timestamp_seconds",
            "Block time up to which the followed pools are stored, 0 never.",
        )
