"""The venue's request budgets: one ``RateLimiter`` each, ``Budgets`` for all of a process, leases between processes."""

from __future__ import annotations

from .budgets import Budgets
from .limiter import VENUE_SHARE, Budget, RateLimiter
from .queues import AGED_S, AGEING_S, SHARES
from .windows import FIVE_MINUTES, MINUTE, Window

__all__ = [
    "AGED_S",
    "AGEING_S",
    "FIVE_MINUTES",
    "MINUTE",
    "SHARES",
    "VENUE_SHARE",
    "Budget",
    "Budgets",
    "RateLimiter",
    "Window",
]
