"""Following the sandbox's chain through what chains and nodes do: the table is the chain's truth."""

from __future__ import annotations

import asyncio

import pytest

from src.model import SwapRange
from src.sandbox.chain.blocks import BLOCK_MS
from src.sandbox.chain.swaps import DRY, EMPTY, USDC_WETH, WETH_USDT
from tests.support.eventually import eventually
from tests.support.sessions import end_session

from .world import BACK, CONFIRMATIONS, world


async def test_pools_are_filled_and_followed_to_the_head(database: str) -> None:
    async with world(database) as at, at.following():
        await at.in_step()
        at.control.chain_advance(40)
        await at.in_step()
        assert await at.rows(EMPTY.address) == []
        assert {row[6] for row in await at.rows(DRY.address)} == {"0"}
        mark = await at.store.watermark("ethereum", USDC_WETH.address)
        assert mark is not None
        assert mark.to_block - CONFIRMATIONS == mark.final_block
        assert mark.final_ms == (mark.final_block or 0) * BLOCK_MS


async def test_reorgs_of_depth_1_to_12_leave_the_branch_that_won(database: str) -> None:
    async with world(database) as at, at.following():
        await at.in_step()
        for depth in range(1, 13):
            at.control.chain_reorg(depth)
            await at.in_step()
            at.control.chain_advance(1)
        assert at.sandbox.control.stats()["fired"]["chain_reorg"] == 12
        assert at.count("chain_reorgs_total", kind="known") == 12
        assert at.count("swap_rows_total", result="withdrawn") > 12


async def test_a_reorg_that_came_while_nobody_looked_is_seen_at_the_next_start(database: str) -> None:
    async with world(database) as at:
        async with at.following():
            await at.in_step()
        at.control.chain_reorg(12)
        at.control.chain_advance(3)
        async with at.following():
            await at.in_step()
        assert at.count("chain_reorgs_total", kind="known") == 1


async def test_a_reorg_below_all_that_is_remembered_is_said_and_read_again(database: str) -> None:
    async with world(database) as at, at.following():
        await at.in_step()
        known = len(await at.store.blocks("ethereum"))
        at.control.chain_reorg(known + 3)
        at.control.chain_advance(1)
        await at.in_step()
        assert at.count("chain_reorgs_total", kind="deep") == 1


async def test_no_hole_is_left_by_a_follower_that_was_away_for_long(database: str) -> None:
    async with world(database) as at:
        async with at.following():
            await at.in_step()
        at.control.chain_advance(3 * CONFIRMATIONS)
        async with at.following():
            await at.in_step()


async def test_a_pool_that_is_added_later_is_filled_as_far_back_as_the_others(database: str) -> None:
    async with world(database) as at:
        async with at.following([WETH_USDT.address]):
            await at.in_step([WETH_USDT.address])
        async with at.following():
            await at.in_step()


async def test_a_beginning_that_moved_back_is_filled_also_after_a_short_stop(database: str) -> None:
    """Shorter than the confirmations: up to the head there is nothing to fill."""
    async with world(database) as at:
        async with at.following():
            await at.in_step()
        async with at.following(back=2 * BACK):
            await at.in_step(first=at.start - 2 * BACK)


@pytest.mark.parametrize("lag", [1, 5, CONFIRMATIONS + 3])
async def test_late_backends_leave_nothing_out(database: str, lag: int) -> None:
    async with world(database) as at, at.following():
        at.control.chain_lag(lag, share=0.4)
        for _ in range(6):
            at.control.chain_advance(3)
            await asyncio.sleep(0)
        await at.in_step()
        at.control.chain_reorg(4)
        await at.in_step()
        assert at.control.stats()["fired"]["chain_lag"] > 0


async def test_receipts_that_are_left_out_are_asked_for_again(database: str) -> None:
    async with world(database) as at, at.following():
        at.control.chain_skip(where="receipts", share=0.5)
        await at.in_step()
        at.control.chain_advance(10)
        await at.in_step()
        assert at.control.stats()["fired"]["chain_skip"] > 0
        assert at.count("chain_answers_refused_total", reason="skipped") > 0


@pytest.mark.parametrize(
    "fault",
    [
        {"mode": "reset"},
        {"mode": "truncated"},
        {"mode": "error", "status": 503},
        {"mode": "error", "status": 429, "headers": {"Retry-After": "0"}},
        {"mode": "html", "status": 200},
        {"mode": "empty", "status": 200},
    ],
    ids=lambda fault: f"{fault['mode']}-{fault.get('status', '')}",
)
async def test_cut_connections_and_bad_answers_cost_nothing_but_time(
    database: str, fault: dict[str, object]
) -> None:
    async with world(database) as at, at.following():
        at.control.rest(path="/rpc", share=0.3, **fault)
        await at.in_step()
        at.control.chain_advance(5)
        at.control.chain_reorg(3)
        await at.in_step()
        assert at.control.stats()["fired"]["rest"] > 0


async def test_lost_database_sessions_cost_nothing_but_time(database: str) -> None:
    async with world(database) as at, at.following():
        await at.in_step()
        for lost in range(1, 4):
            at.control.chain_advance(4)
            await end_session(database, "swaps")
            at.control.chain_advance(4)
            await at.in_step()
            assert at.count("supervisor_restarts_total", collector="uniswap") >= lost


async def test_ranges_of_a_follower_do_not_hide_what_was_never_read(database: str) -> None:
    async with world(database) as at:
        pool = at.pools[USDC_WETH.address]
        far = SwapRange(at.start - 500, at.start - 400, 0, 0)
        await at.store.fill(pool, [], far)
        async with at.following([pool.address]):

            async def followed() -> bool:
                held = (await at.store.ranges(pool))[-1]
                return (held.from_block, held.to_block) == (at.start - BACK, at.head)

            await eventually(followed)
