"""The pools of the sandbox's chain and how a swap moves them: pure, in the contract's integers."""

from __future__ import annotations

import math
from dataclasses import dataclass

Q96 = 1 << 96


@dataclass(frozen=True, slots=True)
class ChainToken:
    """An ERC-20 token; ``padded`` answers its symbol in 32 bytes, as the oldest contracts do."""

    address: str
    symbol: str
    decimals: int
    padded: bool = False


@dataclass(frozen=True, slots=True)
class ChainPool:
    """A pool and how lively it is.

    ``share`` of the blocks have swaps of it, none where it is 0: nobody ever gave it a price. ``dollars`` is the
    token (0 or 1) in which ether is priced there. A ``dry`` pool has no liquidity left after each swap.
    """

    address: str
    token0: ChainToken
    token1: ChainToken
    fee: int
    tick_spacing: int
    share: float
    dollars: int
    liquidity: int = 2 * 10**18
    dry: bool = False

    def sqrt_price(self, price: int) -> int:
        """The square root of token1 per token0 times 2^96 when one ether costs ``price``, in 1e-18 dollars."""
        coins = price * 10 ** (self.token0, self.token1)[self.dollars].decimals
        if self.dollars == 1:
            return math.isqrt((coins << 192) // 10**36)
        return math.isqrt((10**36 << 192) // coins)


@dataclass(frozen=True, slots=True)
class Moved:
    """One swap: amounts as the pool got them, and its state afterwards."""

    amount0: int
    amount1: int
    sqrt_price: int
    liquidity: int
    tick: int


_USDC = ChainToken("0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "USDC", 6)
_WETH = ChainToken("0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2", "WETH", 18, padded=True)
_USDT = ChainToken("0xdac17f958d2ee523a2206206994597c13d831ec7", "USDT", 6)
_DAI = ChainToken("0x6b175474e89094c44da98b954eedeac495271d0f", "DAI", 18)

USDC_WETH = ChainPool("0x88e6a0c2ddd26feeb64f039a2c41296fcb3f5640", _USDC, _WETH, 500, 10, 0.6, 0)
"""6 and 18 decimals, priced in its token0."""
WETH_USDT = ChainPool("0x11b815efb8f581194ae79006d24e0d814b7697f6", _WETH, _USDT, 500, 10, 0.3, 1)
"""18 and 6 decimals, priced in its token1."""
DRY = ChainPool("0xc2e9f25be6257c210d7adf0d4cd6e3e881ba25f8", _DAI, _WETH, 3000, 60, 0.1, 0, dry=True)
EMPTY = ChainPool("0x4e68ccd3e89f51c3074ca5072bbac773960dfa36", _WETH, _DAI, 10000, 200, 0.0, 1)
POOLS = (USDC_WETH, WETH_USDT, DRY, EMPTY)


def wave(block: int) -> int:
    """What one ether costs in a block where no market tells it, in 1e-18 dollars: waves of hours and of minutes."""
    height = 0.04 * math.sin(block / 900) + 0.006 * math.sin(block / 37)
    return int(2_500 * math.exp(height) * 10**6) * 10**12


def noisy(price: int, noise: int) -> int:
    """A price off by up to 0.1 % either way, by ``noise`` (0 to 65535): pools and markets never quite agree."""
    return price + price * (noise - 32_768) // (500 * 65_536)


def move(pool: ChainPool, before: int, after: int) -> Moved:
    """A swap from one square root to another, as the contract computes it when the price meets its limit.

    What is paid in is rounded up and has the fee on top; what is paid out is rounded down.
    """
    low, high = min(before, after), max(before, after)
    amount0 = (pool.liquidity << 96) * (high - low)
    amount1 = pool.liquidity * (high - low)
    if after < before:
        paid = _with_fee(_up(_up(amount0, high), low), pool.fee)
        amounts = (paid, -(amount1 // Q96))
    else:
        paid = _with_fee(_up(amount1, Q96), pool.fee)
        amounts = (-(amount0 // high // low), paid)
    tick = math.floor(2 * math.log(after / Q96) / math.log(1.0001))
    return Moved(*amounts, after, 0 if pool.dry else pool.liquidity, tick)


def _with_fee(amount: int, fee: int) -> int:
    return amount + _up(amount * fee, 1_000_000 - fee)


def _up(amount: int, divisor: int) -> int:
    """The quotient rounded up."""
    return -(-amount // divisor)
