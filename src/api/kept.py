"""Answers that are kept for some seconds, so that many who look at the same thing are one question to the database."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..ports import Clock

T = TypeVar("T")

_MOST = 32
"""Entries; the one that was not asked for longest goes first."""


@dataclass(slots=True)
class _Entry:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    until: float = float("-inf")
    value: Any = None


class Kept:
    """Values by key. Of those who ask while a value is being read, one reads and the others wait for it."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()

    async def get(self, key: Hashable, seconds: float, clock: Clock, read: Callable[[], Awaitable[T]]) -> T:
        """The value of ``key``, at most ``seconds`` old; an error of ``read`` is raised and not kept."""
        entry = self._entries.setdefault(key, _Entry())
        self._entries.move_to_end(key)
        while len(self._entries) > self._most:
            self._entries.popitem(last=False)
        async with entry.lock:
            if clock.monotonic() >= entry.until:
                entry.value = await read()
                entry.until = clock.monotonic() + seconds
            found: T = entry.value
            return found
