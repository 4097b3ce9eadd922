"""A block's bloom: 2048 bits in which every address and topic of its logs has three. Pure.

A bit that is not set proves that the block has no such log. A set one proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache


@lru_cache(1024)
def bits(item: str) -> int:
    """The bits of an address or topic, hexadecimal with 0x."""
    from eth_hash.auto import keccak  # loads a hash library: only who reads a chain needs it

    digest = keccak(bytes.fromhex(item.removeprefix("0x")))
    found = 0
    for at in (0, 2, 4):
        found |= 1 << (int.from_bytes(digest[at : at + 2], "big") & 2047)
    return found


def may_hold(bloom: int, items: Iterable[str]) -> bool:
    """False proves that no log of the block has all of the items."""
    return all(bloom & bits(item) == bits(item) for item in items)
