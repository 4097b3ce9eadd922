"""What the daemon's own filling is going to cost, said once before it begins."""

from __future__ import annotations

from ...telemetry.log import get_logger
from .campaign import Campaign
from .days import day_of
from .estimate import add_up, estimate
from .scope import Scope

_log = get_logger("patrol")


class Announcement:
    """``tell`` logs rows, bytes, weight and time of a scope; from listing on that may be half a terabyte.

    ``weight_per_minute`` and ``workers`` are what the filling may use.
    """

    def __init__(self, campaign: Campaign, *, weight_per_minute: int, workers: int) -> None:
        self._campaign = campaign
        self._budget = {"weight_per_minute": weight_per_minute, "workers": workers}

    async def tell(self, scope: Scope) -> None:
        """Plan and say it; nothing is asked of the venue. Raises ``Retryable`` or ``Misconfigured``."""
        costs = [estimate([plan], **self._budget) async for plan in self._campaign.plan(scope)]
        cost = add_up(costs, **self._budget)
        _log.info(
            "filling_planned",
            msg=f"history since {day_of(scope.since_ms)}: {cost.rows:,} rows are missing",
            rows=cost.rows,
            files=cost.files,
            requests=cost.requests,
            weight=cost.weight,
            download_bytes=cost.download_bytes,
            stored_bytes=cost.stored_bytes,
            minutes=round(cost.seconds / 60),
            left=cost.left,
        )
