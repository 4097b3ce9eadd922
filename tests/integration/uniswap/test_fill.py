"""Filling settled blocks from nodes that refuse, leave out, have forgotten or tell of orphans."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from src.errors import BadData, Permanent, TooWide, Unavailable
from src.model import SwapRange
from src.sandbox.chain.blocks import BLOCK_MS
from src.sandbox.chain.swaps import DRY, EMPTY, USDC_WETH, WETH_USDT

from .world import CONFIRMATIONS, World, world


def blocks(first: int, last: int) -> SwapRange:
    """A range as it is asked for: its times hold for its ends."""
    return SwapRange(first, last, first * BLOCK_MS, last * BLOCK_MS)


async def check(at: World, pool: str, wanted: SwapRange) -> None:
    """The table has what the chain has, and says that it is whole and final."""
    assert await at.rows(pool) == at.truth(pool, wanted.from_block, wanted.to_block)
    held = await at.store.ranges(at.pools[pool])
    assert held == [replace(wanted, final_block=wanted.to_block, final_ms=wanted.to_ms)]


@pytest.mark.parametrize("pool", [USDC_WETH, WETH_USDT, DRY, EMPTY], ids=lambda one: f"{one.share:g}")
async def test_a_range_is_filled_once_and_again_without_a_difference(database: str, pool: Any) -> None:
    async with world(database) as at:
        wanted, told = blocks(at.start - 400, at.start - 20), list[float]()

        async def tell(_line: str, share: float) -> None:
            told.append(share)

        filling = at.filling(widest=200)
        done = await filling.fill(at.pools[pool.address], wanted, tell)
        await check(at, pool.address, wanted)
        assert (done.inserted, done.blocks) == (len(await at.rows(pool.address)), 381)
        assert told[-1] == 1.0
        again = await at.filling().fill(at.pools[pool.address], wanted)
        assert (again.blocks, again.inserted, again.withdrawn) == (0, 0, 0)


async def test_holes_between_what_is_there_are_what_is_filled(database: str) -> None:
    async with world(database) as at:
        pool, wanted = at.pools[USDC_WETH.address], blocks(at.start - 300, at.start - 20)
        for first, last in ((280, 250), (200, 190), (30, 20)):
            await at.filling().fill(pool, blocks(at.start - first, at.start - last))
        done = await at.filling().fill(pool, wanted)
        assert done.blocks == 281 - 31 - 11 - 11
        await check(at, pool.address, wanted)


@pytest.mark.parametrize("words", ["quicknode", "alchemy", "morph"])
async def test_a_range_that_is_refused_is_split_whatever_the_words(database: str, words: str) -> None:
    async with world(database) as at:
        at.control.chain_limit(45, words=words)
        wanted = blocks(at.start - 420, at.start - 20)
        await at.filling().fill(at.pools[WETH_USDT.address], wanted)
        await check(at, WETH_USDT.address, wanted)
        # All of the 401 at once, then halved until 45 is not met: and never met again.
        assert at.control.stats()["fired"]["chain_range"] == 4


async def test_ten_thousand_blocks_are_what_providers_take(database: str) -> None:
    async with world(database) as at:
        pool = at.pools[EMPTY.address]
        wanted = blocks(at.start - 10_040, at.start - 20)
        await at.filling(widest=20_000, first_width=20_000).fill(pool, wanted)
        await check(at, EMPTY.address, wanted)
        assert at.control.stats()["fired"]["chain_range"] == 1


async def test_too_many_results_split_as_well_and_one_block_is_the_end(database: str) -> None:
    async with world(database) as at:
        pool, wanted = at.pools[USDC_WETH.address], blocks(at.start - 120, at.start - 20)
        at.control.chain_limit(10_000, results=10)
        await at.filling().fill(pool, wanted)
        await check(at, USDC_WETH.address, wanted)
        at.control.chain_limit(10_000, results=1)
        with pytest.raises(TooWide):
            await at.filling().fill(pool, blocks(at.start - 1000, at.start - 500))


@pytest.mark.parametrize("fault", [{"share": 0.5}, {"count": 2}, {}], ids=str)
@pytest.mark.parametrize("pool", [USDC_WETH, DRY], ids=lambda one: f"{one.share:g}")
async def test_an_rpc_that_skips_logs_is_found_out(database: str, pool: Any, fault: dict[str, Any]) -> None:
    """Even one that leaves out the same logs each time: the contract's own arithmetic tells that a swap is missing."""
    async with world(database) as at:
        at.control.chain_skip(**fault)
        wanted = blocks(at.start - 400, at.start - 20)
        await at.filling(widest=150).fill(at.pools[pool.address], wanted)
        assert at.control.stats()["fired"]["chain_skip"] > 0
        await check(at, pool.address, wanted)
        assert at.count("chain_answers_refused_total", reason="skipped") > 0


