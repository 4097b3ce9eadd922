"""A chain: what its node is asked, and where the swaps of its pools go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..model import Block, BlockHeader, Pool, Swap, SwapRange


@dataclass(frozen=True, slots=True)
class SwapsWritten:
    """What one transaction did: swaps that are new, and swaps taken back because their block is none any more."""

    inserted: int
    withdrawn: int


@dataclass(frozen=True, slots=True)
class SwapLog:
    """A Swap event as the node tells of it: where it is, and the whole answer."""

    block_number: int
    log_index: int
    block_hash: str
    transaction_hash: str
    answer: Mapping[str, Any]

    @property
    def key(self) -> tuple[int, int, str]:
        """Block, place in it, and the block's hash."""
        return self.block_number, self.log_index, self.block_hash


class ChainSource(Protocol):
    """A node of the chain. Calls are retried while that is reasonable, then raise ``Retryable``, or ``Permanent``.

    ``chain`` is its word in our tables. ``head`` is the newest block; ``block`` one by its number, ``None`` where the
    node has none (yet). ``pool`` reads what a contract says of itself; ``BadData`` for one that is no v3 pool.

    ``logs`` are the Swap events of a pool in blocks [first, last], which a node may answer in part: it is asked twice.
    Raises ``TooWide``. ``swaps`` completes them with block and receipt. ``swaps_of_block`` are those of some pools in
    one block, proved whole by the block's own bloom. ``keeps`` tells whether the node still has the logs of a block.
    """

    async def chain(self) -> str: ...

    async def head(self) -> Block: ...

    async def block(self, number: int) -> Block | None: ...

    async def pool(self, address: str) -> Pool: ...

    async def logs(self, pool: Pool, first: int, last: int) -> list[SwapLog]: ...

    async def swaps(self, pool: Pool, logs: Sequence[SwapLog]) -> list[Swap]: ...

    async def swaps_of_block(self, pools: Sequence[Pool], block: Block) -> list[Swap]: ...

    async def keeps(self, number: int) -> bool: ...


class SwapSink(Protocol):
    """Where swaps go. Every call is one transaction and may be repeated; all raise ``Retryable``, ``BadData`` or
    ``Misconfigured``.

    ``add_pool`` returns the pool as it is stored: its base was decided when it was first added.
    ``ranges`` are the blocks stored whole, in order. ``stored`` are block, place and block hash of the swaps in a
    stretch of blocks and its times. ``fill`` stores the swaps of ``covered`` and that it is whole, and takes back
    stored swaps of the blocks ``orphans`` (hashes) in it. ``headers`` are those of blocks in it that are not known yet;
    ``known_headers`` tells which are.

    ``blocks`` are the newest blocks followed, in order. ``follow`` goes on to new ``blocks``: after it the chain is
    ``base`` and then those; whatever was stored above ``base`` is taken back. ``base`` is ``None`` when nothing
    was followed before. ``final`` is the newest of them that no reorg reaches.
    """

    async def add_pool(self, pool: Pool) -> Pool: ...

    async def ranges(self, pool: Pool) -> list[SwapRange]: ...

    async def stored(self, pool: Pool, covered: SwapRange) -> list[tuple[int, int, str]]: ...

    async def known_headers(self, chain: str, covered: SwapRange) -> set[int]: ...

    async def fill(
        self,
        pool: Pool,
        swaps: Sequence[Swap],
        covered: SwapRange,
        *,
        headers: Sequence[BlockHeader] = (),
        orphans: Collection[str] = (),
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


class SwapCollector(Protocol):
    """Collects the swaps of a pool in [``start_ms``, ``end_ms``), as far as the chain is settled (CollectUniswap).

    ``tell`` hears of progress: a line and the share done. The result says from which block to which, and how many
    swaps that were new. Raises ``BadData`` for an address that is no pool, ``Retryable``, or ``Permanent`` when the
    node cannot have what is asked.
    """

    async def collect(
        self, pool: str, start_ms: int, end_ms: int, tell: Callable[[str, float], Awaitable[None]]
    ) -> dict[str, Any]: ...


class SwapWatermark(Protocol):
    """Up to where all swaps of a pool are stored: the range that holds ``since_ms``, else the newest one, or None.

    Raises ``Retryable`` or ``Misconfigured``.
    """

    async def watermark(self, chain: str, pool: str, since_ms: int | None = None) -> SwapRange | None: ...
