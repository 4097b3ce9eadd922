"""Uniswap v3: pools, their swaps, blocks of their chain, and which blocks are stored whole."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

_Q192 = 1 << 192


@dataclass(frozen=True, slots=True)
class Pool:
    """One Uniswap v3 pool. Addresses in lower case with 0x; ``fee`` in hundredths of a basis point (500 is 0.05 %).

    ``base`` is the token (0 or 1) that prices are the price of, in units of the other one.
    """

    chain: str
    address: str
    token0: str
    token1: str
    symbol0: str
    symbol1: str
    decimals0: int
    decimals1: int
    fee: int
    tick_spacing: int
    base: int

    def price(self, sqrt_price_x96: int) -> Fraction:
        """The exact price of the base token in units of the other, decimals applied.

        ``sqrt_price_x96`` is the square root of token1 per token0, both in their smallest units, times 2^96.
        Raises ``ZeroDivisionError`` for 0, which a pool has before its first price, where it can have no price.
        """
        shift = self.decimals0 - self.decimals1
        ratio, scale = Fraction(sqrt_price_x96 * sqrt_price_x96, _Q192), int(10 ** abs(shift))
        of_token0 = ratio * scale if shift >= 0 else ratio / scale
        return of_token0 if self.base == 0 else 1 / of_token0


@dataclass(frozen=True, slots=True)
class Swap:
    """One Swap event. ``block_ms`` is the time of its block, UTC milliseconds; amounts are the contract's integers.

    ``amount0`` and ``amount1`` are what the pool got (negative: gave), in the tokens' smallest units; square root,
    ``liquidity`` and ``tick`` are those after the swap; ``price`` is the double nearest to ``Pool.price``.
    ``gas_price`` (wei) and ``gas_used`` are the transaction's, ``base_fee`` (wei) the block's, ``None`` before London.
    """

    chain: str
    pool: str
    block_number: int
    block_ms: int
    block_hash: str
    transaction_hash: str
    transaction_index: int
    log_index: int
    sender: str
    recipient: str
    amount0: int
    amount1: int
    sqrt_price_x96: int
    liquidity: int
    tick: int
    price: float
    gas_price: int
    gas_used: int
    base_fee: int | None

    @property
    def key(self) -> tuple[int, int]:
        """Its place in the chain: one key may be two swaps only across a reorg."""
        return self.block_number, self.log_index


@dataclass(frozen=True, slots=True)
class Block:
    """The header of one block; ``ms`` is its time, UTC milliseconds, ``bloom`` 2048 bits of addresses and topics."""

    number: int
    hash: str
    parent_hash: str
    ms: int
    base_fee: int | None
    bloom: int = 0


@dataclass(frozen=True, slots=True)
class BlockHeader:
    """What is kept of every block: its number, its time (UTC milliseconds), its base fee (wei; None before London)."""

    number: int
    ms: int
    base_fee: int | None


@dataclass(frozen=True, slots=True)
class SwapRange:
    """Blocks of which every swap of a pool is stored, both ends included.

    As times: every swap of [``from_ms``, ``to_ms``). None up to ``final_block`` and before ``final_ms`` can be
    withdrawn any more; both are ``None`` while all of the range is young.
    """

    from_block: int
    to_block: int
    from_ms: int
    to_ms: int
    final_block: int | None = None
    final_ms: int | None = None
