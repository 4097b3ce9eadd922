"""Asking a node again: behind a balancer it is another backend each time, and a late one soon has the block."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...errors import Retryable, Unavailable
from ...model import Block
from ...ports.chain import ChainSource
from ..backoff import Backoff

T = TypeVar("T")

_ATTEMPTS = 6
_BASE, _CAP = 0.5, 20.0


class Patience:
    """Calls again what failed only for now, a few times, then passes the error on."""

    def __init__(self, source: ChainSource, *, base: float = _BASE) -> None:
        self._source, self._base = source, base

    async def __call__(self, call: Callable[[], Awaitable[T]]) -> T:
        """The result of ``call``. Raises its ``Retryable`` after six attempts."""
        backoff = Backoff(self._base, _CAP)
        while True:
            try:
                return await call()
            except Retryable as error:
                if backoff.failures + 1 >= _ATTEMPTS:
                    raise
                await asyncio.sleep(max(backoff.next(), error.retry_after))

    async def header(self, number: int) -> Block:
        """A block that must be there."""

        async def there() -> Block:
            found = await self._source.block(number)
            if found is None:
                raise Unavailable(f"node: it does not have block {number}", reason="lag")
            return found

        return await self(there)
