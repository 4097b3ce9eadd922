"""The sandbox's chain: pure, linked, exact in the contract's integers, and another one after a reorg."""

from __future__ import annotations

import math

import pytest
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from src.sandbox.chain.blocks import BLOCK_MS, Chain, ChainLog, bloom
from src.sandbox.chain.swaps import DRY, EMPTY, POOLS, Q96, USDC_WETH, WETH_USDT, ChainPool, move, noisy, wave
from src.sandbox.clock import SandboxClock
from src.sandbox.options import SandboxOptions
from src.sandbox.venue import Venue

START_MS = 1_790_000_000_000


def chain(seed: int = 1) -> Chain:
    """A chain whose clock stands still."""
    return Chain(SandboxClock(speed=1e-9, start_ms=START_MS, anchor=None), seed)


def test_the_same_seed_is_the_same_chain_in_any_order() -> None:
    one, other = chain(), chain()
    numbers = range(one.head - 50, one.head + 1)
    assert [one.block(number) for number in numbers] == [other.block(number) for number in reversed(numbers)][
        ::-1
    ]
    assert chain(2).block(one.head).hash != one.block(one.head).hash


def test_blocks_are_linked_and_found_again_by_their_hashes() -> None:
    at = chain()
    for number in range(at.head - 20, at.head + 1):
        block = at.block(number)
        assert block.parent_hash == at.block(number - 1).hash
        assert block.timestamp * 1000 == number * BLOCK_MS
        assert at.number(block.hash) == number
        for index, one in enumerate(block.transactions):
            assert at.transaction(one.hash) == (block, index)


@pytest.mark.parametrize("depth", [1, 5, 12])
def test_a_reorg_replaces_just_so_many_blocks(depth: int) -> None:
    at = chain()
    before = {number: at.block(number) for number in range(at.head - 20, at.head + 1)}
    assert at.reorg(depth) == at.head - depth
    for number, block in before.items():
        stays = number <= at.head - depth
        assert (at.block(number) == block) is stays
        assert (at.number(block.hash) == number) is stays
    assert at.block(at.head - depth + 1).parent_hash == before[at.head - depth].hash


@pytest.mark.parametrize("pool", [USDC_WETH, WETH_USDT, DRY])
def test_each_swap_begins_where_the_one_before_ended(pool: ChainPool) -> None:
    at = chain()
    moves = list(at.truth(pool.address, at.head - 300, at.head))
    assert len(moves) > 20
    before = at.sqrt_price(pool, at.head - 301)
    for _, _, _, moved in moves:
        assert moved == move(pool, before, moved.sqrt_price)
        before = moved.sqrt_price
    assert before == at.sqrt_price(pool, at.head)


def test_an_empty_pool_has_neither_price_nor_swap() -> None:
    at = chain()
    assert at.sqrt_price(EMPTY, at.head) == 0
    assert list(at.truth(EMPTY.address, at.head - 200, at.head)) == []


def test_indices_of_logs_run_through_the_block() -> None:
    at = chain()
    for number in range(at.head - 50, at.head):
        places = [
            place
            for one in at.block(number).transactions
            for place in range(one.first_log, one.first_log + len(one.logs))
        ]
        assert places == list(range(len(places)))


@given(
    pool=st.sampled_from([one for one in POOLS if one.share]),
    dollars=st.tuples(st.integers(5 * 10**15, 9 * 10**21), st.integers(5 * 10**15, 9 * 10**21)),
)
def test_a_swap_pays_in_at_least_what_it_takes_out(pool: ChainPool, dollars: tuple[int, int]) -> None:
    before, after = map(pool.sqrt_price, dollars)
    if before == after:
        return
    moved = move(pool, before, after)
    paid, taken = sorted((moved.amount0, moved.amount1), reverse=True)
    assert paid > 0 >= taken
    assert abs(2 * math.log(after / Q96) / math.log(1.0001) - moved.tick) <= 1
    price = (after / Q96) ** 2 * 10 ** (pool.token0.decimals - pool.token1.decimals)
    ether = price if pool.dollars == 1 else 1 / price
    assert ether == pytest.approx(dollars[1] / 1e18, rel=1e-6)


@given(st.integers(100_000_000, 200_000_000), st.integers(0, 65_535))
def test_the_price_of_ether_stays_where_a_market_could_be(block: int, noise: int) -> None:
    assert 2_000 * 10**18 < noisy(wave(block), noise) < 3_000 * 10**18


def test_pools_are_where_the_sandbox_s_own_market_is() -> None:
    venue = Venue(SandboxOptions(symbols=2, start_ms=START_MS))
    at, market = venue.chain, venue.universe.find("ETHUSDT")
    for number in range(at.head - 300, at.head):
        candle = venue.kline(market, number * BLOCK_MS // 60_000)
        assert candle is not None
        root = at.sqrt_price(WETH_USDT, number)
        # At most 16 blocks old, and 0.1 % off.
        assert (root / Q96) ** 2 * 1e12 == pytest.approx(float(candle.open), rel=0.03)


def test_the_bloom_is_that_of_the_protocol() -> None:
    """The yellow paper, section 4.3.1: three pairs of bytes of the hash, each modulo 2048, counted from the right."""
    items = ("0x" + "ab" * 20, "0x" + "01" * 32)
    bits = bytearray(256)
    for item in items:
        digest = keccak(hexstr=item)
        for at in (0, 2, 4):
            bit = (digest[at] << 8 | digest[at + 1]) & 2047
            bits[255 - bit // 8] |= 1 << bit % 8
    log = ChainLog(items[0], (items[1],), "0x", None, None)
    assert bloom([log]) == int.from_bytes(bits, "big")