async def test_a_first_swap_that_is_left_out_is_found_behind_pieces_without_any(database: str) -> None:
    async with world(database) as at:
        truth = at.truth(DRY.address, at.start - 400, at.start - 20)
        # Widest gap between two swaps: pieces that lie in it have none, and the first swap after it is skipped.
        gap, second = max((after[0] - before[0], after) for before, after in pairwise(truth))
        assert gap > 8
        at.control.chain_skip()
        wanted = blocks(second[0] - gap + 1, second[0] + 1)
        await at.filling(widest=3).fill(at.pools[DRY.address], wanted)
        await check(at, DRY.address, wanted)


async def test_a_node_that_leaves_out_what_we_have_takes_nothing_away(database: str) -> None:
    async with world(database) as at:
        pool, wanted = at.pools[USDC_WETH.address], blocks(at.start - 100, at.start - 20)
        await at.filling().fill(pool, wanted)
        whole = await at.rows(pool.address)
        # As a follower leaves it that was never told what is final: all of it is read again.
        await at.store.follow([pool], (await at.node.block(wanted.from_block - 1)), [], [], final=None)
        await at.store.fill(pool, await _stored(at, wanted), blocks(wanted.from_block, wanted.to_block))
        at.control.chain_skip()
        with pytest.raises(Unavailable, match="leaves out swaps"):
            await at.filling().fill(pool, wanted)
        assert await at.rows(pool.address) == whole


async def test_swaps_of_a_branch_that_lost_are_replaced_when_their_blocks_are_read_again(
    database: str,
) -> None:
    async with world(database) as at:
        pool, wanted = at.pools[USDC_WETH.address], blocks(at.start - 40, at.start)
        await at.store.fill(pool, await _stored(at, wanted), wanted)
        at.control.chain_reorg(30)
        done = await at.filling().fill(pool, wanted)
        assert done.withdrawn > 0
        await check(at, pool.address, wanted)


async def _stored(at: World, wanted: SwapRange) -> list[Any]:
    pool = at.pools[USDC_WETH.address]
    return await at.node.swaps(pool, await at.node.logs(pool, wanted.from_block, wanted.to_block))


async def test_a_node_that_has_forgotten_the_past_is_refused_instead_of_believed(database: str) -> None:
    async with world(database) as at:
        pool, wanted = at.pools[USDC_WETH.address], blocks(at.start - 400, at.start - 20)
        at.control.chain_prune(at.start - 128)
        with pytest.raises(Permanent, match="archive node"):
            await at.filling().fill(pool, wanted)
        assert await at.store.ranges(pool) == []
        await at.filling().fill(pool, blocks(at.start - 128, at.start - 20))


async def test_collecting_between_two_moments_stores_just_the_blocks_of_them(database: str) -> None:
    async with world(database) as at:
        start_ms, end_ms = (at.start - 90) * BLOCK_MS - 1, (at.start - 50) * BLOCK_MS - 5000
        result = await at.collect(USDC_WETH.address.upper().replace("0X", "0x"), start_ms, end_ms)
        assert (result["from_block"], result["to_block"]) == (at.start - 90, at.start - 51)
        assert await at.rows(USDC_WETH.address) == at.truth(USDC_WETH.address, at.start - 90, at.start - 51)
        mark = await at.store.watermark("ethereum", USDC_WETH.address, start_ms)
        assert mark is not None
        assert (mark.from_ms, mark.to_ms, mark.final_ms) == (start_ms, end_ms, end_ms)


async def test_collecting_up_to_the_future_ends_where_the_chain_is_settled(database: str) -> None:
    async with world(database) as at:
        head = at.head
        result = await at.collect(EMPTY.address, (head - 50) * BLOCK_MS, (head + 9999) * BLOCK_MS)
        assert head - CONFIRMATIONS <= result["to_block"] <= at.head - CONFIRMATIONS
        assert result["to_ms"] == result["to_block"] * BLOCK_MS
        late = await at.collect(EMPTY.address, (head + 100) * BLOCK_MS, (head + 9999) * BLOCK_MS)
        assert late["blocks"] == 0
        assert late["to_block"] is None


@pytest.mark.parametrize("address", ["0x" + "9" * 40, "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48"])
async def test_an_address_that_is_no_pool_is_refused_by_name(database: str, address: str) -> None:
    async with world(database) as at:
        with pytest.raises(BadData, match=f"{address} is no Uniswap v3 pool on ethereum"):
            await at.collect(address, 0, 1)


async def test_a_pool_is_read_as_its_contract_says(database: str) -> None:
    async with world(database) as at:
        found = at.pools[WETH_USDT.address]
        assert (found.symbol0, found.decimals0, found.symbol1, found.decimals1) == ("WETH", 18, "USDT", 6)
        assert (found.fee, found.tick_spacing, found.base) == (500, 10, 0)
        assert at.pools[USDC_WETH.address].base == 1
        for pool in (USDC_WETH, WETH_USDT, DRY):
            root = at.sandbox.venue.chain.sqrt_price(pool, at.head)
            market = at.sandbox.venue.kline(at.sandbox.venue.universe.find("ETHUSDT"), at.head // 5)
            assert market is not None
            assert float(at.pools[pool.address].price(root)) == pytest.approx(float(market.open), rel=0.03)
