"""Asking again for what failed only for now: how often, after how long, and when the error goes to the caller."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import ParamSpec, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

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
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Retryable),
            stop=self._gives_up,
            wait=self._wait,
            sleep=asyncio.sleep,
            before_sleep=self._before_sleep,
            reraise=True,
        )
        return await retrying(call, *args, **named)

    def _gives_up(self, state: RetryCallState) -> bool:
        wait = _error(state).retry_after
        return state.attempt_number >= self._patience.attempts or wait > self._patience.patience

    def _wait(self, state: RetryCallState) -> float:
        ceiling = self._patience.backoff_base * 2 ** (state.attempt_number - 1)
        return random.uniform(0, min(self._patience.backoff_cap, ceiling)) + self._owed(_error(state))

    def _before_sleep(self, state: RetryCallState) -> None:
        self._tell(_error(state), state.attempt_number)


def _error(state: RetryCallState) -> Retryable:
    error = state.outcome.exception() if state.outcome is not None else None
    if not isinstance(error, Retryable):
        raise TypeError("only Retryable errors are tried again")
    return error
