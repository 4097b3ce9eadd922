"""What one process holds of a budget that all processes of the address share.

Weight is leased in blocks out of the shared book, for one slot at a time, and spent without asking again. What is
left of a slot goes back where that is of use; what a process that died had leased frees itself with the window.
"""

from __future__ import annotations

from enum import Enum

from .book import LeaseAsk, LeaseGrant
from .windows import Spending

BLOCKS = 10
"""A block is at most this part of the limit."""
ALONE_SHARE = 0.1
"""What part of a budget each process uses while the book cannot be asked."""
START_PATIENCE_S = 60.0
"""Wall seconds that the first requests wait for the book to be read."""


class Book(Enum):
    """How we stand with the shared book."""

    UNREAD = "unread"
    SHARED = "shared"
    LOST = "lost"


class Lease:
    """The lease of one budget. Weights are whole numbers; every answer is applied with ``settle`` or ``lose``."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending
        self.book = Book.UNREAD
        self.others = 0
        """Leased by other processes in this window, as far as told."""
        self._leased = 0
        self._owed = 0
        self._returned: dict[int, int] = {}
        self._refused = -1
        self._asked_owed = 0
        self._alone_at: float | None = None

    @property
    def free(self) -> int:
        """Leased and not spent in the present slot."""
        return max(0, self._leased - self._spending.here)

    @property
    def debt(self) -> int:
        """Spent without a lease, not yet told to the book."""
        return self._owed + max(0, self._spending.here - self._leased)

    def begin_waiting(self, monotonic: float, patience: float) -> None:
        """Somebody asks for the first time: from now on the patience with an unread book runs."""
        if self._alone_at is None:
            self._alone_at = monotonic + patience

    def is_alone(self, monotonic: float) -> bool:
        """True while we go by our own count, because the book cannot be asked."""
        if self.book is Book.UNREAD:
            return self._alone_at is not None and monotonic >= self._alone_at
        return self.book is Book.LOST

    def covers(self, weight: int, *, limit: int, monotonic: float) -> bool:
        """True if ``weight`` may be spent now as far as other processes are concerned."""
        if self._spending.here + weight <= self._leased:
            return True
        own = self._spending.own
        return self.is_alone(monotonic) and (own == 0 or own + weight <= limit * ALONE_SHARE)

    def may_get(self, ceiling: int) -> bool:
        """False if the book has said in this slot that there is nothing under ``ceiling``."""
        return ceiling > self._refused

    def needs_report(self) -> bool:
        return self.book is not Book.SHARED or self.debt > 0 or bool(self._returned)

    def forget_refusals(self) -> None:
        self._refused = -1

    def ask(self, budget: str, *, limit: int, ceiling: int, want: int, need: int) -> LeaseAsk:
        """What to ask the book. Returns are given once only: if the answer is lost, the weight lapses unused."""
        returned, self._returned = tuple(self._returned.items()), {}
        self._asked_owed = self._owed
        spending = self._spending
        observed = spending.own + spending.foreign if spending.foreign else 0
        return LeaseAsk(
            budget=budget,
            slot=spending.slot,
            slots=spending.window.slots,
            limit=limit,
            debt=self.debt,
            want=want,
            need=need,
            ceiling=ceiling,
            observed=observed,
            returned=returned,
        )

    def settle(self, ask: LeaseAsk, grant: LeaseGrant) -> None:
        """The book answered; by then the slot may be another one."""
        self.book = Book.SHARED
        spending = self._spending
        self._owed -= self._asked_owed
        covered = ask.debt - self._asked_owed + grant.granted
        if ask.slot == spending.slot:
            self._leased += covered
            self.others = max(0, grant.total - self._leased - (spending.own - spending.here))
            if ask.want and not grant.granted:
                self._refused = max(self._refused, ask.ceiling)
        elif spending.window.slides and covered:
            self._returned[ask.slot] = self._returned.get(ask.slot, 0) + covered

    def lose(self) -> None:
        """The book cannot be asked; one that was never read keeps its patience."""
        if self.book is Book.SHARED:
            self.book = Book.LOST

    def roll(self, slot: int, *, in_flight: int) -> None:
        """To be called just before the spending goes on to ``slot``."""
        spending = self._spending
        if spending.window.slides and slot > spending.slot:
            spent = spending.here - in_flight
            self._owed += max(0, spent - self._leased)
            if self._leased > spent:
                self._returned[spending.slot] = self._leased - spent
            first = slot - spending.window.slots + 1
            self._returned = {old: weight for old, weight in self._returned.items() if old >= first}
        self._leased = self.others = 0
        self._refused = -1
