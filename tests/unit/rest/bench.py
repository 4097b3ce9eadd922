"""A ``BinanceRest`` that asks a server which says exactly what the test wants."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from src.adapters.binance.rest.client import BinanceRest, RestOptions
from src.adapters.rate_limiter import RateLimiter
from src.clock import VenueClock
from src.model import MINUTE_MS
from src.ports import Priority
from src.telemetry.metrics import Metrics
from tests.support.raw_http import RawHttp, Say, raw_http

SYMBOL = "币安人生USDT"
# In the middle of a minute: within half a second of its end the newest closed row is not taken yet.
START = time.time() // 60 * 60 + 20
OPTIONS = RestOptions(timeout=60.0, attempts=3, backoff_base=0.01, backoff_cap=0.02)


def row(open_ms: int, **changes: Any) -> list[Any]:
    values: dict[str, Any] = {"close": "1.5", "trades": 3} | changes
    return [
        open_ms, "1", "2", "0.5", values["close"], "10", open_ms + 59_999, "15", values["trades"], "5", "7", "0",
    ]  # fmt: skip


class Venue:
    """A server, and a ``BinanceRest`` that asks it."""

    def __init__(self, http: RawHttp, options: RestOptions, speed: float) -> None:
        self.http, self.clock, self.metrics = http, VenueClock(speed=speed, start=START), Metrics()
        self.limiter = RateLimiter(self.clock, self.metrics, patience=options.patience)
        self.rest = BinanceRest(options, self.limiter, self.clock, self.metrics)
        self.minute = self.clock.now_ms() // MINUTE_MS * MINUTE_MS

    async def candles(self, minutes: int = 3, *, priority: Priority = Priority.REPAIR) -> list[Any]:
        """The last whole minutes before the running one."""
        from_ms = self.minute - minutes * MINUTE_MS
        return await self.rest.candles(SYMBOL, from_ms, self.minute, priority=priority)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"marketd_{name}", labels) or 0.0


@asynccontextmanager
async def venue(
    *script: Say,
    always: Say | None = None,
    options: RestOptions = OPTIONS,
    speed: float = 1.0,
    path: str = "",
) -> AsyncIterator[Venue]:
    async with raw_http(*script, always=always) as http:
        it = Venue(http, replace(options, base_url=http.url + path), speed)
        await it.rest.open()
        try:
            yield it
        finally:
            await it.rest.close()
