"""Which block a moment is in: the first one at or after it, by halving."""

from __future__ import annotations

from ...model import Block
from ...ports.chain import ChainSource
from .patience import Patience


async def first_at(source: ChainSource, moment_ms: int, newest: Block) -> int:
    """The first block whose time is ``moment_ms`` or later; one above ``newest`` when all are earlier.

    Some thirty requests, fewer where blocks come evenly: the first guess is by the pace of the newest ones.
    """
    if newest.ms < moment_ms:
        return newest.number + 1
    low, high = 0, newest.number  # the answer is in [low, high]
    step = 1024
    while high - step > low:  # back in growing steps, so that a recent moment costs few requests
        if (await _ms(source, high - step)) < moment_ms:
            low = high - step + 1
            break
        high -= step
        step *= 4
    while low < high:
        middle = (low + high) // 2
        if (await _ms(source, middle)) < moment_ms:
            low = middle + 1
        else:
            high = middle
    return low


async def _ms(source: ChainSource, number: int) -> int:
    return (await Patience(source).header(number)).ms
