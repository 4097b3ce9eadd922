"""The request weight of an address: what a limiter must offer, and how it follows the venue's own count."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from ....errors import Retryable
from ....ports import Clock, Priority
from .errors import is_about_address
from .session import Pausable

_HEADER = "X-MBX-USED-WEIGHT-1M"

# A count of more digits is not the venue's.
_DIGITS = 8


class Budget(Pausable, Protocol):
    """The limiter of a host's weight."""

    def permit(self, weight: int, priority: Priority) -> AbstractAsyncContextManager[None]: ...

    def observe(self, used: int, *, age: float) -> None: ...


def follow(budget: Budget, clock: Clock) -> Callable[[Mapping[str, str], float], None]:
    """For ``RestSession``'s ``on_answer``: tell ``budget`` the venue's own count of weight, given with every answer."""

    def observe(headers: Mapping[str, str], seconds: float) -> None:
        used = headers.get(_HEADER, "")
        if used.isascii() and used.isdecimal() and len(used) < _DIGITS:
            budget.observe(int(used), age=seconds * clock.speed)

    return observe


def owed(error: Retryable) -> float:
    """Where the address is paused the limiter keeps the time, on the venue's clock; only the jitter is added."""
    return 0.0 if is_about_address(error) else error.retry_after
