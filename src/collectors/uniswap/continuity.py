"""Whether swaps follow one another without one missing between them: the contract's own arithmetic is the proof. Pure.

A swap says the pool's square root of price and liquidity after it, and its amounts. Where it crossed no tick, what it
paid out is exactly what its liquidity is worth between the root that the swap before left and its own: had there been
another swap between the two, it would have started somewhere else. Positions opened and closed move no price.
Where a tick was crossed the arithmetic says nothing, and the blocks between are looked at one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...model import Swap

_Q96 = 1 << 96
_ROUNDING = 1
"""Smallest units by which an exact output may differ from the liquidity's worth."""


def follows(before: Swap, after: Swap) -> bool:
    """True proves that no swap of the pool lies between the two; False proves nothing."""
    low, high = sorted((before.sqrt_price_x96, after.sqrt_price_x96))
    if not after.liquidity or low == high:
        return False
    if after.sqrt_price_x96 < before.sqrt_price_x96:  # token0 came in, token1 went out
        expected, paid = after.liquidity * (high - low) // _Q96, -after.amount1
    else:
        expected, paid = (after.liquidity << 96) * (high - low) // high // low, -after.amount0
    return expected > 0 and abs(expected - paid) <= _ROUNDING


def doubtful(before: Swap | None, swaps: Sequence[Swap]) -> list[tuple[int, int]]:
    """Stretches of blocks, both ends included, in which a swap may be missing; in order, none overlapping.

    ``before`` is the swap before the first one, ``None`` where it is not known.
    """
    found: list[tuple[int, int]] = []
    for earlier, later in zip([before, *swaps], swaps, strict=False):
        if earlier is None or follows(earlier, later):
            continue
        first = earlier.block_number
        if found and first <= found[-1][1]:
            first = found.pop()[0]
        found.append((first, later.block_number))
    return found
