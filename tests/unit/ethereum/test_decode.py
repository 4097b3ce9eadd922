"""What a node answers becomes our values exactly, and what is not of its shape is refused by name."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from src.adapters.ethereum import decode
from src.errors import BadData
from src.model import Pool, Swap
from tests.support.uniswap import WETH_ENS, block_of, log_of, real_swaps, receipt_of

USDC_WETH = Pool(
    "ethereum",
    "0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640",
    "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48",
    "0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2",
    "USDC",
    "WETH",
    6,
    18,
    500,
    10,
    1,
)
LEAST, MOST = 4295128739, 1461446703485210103287273052203988822378723970342


def test_the_topic_is_the_hash_of_the_event() -> None:
    signature = "Swap(address,address,int256,int256,uint160,uint128,int24)"
    assert keccak(text=signature).hex() == decode.SWAP_TOPIC.removeprefix("0x")


def test_the_real_swaps_decode_exactly(market_data: Path) -> None:
    found = [
        (decode.swap(log_of(swap), receipt_of(swap), block_of(row), WETH_ENS), swap)
        for row, swap in real_swaps(market_data)
    ]
    assert len(found) == 63
    for decoded, expected in found:
        assert decoded == expected
        # The tick is the floor of the logarithm of the price: the file's own check of price and integers.
        assert abs(math.log(decoded.price, 1.0001) - decoded.tick) <= 1


SIGNED = st.integers(-(1 << 255), (1 << 255) - 1)
SWAPS = st.builds(
    Swap,
    chain=st.just("ethereum"),
    pool=st.just(USDC_WETH.address),
    block_number=st.integers(0, 1 << 40),
    block_ms=st.integers(0, 1 << 40).map(lambda seconds: seconds * 1000),
    block_hash=st.integers(0, (1 << 256) - 1).map(lambda value: f"0x{value:064x}"),
    transaction_hash=st.integers(0, (1 << 256) - 1).map(lambda value: f"0x{value:064x}"),
    transaction_index=st.integers(0, 10_000),
    log_index=st.integers(0, 10_000),
    sender=st.integers(0, (1 << 160) - 1).map(lambda value: f"0x{value:040x}"),
    recipient=st.integers(0, (1 << 160) - 1).map(lambda value: f"0x{value:040x}"),
    amount0=SIGNED,
    amount1=SIGNED,
    sqrt_price_x96=st.integers(LEAST, MOST),
    liquidity=st.integers(0, (1 << 128) - 1),
    tick=st.integers(-887_272, 887_272),
    price=st.just(0.0),
    gas_price=st.integers(0, 1 << 100),
    gas_used=st.integers(21_000, 1 << 40),
    base_fee=st.none() | st.integers(0, 1 << 60),
)


def _header(swap: Swap) -> dict[str, Any]:
    """The block of a swap as a node tells it."""
    fee = {} if swap.base_fee is None else {"baseFeePerGas": hex(swap.base_fee)}
    return fee | {
        "number": hex(swap.block_number),
        "hash": swap.block_hash,
        "parentHash": "0x" + "0" * 64,
        "timestamp": hex(swap.block_ms // 1000),
        "logsBloom": "0x" + "0" * 512,
    }


@given(SWAPS)
def test_any_swap_comes_back_as_it_was_encoded(swap: Swap) -> None:
    decoded = decode.swap(log_of(swap), receipt_of(swap), decode.header(_header(swap)), USDC_WETH)
    assert decoded == replace(swap, price=float(USDC_WETH.price(swap.sqrt_price_x96)))


@given(
    sqrt_price=st.integers(LEAST, MOST),
    decimals0=st.sampled_from([0, 6, 8, 18, 24]),
    decimals1=st.sampled_from([0, 6, 8, 18, 24]),
)
def test_the_price_is_exact_and_turns_round_with_the_base(
    sqrt_price: int, decimals0: int, decimals1: int
) -> None:
    of_token0 = replace(USDC_WETH, decimals0=decimals0, decimals1=decimals1, base=0).price(sqrt_price)
    of_token1 = replace(USDC_WETH, decimals0=decimals0, decimals1=decimals1, base=1).price(sqrt_price)
    # One whole token0 is 10^decimals0 of its smallest units, each worth (sqrt / 2^96)^2 of token1's.
    worth = Fraction(sqrt_price, 1 << 96) ** 2 * Fraction(10) ** decimals0 / Fraction(10) ** decimals1
    assert of_token0 == worth
    assert of_token1 * of_token0 == 1


@pytest.mark.parametrize(
    ("pool", "amount0", "amount1"),
    [
        (USDC_WETH, 2_500_000_000, 10**18),
        (replace(USDC_WETH, symbol0="WETH", symbol1="USDT", decimals0=18, decimals1=6, base=0), 10**18, 2_500_000_000),
    ],
    ids=["6 and 18", "18 and 6"],
)  # fmt: skip
def test_a_price_in_dollars_is_one_in_dollars_both_ways(pool: Pool, amount0: int, amount1: int) -> None:
    sqrt_price = math.isqrt((amount1 << 192) // amount0)
    assert float(pool.price(sqrt_price)) == pytest.approx(2500, rel=1e-9)


@pytest.mark.parametrize(
    ("symbols", "base"), [("USDC/WETH", 1), ("WETH/USDT", 0), ("WETH/ENS", 0), ("DAI/USDC", 0)]
)
def test_a_pool_is_priced_in_the_coin_that_people_state_prices_in(symbols: str, base: int) -> None:
    assert decode.base_of(*symbols.split("/")) == base


def test_a_swap_that_emptied_the_range_has_no_liquidity_and_is_a_swap(market_data: Path) -> None:
    row, swap = next(iter(real_swaps(market_data)))
    dry = replace(swap, liquidity=0)
    assert decode.swap(log_of(dry), receipt_of(dry), block_of(row), WETH_ENS).liquidity == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("data", "0x"),
        ("data", "0x" + "0" * 320),
        ("data", "0x" + "f" * 320),
        ("topics", ["0x" + "1" * 64]),
        ("topics", []),
        ("blockNumber", 12),
        ("blockNumber", "12"),
        ("logIndex", None),
        ("blockHash", "0x12"),
        ("blockHash", "0x" + "7" * 64),
        ("transactionHash", "0x" + "7" * 64),
        ("address", "0x" + "7" * 40),
    ],
)
def test_a_log_of_another_shape_or_of_another_swap_is_refused(
    market_data: Path, field: str, value: object
) -> None:
    row, swap = next(iter(real_swaps(market_data)))
    with pytest.raises(BadData, match="node:"):
        decode.swap(log_of(swap) | {field: value}, receipt_of(swap), block_of(row), WETH_ENS)


def _word(value: int) -> str:
    return f"0x{value:064x}"


def _answers(**other: str) -> dict[tuple[str, str], str]:
    """The contract's and its tokens' answers; names as in the call."""
    one, two = USDC_WETH.token0, USDC_WETH.token1
    place = USDC_WETH.address
    return {
        (place, "token0"): _word(int(one, 16)),
        (place, "token1"): _word(int(two, 16)),
        (place, "fee"): _word(500),
        (place, "tickSpacing"): _word(10),
        (one, "decimals"): _word(6),
        (two, "decimals"): _word(18),
        (one, "symbol"): "0x" + encode(["string"], ["USDC"]).hex(),
        (two, "symbol"): "0x" + b"WETH".ljust(32, b"\0").hex(),
    } | {(place, name): value for name, value in other.items()}


def test_a_pool_is_read_from_its_contract() -> None:
    answers = _answers()
    found = decode.pool("ethereum", USDC_WETH.address, lambda contract, name: answers[contract, name])
    assert found == USDC_WETH


@pytest.mark.parametrize("other", [{"token0": "0x"}, {"fee": _word(1_000_000)}, {"tickSpacing": _word(0)}])
def test_another_contract_is_no_pool(other: dict[str, str]) -> None:
    answers = _answers(**other)
    with pytest.raises(BadData):
        decode.pool("ethereum", USDC_WETH.address, lambda contract, name: answers[contract, name])
