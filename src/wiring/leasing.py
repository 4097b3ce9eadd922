"""The book of budgets that all processes of an address share, for those who ask the venue outside the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ..adapters.rate_limiter import MINUTE, Budgets
from ..adapters.rate_limiter.book import LeaseAsk
from ..adapters.timescale.rate_limits import RateLimitBook
from ..config import Settings
from ..errors import Permanent, Retryable
from ..ports import Clock
from ..telemetry.log import new_run_id
from ..telemetry.metrics import Metrics
from .options import database_options, egress

_PATIENCE_S = 5.0
"""Wall seconds in which the book must answer a command that can do without it."""


@asynccontextmanager
async def leasing(budgets: Budgets) -> AsyncIterator[None]:
    """While it is entered the budgets are leased from the book that all processes share; nothing is asked without."""
    task = asyncio.create_task(budgets.run(), name="budgets")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def budgets_at_hand(settings: Settings, clock: Clock, metrics: Metrics) -> tuple[Budgets, str]:
    """The shared budgets where a database is configured and its book answers, else budgets that this process counts by
    itself, with the reason; that is empty where they are shared or no database is configured."""
    limit = settings.rate_limit_per_minute
    if settings.database_url is None:
        return Budgets(clock, metrics, fapi_limit=limit), ""
    book = RateLimitBook(database_options(settings, new_run_id(), "limits"), egress(settings), metrics)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            # Asks for nothing and books nothing; the first real question would wait a minute for a book that is away.
            await book.lease(LeaseAsk("fapi", MINUTE.slot(clock.now()), MINUTE.slots, limit))
    except (Retryable, Permanent, TimeoutError) as error:
        await book.close()
        return Budgets(clock, metrics, fapi_limit=limit), str(error) or "the database does not answer"
    return Budgets(clock, metrics, fapi_limit=limit, book=book), ""
