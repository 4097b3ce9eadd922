"""A chain: what its node is asked, and where the swaps of its pools go."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..model import Block, Pool, Swap, SwapRange


@dataclass(frozen=True, slots=True)
class SwapsWritten:
    """What one transaction did: swaps that are new, and swaps taken back because their block is none any more."""

    inserted: int
    withdrawn: int


class SwapSink(Protocol):
    """Where swaps go. Every call is one transaction and may be repeated; all raise ``Retryable``, ``BadData`` or
    ``Misconfigured``.

    ``add_pool`` returns the pool as it is stored: its base was decided when it was first added.
    ``ranges`` are the blocks stored whole, in order. ``stored`` are block, place and block hash of the swaps in a
    stretch of blocks and its times. ``fill`` stores the swaps of ``covered`` and that it is whole, and takes back
    stored swaps of the blocks ``orphans`` (hashes) in it.

    ``blocks`` are the newest blocks followed, in order. ``follow`` goes on to new ``blocks``: after it the chain is
    ``base`` and then those, whatever was stored above ``base`` is taken back. ``base`` is ``None`` when nothing
    was followed before. ``final`` is the newest of them that no reorg reaches.
    """

    async def add_pool(self, pool: Pool) -> Pool: ...

    async def ranges(self, pool: Pool) -> list[SwapRange]: ...

    async def stored(self, pool: Pool, covered: SwapRange) -> list[tuple[int, int, str]]: ...

    async def fill(
        self, pool: Pool, swaps: Sequence[Swap], covered: SwapRange, *, orphans: Collection[str] = ()
    ) -> SwapsWritten: ...

    async def blocks(self, chain: str) -> list[Block]: ...

    async def follow(
        self,
        pools: Sequence[Pool],
        base: Block | None,
        blocks: Sequence[Block],
        swaps: Sequence[Swap],
        *,
        final: Block | None,
    ) -> SwapsWritten: ...


class SwapWatermark(Protocol):
    """Up to where all swaps of a pool are stored: the range that holds ``since_ms``, else the newest one, or None.

    Raises ``Retryable`` or ``Misconfigured``.
    """

    async def watermark(self, chain: str, pool: str, since_ms: int | None = None) -> SwapRange | None: ...
