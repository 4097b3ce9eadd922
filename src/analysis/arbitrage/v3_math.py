"""What a swap in a Uniswap v3 pool gives, in the contract's own integers, within one active range.

A pool's liquidity is constant between two ticks at which positions may begin or end, and these are multiples of its
tick spacing. Inside such a range a swap follows from price and liquidity alone; beyond it one would have to know the
positions. The pool rounds in its own favour at every step, and so do these functions, at the same steps.
Source: the protocol's white paper, sections 6.1 to 6.3; where is rounded is as the deployed contracts do it.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache
from typing import Final

Q96: Final = 2**96
MAX_TICK: Final = 887_272
MIN_SQRT_RATIO: Final = 4_295_128_739
MAX_SQRT_RATIO: Final = 1_461_446_703_485_210_103_287_273_052_203_988_822_378_723_970_342
_WHOLE_FEE: Final = 1_000_000
_WORD: Final = 2**256


@dataclass(frozen=True, slots=True)
class PoolState:
    """A pool between two swaps. ``fee`` is in hundredths of a basis point (500 is 0.05 %)."""

    sqrt_price_x96: int
    liquidity: int
    tick: int
    fee: int
    tick_spacing: int


@dataclass(frozen=True, slots=True)
class Filled:
    """What a swap took (fee included) and gave, in smallest units; not ``whole``: it would have left the range."""

    amount_in: int
    amount_out: int
    sqrt_price_x96: int
    whole: bool


def swap_within_range(pool: PoolState, amount_in: int, *, sell_token0: bool) -> Filled:
    """Give ``amount_in`` of one token to the pool, as far as its active range reaches."""
    lower = pool.tick // pool.tick_spacing * pool.tick_spacing
    edge = lower if sell_token0 else lower + pool.tick_spacing
    target = sqrt_ratio_at_tick(min(max(edge, -MAX_TICK), MAX_TICK))
    if pool.liquidity == 0 or (
        pool.sqrt_price_x96 <= target if sell_token0 else pool.sqrt_price_x96 >= target
    ):
        return Filled(0, 0, pool.sqrt_price_x96, whole=amount_in == 0)
    return swap_to(pool.sqrt_price_x96, target, pool.liquidity, amount_in, pool.fee)


def swap_to(price: int, target: int, liquidity: int, amount_in: int, fee: int) -> Filled:
    """One step of a swap that moves the root of the price from ``price`` at most to ``target``.

    Token0 is sold where ``target`` is the lower one. ``amount_in`` includes the fee.
    """
    sell_token0 = target < price
    after_fee = amount_in * (_WHOLE_FEE - fee) // _WHOLE_FEE
    room = _amount_in(price, target, liquidity)
    if after_fee >= room:
        reached, taken = target, room
    else:
        move = _sold_token0 if sell_token0 else _sold_token1
        reached = move(price, liquidity, after_fee)
        taken = _amount_in(price, reached, liquidity)
    if sell_token0:
        given = liquidity * (price - reached) // Q96
    else:
        given = liquidity * Q96 * (reached - price) // reached // price
    if reached != target:  # what is left beside the price's move is fee
        return Filled(amount_in, given, reached, whole=True)
    taken += _divided_up(taken * fee, _WHOLE_FEE - fee)
    return Filled(taken, given, reached, whole=taken == amount_in)


def _amount_in(price: int, reached: int, liquidity: int) -> int:
    """What has to be given, without the fee, for the root of the price to go from one to the other."""
    if reached < price:
        return _divided_up(_divided_up(liquidity * Q96 * (price - reached), price), reached)
    return _divided_up(liquidity * (reached - price), Q96)


def _sold_token0(price: int, liquidity: int, amount: int) -> int:
    if amount == 0:
        return price
    scaled, product = liquidity * Q96, amount * price
    if product < _WORD and scaled + product < _WORD:
        return _divided_up(scaled * price, scaled + product)
    return _divided_up(scaled, scaled // price + amount)  # where 256 bits do not hold the product


def _sold_token1(price: int, liquidity: int, amount: int) -> int:
    return price + amount * Q96 // liquidity


def _divided_up(value: int, by: int) -> int:
    return -(-value // by)


@cache
def _factors() -> tuple[int, ...]:
    """1.0001^(-2^n / 2) for n = 0 .. 19 as fractions of 2^128, rounded to the nearest."""
    with localcontext(prec=120):
        root = Decimal("1.0001").sqrt()
        return tuple(int((Decimal(2**128) / root ** (2**n)).to_integral_value()) for n in range(20))


@cache
def sqrt_ratio_at_tick(tick: int) -> int:
    """2^96 x 1.0001^(tick / 2), rounded as the contract does: a product over its binary places, cut off at each."""
    if abs(tick) > MAX_TICK:
        raise ValueError(f"tick {tick} is beyond {MAX_TICK}")
    ratio = 2**128
    for place, factor in enumerate(_factors()):
        if abs(tick) >> place & 1:
            ratio = factor if ratio == 2**128 else ratio * factor >> 128
    if tick > 0:
        ratio = (_WORD - 1) // ratio
    return _divided_up(ratio, 2**32)
