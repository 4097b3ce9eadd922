"""What the limiter needs of the book that all processes share; both are adapters, so it is no port of the whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LeaseAsk:
    """A process asks for a part of a request budget that all processes of its address share.

    Weights are whole numbers. ``slot`` is the number of the budget's present slot on the venue's clock, ``slots`` how
    many make a window. ``debt`` was spent without a lease, ``returned`` is (slot, weight) leased and never spent.
    ``want`` is welcome, less than ``need`` of no use; together with what is in use it must stay under ``ceiling``.
    ``observed`` is the venue's own count in this slot, 0 where it tells none.
    """

    budget: str
    slot: int
    slots: int
    limit: int
    debt: int = 0
    want: int = 0
    need: int = 0
    ceiling: int = 0
    observed: int = 0
    returned: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class LeaseGrant:
    """The answer: the weight granted for the slot, what is in use in the window with it, wall seconds of ban left."""

    granted: int
    total: int
    ban_s: float = 0.0


class LeaseBook(Protocol):
    """The request budgets of one address, shared by all processes that use it.

    ``lease`` books what was spent and leases a part; ``ban`` makes every process of the address stop for ``seconds``
    (wall) in these budgets; both raise ``Retryable`` or ``Misconfigured``, and an answer that is lost costs budget,
    never a request too many. ``watch`` tells of every ban in force (budget, wall seconds left), at once and as they
    are announced, until cancelled or the book is lost.
    """

    async def lease(self, ask: LeaseAsk) -> LeaseGrant: ...

    async def ban(self, budgets: Sequence[str], seconds: float) -> None: ...

    async def watch(self, on_ban: Callable[[str, float], None]) -> None: ...

    async def close(self) -> None: ...
