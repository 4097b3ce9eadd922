"""Arithmetic of block ranges: what is still to be read, and how much of it at a time. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ...model import SwapRange

Blocks = tuple[int, int]
"""First and last, both included."""


def missing(first: int, last: int, stored: Iterable[SwapRange]) -> list[Blocks]:
    """The blocks of [first, last] that are not stored for good, in order.

    What is young in a range is read again: whoever stored it may not have seen what became of it.
    """
    found: list[Blocks] = []
    at = first
    for one in sorted(stored, key=lambda one: one.from_block):
        if one.final_block is None or one.final_block < at:
            continue
        if one.from_block > last:
            break
        if one.from_block > at:
            found.append((at, one.from_block - 1))
        at = one.final_block + 1
    if at <= last:
        found.append((at, last))
    return found


class Width:
    """How many blocks to ask for at once: halved when refused, widened slowly while answers are short.

    It never grows past half of what was refused, so a provider's limit is met a few times and not with every piece.
    """

    def __init__(self, widest: int, *, full: int, first: int | None = None) -> None:
        """``full`` answers in one request are enough: from a quarter of them on it does not widen any more.

        ``first`` is how wide to begin, ``widest`` without it.
        """
        self.blocks = min(widest, first or widest)
        self._most, self._full = widest, full

    def refused(self, asked: int) -> bool:
        """A request about ``asked`` blocks was too wide; False when nothing narrower can be asked."""
        if asked <= 1:
            return False
        self._most = self.blocks = max(1, asked // 2)
        return True

    def answered(self, asked: int, answers: int) -> None:
        """A request about ``asked`` blocks had so many answers."""
        if answers > self._full:
            self.blocks = max(1, asked // 2)
        elif answers * 4 < self._full and asked == self.blocks:
            self.blocks = min(self._most, self.blocks + max(1, self.blocks // 2))
