"""Where swaps go: with which blocks are stored whole, in the same transaction; a reorg takes both back."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from psycopg import AsyncConnection

from ...model import Block, BlockHeader, Pool, Swap, SwapRange
from ...ports.chain import SwapsWritten
from .ledger.days import utc
from .queries import query
from .sessions.shared import SharedSession, fetch

BLOCKS_KEPT = 1024
"""Newest blocks remembered: deeper reorgs than that are noticed at the oldest of them only."""
_HEADERS = 2000
_BATCH = 500
"""Swaps of one statement: what turning their integers into text holds the loop up by."""

_SWAP_COLUMNS = (
    "pool",
    "block_number",
    "log_index",
    "transaction_index",
    "block_hash",
    "transaction_hash",
    "sender",
    "recipient",
    "amount0",
    "amount1",
    "sqrt_price_x96",
    "liquidity",
    "tick",
    "price",
    "gas_price",
    "gas_used",
    "base_fee",
)


class SwapStore:
    """``ports.chain.SwapSink`` and ``SwapWatermark``."""

    def __init__(self, session: SharedSession) -> None:
        self._session = session

    async def add_pool(self, pool: Pool) -> Pool:
        """See ``ports.chain.SwapSink``."""
        given = {
            name: getattr(pool, name)
            for name in Pool.__slots__
            if name != "address"  # the column is called as everywhere else
        } | {"pool": pool.address}

        async def work(connection: AsyncConnection) -> Pool:
            async with connection.transaction():
                await fetch(connection, query("swaps", "add_pool"), given)
                (row,) = await fetch(connection, query("swaps", "pool"), given)
            return Pool(*row)

        return await self._session.call(work)

    async def ranges(self, pool: Pool) -> list[SwapRange]:
        """See ``ports.chain.SwapSink``."""
        rows = await self._session.rows(query("swaps", "ranges"), _of(pool))
        return [SwapRange(*row) for row in rows]

    async def stored(self, pool: Pool, covered: SwapRange) -> list[tuple[int, int, str]]:
        """See ``ports.chain.SwapSink``."""
        given = _of(pool) | _bounds(covered)
        return [
            (block, place, block_hash)
            for block, place, block_hash in await self._session.rows(query("swaps", "stored_swaps"), given)
        ]

    async def known_headers(self, chain: str, covered: SwapRange) -> set[int]:
        """See ``ports.chain.SwapSink``."""
        given = {"chain": chain} | _bounds(covered)
        return {number for (number,) in await self._session.rows(query("swaps", "known_headers"), given)}

    async def fill(
        self,
        pool: Pool,
        swaps: Sequence[Swap],
        covered: SwapRange,
        *,
        headers: Sequence[BlockHeader] = (),
        orphans: Collection[str] = (),
    ) -> SwapsWritten:
        """See ``ports.chain.SwapSink``."""

        async def work(connection: AsyncConnection) -> SwapsWritten:
            async with connection.transaction():
                await _lock(connection, pool.chain, [pool.address])
                withdrawn = 0
                if orphans:
                    given = _of(pool) | {
                        "hashes": sorted(orphans),
                        "since": utc(covered.from_ms),
                        "until": utc(covered.to_ms),
                    }
                    ((withdrawn,),) = await fetch(connection, query("swaps", "withdraw_blocks"), given)
                written = await _insert(connection, pool.chain, swaps)
                await _add_headers(connection, pool.chain, headers)
                await _cover(connection, pool, covered)
            return SwapsWritten(written.inserted, withdrawn + written.withdrawn)

        return await self._session.call(work)

    async def blocks(self, chain: str) -> list[Block]:
        """See ``ports.chain.SwapSink``."""
        rows = await self._session.rows(query("swaps", "known_blocks"), {"chain": chain})
        return [
            Block(number, block_hash, parent, ms, None if base_fee is None else int(base_fee))
            for number, block_hash, parent, ms, base_fee in rows
        ]

    async def follow(
        self,
        pools: Sequence[Pool],
        base: Block | None,
        blocks: Sequence[Block],
        swaps: Sequence[Swap],
        *,
        final: Block | None,
    ) -> SwapsWritten:
        """See ``ports.chain.SwapSink``."""
        (chain,) = {pool.chain for pool in pools}
        addresses = [pool.address for pool in pools]

        async def work(connection: AsyncConnection) -> SwapsWritten:
            async with connection.transaction():
                await _lock(connection, chain, addresses)
                withdrawn = 0 if base is None else await _withdraw(connection, chain, addresses, base)
                written = await _insert(connection, chain, swaps)
                await _remember(connection, chain, blocks if base is None else [base, *blocks])
                await _add_headers(
                    connection,
                    chain,
                    [BlockHeader(block.number, block.ms, block.base_fee) for block in blocks],
                )
                if blocks:
                    for pool in pools:
                        await _cover(connection, pool, _covered(blocks, final))
            return SwapsWritten(written.inserted, withdrawn + written.withdrawn)

        return await self._session.call(work)

    async def watermark(self, chain: str, pool: str, since_ms: int | None = None) -> SwapRange | None:
        """See ``ports.chain.SwapWatermark``."""
        given = {"chain": chain, "pool": pool, "since": None if since_ms is None else utc(since_ms)}
        for from_block, to_block, *times, final_block, final in await self._session.rows(
            query("swaps", "watermark"), given
        ):
            from_ms, to_ms = (round(moment.timestamp() * 1000) for moment in times)
            final_ms = None if final is None else round(final.timestamp() * 1000)
            return SwapRange(from_block, to_block, from_ms, to_ms, final_block, final_ms)
        return None

    async def close(self) -> None:
        await self._session.close()


def _of(pool: Pool) -> dict[str, object]:
    return {"chain": pool.chain, "pool": pool.address}


def _covered(blocks: Sequence[Block], final: Block | None) -> SwapRange:
    """New blocks as a range; the final block mostly lies below them, in the range that they are joined with."""
    first, last = blocks[0], blocks[-1]
    numbers = (None, None) if final is None else (final.number, final.ms)
    return SwapRange(first.number, last.number, first.ms, last.ms, *numbers)


def _bounds(covered: SwapRange) -> dict[str, object]:
    return {
        "from_block": covered.from_block,
        "to_block": covered.to_block,
        "since": utc(covered.from_ms),
        "until": utc(covered.to_ms),
    }


async def _lock(connection: AsyncConnection, chain: str, pools: Sequence[str]) -> None:
    await fetch(connection, query("swaps", "lock_pools"), {"chain": chain, "pools": list(pools)})


async def _insert(connection: AsyncConnection, chain: str, swaps: Sequence[Swap]) -> SwapsWritten:
    inserted = withdrawn = 0
    for start in range(0, len(swaps), _BATCH):
        batch = swaps[start : start + _BATCH]
        given: dict[str, object] = {name: [getattr(swap, name) for swap in batch] for name in _SWAP_COLUMNS}
        given |= {"chain": chain, "block_time": [utc(swap.block_ms) for swap in batch]}
        ((written, instead),) = await fetch(connection, query("swaps", "insert_swaps"), given)
        inserted, withdrawn = inserted + written, withdrawn + instead
    return SwapsWritten(inserted, withdrawn)


async def _cover(connection: AsyncConnection, pool: Pool, covered: SwapRange) -> None:
    given = _of(pool) | {
        "from_block": covered.from_block,
        "to_block": covered.to_block,
        "from_time": utc(covered.from_ms),
        "to_time": utc(covered.to_ms),
        "final_block": covered.final_block,
        "final_time": None if covered.final_ms is None else utc(covered.final_ms),
    }
    await fetch(connection, query("swaps", "cover"), given)


async def _withdraw(connection: AsyncConnection, chain: str, pools: Sequence[str], base: Block) -> int:
    """Take back everything above ``base``: swaps, that they are whole, and the blocks themselves."""
    given: Mapping[str, object] = {
        "chain": chain,
        "pools": list(pools),
        "above": base.number,
        "since": utc(base.ms),
        "below": base.number - BLOCKS_KEPT,
    }
    ((withdrawn,),) = await fetch(connection, query("swaps", "withdraw_above"), given)
    await fetch(connection, query("swaps", "withdraw_headers_above"), given)
    await fetch(connection, query("swaps", "drop_ranges_above"), given)
    await fetch(connection, query("swaps", "cut_ranges_above"), given)
    await fetch(connection, query("swaps", "forget_blocks"), given)
    return int(withdrawn)


async def _add_headers(connection: AsyncConnection, chain: str, headers: Sequence[BlockHeader]) -> None:
    for start in range(0, len(headers), _HEADERS):
        batch = headers[start : start + _HEADERS]
        given = {
            "chain": chain,
            "block_time": [utc(header.ms) for header in batch],
            "block_number": [header.number for header in batch],
            "base_fee": [header.base_fee for header in batch],
        }
        await fetch(connection, query("swaps", "add_headers"), given)


async def _remember(connection: AsyncConnection, chain: str, blocks: Sequence[Block]) -> None:
    given = {
        "chain": chain,
        "block_number": [block.number for block in blocks],
        "block_hash": [block.hash for block in blocks],
        "parent_hash": [block.parent_hash for block in blocks],
        "block_time": [utc(block.ms) for block in blocks],
        "base_fee": [block.base_fee for block in blocks],
    }
    await fetch(connection, query("swaps", "add_blocks"), given)
