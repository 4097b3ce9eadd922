"""Swaps in the real database: exact, once each, with what is whole; a reorg takes both back in one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from src.adapters.timescale.options import DatabaseOptions
from src.adapters.timescale.sessions.shared import SharedSession
from src.adapters.timescale.swap_store import SwapStore
from src.errors import BadData
from src.model import Block, BlockHeader, Pool, Swap, SwapRange
from src.ports.chain import SwapsWritten
from tests.support.uniswap import WETH_ENS, real_swaps

from .helpers import fetch

OTHER = replace(WETH_ENS, address="0x" + "2" * 40, decimals0=6, base=1)


@pytest.fixture
async def store(database: str) -> AsyncIterator[SwapStore]:
    """A store whose pools are known."""
    made = SwapStore(SharedSession(DatabaseOptions(database), purpose="swaps"))
    for pool in (WETH_ENS, OTHER):
        assert await made.add_pool(pool) == pool
    yield made
    await made.close()


def block(number: int, branch: str = "a") -> Block:
    """Block ``number`` of a branch; branches share their times, as slots do."""
    name = f"{ord(branch):02x}"
    base_fee = 10**9 * ord(branch) + number
    return Block(number, f"0x{name}{number:062x}", f"0x{name}{number - 1:062x}", number * 12_000, base_fee)


def chain(first: int, last: int, branch: str = "a") -> list[Block]:
    return [block(number, branch) for number in range(first, last + 1)]


def swap(of: Block, place: int = 0, pool: Pool = WETH_ENS) -> Swap:
    """A swap whose integers tell which one it is."""
    number = of.number * 10 + place
    return Swap(
        pool.chain,
        pool.address,
        of.number,
        of.ms,
        of.hash,
        f"0x{number:064x}",
        place,
        place,
        "0x" + "5" * 40,
        "0x" + "6" * 40,
        -number,
        number,
        2**96 + number,
        0,
        number % 100,
        1.5,
        number,
        21_000,
        of.base_fee,
    )


def covered(first: int, last: int, final: int | None = None) -> SwapRange:
    times = (first * 12_000, last * 12_000)
    return SwapRange(first, last, *times, final, None if final is None else final * 12_000)


async def rows(url: str) -> list[tuple[int, int, str]]:
    return [
        (number, place, block_hash)
        for number, place, block_hash in await fetch(
            url, "SELECT block_number, log_index, block_hash FROM uniswap_swaps ORDER BY pool, 1, 2"
        )
    ]


async def headers(url: str) -> list[BlockHeader]:
    stored = await fetch(
        url,
        "SELECT block_number, (extract(epoch FROM block_time) * 1000)::bigint, base_fee FROM block_headers"
        " ORDER BY block_time",
    )
    return [BlockHeader(*row) for row in stored]


def header(of: Block) -> BlockHeader:
    return BlockHeader(of.number, of.ms, of.base_fee)


def keys(swaps: Sequence[Swap]) -> list[tuple[int, int, str]]:
    return [(one.block_number, one.log_index, one.block_hash) for one in swaps]


async def test_the_real_swaps_are_stored_to_the_last_digit(
    store: SwapStore, database: str, market_data: Path
) -> None:
    swaps = [one for _, one in real_swaps(market_data)]
    whole = SwapRange(13_578_816, 13_579_000, swaps[0].block_ms - 1, swaps[-1].block_ms + 1)
    assert await store.fill(WETH_ENS, swaps, whole) == SwapsWritten(63, 0)
    assert await store.fill(WETH_ENS, swaps, whole) == SwapsWritten(0, 0)
    stored = await fetch(
        database,
        """SELECT chain, pool, block_number, (extract(epoch FROM block_time) * 1000)::bigint, block_hash,
            transaction_hash, transaction_index, log_index, sender, recipient, amount0, amount1,
            sqrt_price_x96, liquidity, tick, price,
            gas_price, gas_used, base_fee FROM uniswap_swaps ORDER BY block_number, log_index""",
    )
    assert [Swap(*row) for row in stored] == swaps
    assert await store.stored(WETH_ENS, whole) == keys(swaps)
    assert await store.ranges(WETH_ENS) == [whole]
    assert await store.ranges(OTHER) == []


async def test_a_pool_keeps_the_base_that_was_decided_first(store: SwapStore) -> None:
    assert await store.add_pool(replace(WETH_ENS, base=1)) == WETH_ENS


async def test_following_extends_what_is_whole_and_says_what_is_final(store: SwapStore) -> None:
    await store.fill(WETH_ENS, [], covered(1, 9, 9))
    await store.fill(OTHER, [], covered(5, 9, 9))
    base = block(9)
    for new in chain(10, 14):
        await store.follow([WETH_ENS, OTHER], base, [new], [swap(new)], final=block(new.number - 3))
        base = new
    assert await store.ranges(WETH_ENS) == [covered(1, 14, 11)]
    assert await store.ranges(OTHER) == [covered(5, 14, 11)]
    assert await store.blocks("ethereum") == chain(9, 14)


async def test_nothing_is_final_in_a_range_that_begins_above_it(store: SwapStore) -> None:
    await store.follow([WETH_ENS], None, chain(10, 12), [], final=block(9))
    assert await store.ranges(WETH_ENS) == [covered(10, 12)]


@pytest.mark.parametrize("depth", [1, 5, 12])
async def test_a_reorg_leaves_what_the_new_branch_alone_would_have_left(
    store: SwapStore, database: str, depth: int
) -> None:
    old, base = chain(10, 22), block(22 - depth)
    branch = chain(23 - depth, 24, "b")
    await store.fill(WETH_ENS, [swap(block(9))], covered(1, 9, 9))
    await store.follow([WETH_ENS], block(9), old, [swap(one) for one in old], final=block(10))
    new = [swap(one, 1) for one in branch[::2]] + [swap(branch[0], 0)]
    written = await store.follow([WETH_ENS], base, branch, new, final=block(10))
    assert written == SwapsWritten(len(new), depth)
    left = [swap(block(number)) for number in range(9, base.number + 1)]
    assert await rows(database) == sorted(keys([*left, *new]))
    assert await store.ranges(WETH_ENS) == [covered(1, 24, 10)]
    assert await store.blocks("ethereum") == [*chain(9, base.number), *branch]
    assert await headers(database) == [*map(header, chain(10, base.number)), *map(header, branch)]


async def test_a_withdrawal_without_anything_new_leaves_the_range_cut(
    store: SwapStore, database: str
) -> None:
    await store.follow([WETH_ENS, OTHER], None, chain(10, 20), [swap(block(20))], final=block(18))
    await store.fill(OTHER, [], covered(30, 40))
    assert await store.follow([WETH_ENS, OTHER], block(12), [], [], final=None) == SwapsWritten(0, 1)
    for pool in (WETH_ENS, OTHER):
        assert await store.ranges(pool) == [covered(10, 12, 12)]
    assert await rows(database) == []
    assert await headers(database) == [*map(header, chain(10, 12))]


async def test_headers_are_kept_once_and_told_of(store: SwapStore, database: str) -> None:
    told = [header(one) for one in chain(10, 12)]
    assert await store.known_headers("ethereum", covered(8, 20)) == set()
    await store.fill(WETH_ENS, [], covered(10, 12), headers=told[:2])
    await store.fill(OTHER, [], covered(10, 12), headers=told)
    assert await headers(database) == told
    assert await store.known_headers("ethereum", covered(11, 20)) == {11, 12}


async def test_a_filling_takes_back_swaps_of_blocks_that_are_none(store: SwapStore, database: str) -> None:
    ghost = block(11, "x")
    await store.fill(WETH_ENS, [swap(block(10)), swap(ghost), swap(ghost, 1)], covered(10, 12))
    right = swap(block(11))  # in the same place as a ghost: the insert itself replaces it
    assert await store.fill(WETH_ENS, [right], covered(10, 12)) == SwapsWritten(1, 1)
    written = await store.fill(WETH_ENS, [right], covered(10, 12), orphans={ghost.hash})
    assert written == SwapsWritten(0, 1)
    assert await rows(database) == keys([swap(block(10)), right])


@pytest.mark.parametrize("seed", range(4))
async def test_ranges_are_joined_as_a_set_of_blocks_would_be(store: SwapStore, seed: int) -> None:
    blocks: set[int] = set()
    for step in range(14):
        first = (seed * 37 + step * step * 11) % 60
        last = first + (seed + step * 7) % 9
        blocks |= set(range(first, last + 1))
        await store.fill(WETH_ENS, [], covered(first, last))
    found = await store.ranges(WETH_ENS)
    assert [number for one in found for number in range(one.from_block, one.to_block + 1)] == sorted(blocks)
    assert all(left.to_block + 1 < right.from_block for left, right in pairwise(found))


async def test_the_watermark_is_that_of_the_range_that_holds_the_beginning(store: SwapStore) -> None:
    early, late = covered(10, 20, 20), covered(30, 44, 33)
    assert await store.watermark("ethereum", WETH_ENS.address) is None
    for one in (early, late):
        await store.fill(WETH_ENS, [], one)
    ask = store.watermark
    assert await ask("ethereum", WETH_ENS.address) == late
    assert await ask("ethereum", WETH_ENS.address, 10 * 12_000) == early
    assert await ask("ethereum", WETH_ENS.address, 20 * 12_000) is None  # its own swaps may not all be there
    assert await ask("ethereum", WETH_ENS.address, 30 * 12_000) == late
    assert await ask("ethereum", OTHER.address) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount0": 2**255},
        {"sqrt_price_x96": 1},
        {"liquidity": -1},
        {"liquidity": 2**128},
        {"tick": 887_273},
        {"price": float("nan")},
        {"price": float("inf")},
        {"price": 0.0},
        {"gas_used": 0},
        {"block_hash": "0xAB"},
    ],
    ids=str,
)
async def test_the_database_refuses_what_no_swap_can_be(store: SwapStore, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadData):
        await store.fill(WETH_ENS, [replace(swap(block(10)), **wrong)], covered(10, 10))
    assert await store.ranges(WETH_ENS) == []
