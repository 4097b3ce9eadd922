"""Asking again for what failed only for now: how often, after how long, and when the error goes to the caller."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar

from ....errors import Retryable

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Patience(Protocol):
    """How patiently to ask: the first attempt counts, ``patience`` is the longest wait that is asked for and kept."""

    @property
    def attempts(self) -> int: ...

    @property
    def backoff_base(self) -> float: ...

    @property
    def backoff_cap(self) -> float: ...

    @property
    def patience(self) -> float: ...


class Retrying:
    """Call it with a coroutine function and its arguments; an error that is not ``Retryable`` passes at once.

    Between two attempts lie wall seconds: full jitter, doubling, capped, on top of what the answer asked for, which is
    what ``owed`` says of the error. ``tell`` hears of each failure that another attempt follows, and its number.

    Nothing of a call refers back to itself: the garbage search is rare here (ADR 0048), and what only it can free, a
    failed request with all its frames, stays until then.
    """

    def __init__(
        self,
        patience: Patience,
        *,
        owed: Callable[[Retryable], float] = lambda error: error.retry_after,
        tell: Callable[[Retryable, int], None] = lambda _error, _attempt: None,
    ) -> None:
        self._patience, self._owed, self._tell = patience, owed, tell

    async def __call__(self, call: Callable[_P, Awaitable[_T]], *args: _P.args, **named: _P.kwargs) -> _T:
        attempt = 0
        while True:
            attempt += 1
            try:
                return await call(*args, **named)
            except Retryable as error:
                if self._gives_up(error, attempt):
                    raise
                wait = self._wait(error, attempt)
                self._tell(error, attempt)
            await asyncio.sleep(wait)

    def _gives_up(self, error: Retryable, attempt: int) -> bool:
        return attempt >= self._patience.attempts or error.retry_after > self._patience.patience

    def _wait(self, error: Retryable, attempt: int) -> float:
        ceiling = self._patience.backoff_base * 2 ** (attempt - 1)
        return random.uniform(0, min(self._patience.backoff_cap, ceiling)) + self._owed(error)
