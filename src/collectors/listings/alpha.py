"""Keeps the list of Binance Alpha tokens: read every 6 h, the last good one stays when the venue gives none."""

from __future__ import annotations

import asyncio

from ...errors import MarketdError, Permanent, Retryable
from ...ports import Clock
from ...ports.metrics import AlphaSink, AlphaSource
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ..backoff import Backoff

_log = get_logger("alpha")

REFRESH_S = 6 * 3600.0
"""Venue seconds between two good readings."""
_BASE_S, _CAP_S = 30.0, 1800.0


class AlphaKeeper:
    """Refreshes the list at start and every 6 h; after a failure again in 30 s .. 30 min. Never ends the daemon."""

    def __init__(
        self,
        source: AlphaSource,
        sink: AlphaSink,
        clock: Clock,
        metrics: Metrics,
        *,
        ready: asyncio.Event | None = None,
    ) -> None:
        self._source = source
        self._sink = sink
        self._clock = clock
        self._metrics = metrics
        self._ready = ready
        self._backoff = Backoff(_BASE_S, _CAP_S)
        metrics.alpha_last_refresh.set(0)

    async def run(self) -> None:
        """Until cancelled."""
        if self._ready:
            await self._ready.wait()
        while True:
            if await self.refresh():
                self._backoff.reset()
                await self._clock.sleep(REFRESH_S)
            else:
                await self._clock.sleep(self._backoff.next())

    async def refresh(self) -> bool:
        """Read and keep the list once; false when the last good one stays."""
        try:
            tokens = await self._source.tokens()
            added, gone = await self._sink.refresh(tokens)
        except (Retryable, Permanent) as error:
            self._failed(error, error.reason)
            return False
        self._metrics.alpha_refreshes.labels("ok").inc()
        self._metrics.alpha_tokens.set(len(tokens))
        self._metrics.alpha_last_refresh.set(self._clock.now())
        _log.info("alpha_refreshed", msg=f"{len(tokens)} Alpha tokens", added=added, gone=gone)
        return True

    def _failed(self, error: MarketdError, reason: str) -> None:
        self._metrics.alpha_refreshes.labels("failed").inc()
        _log.warning("alpha_refresh_failed", msg=f"the last good list stays: {error}", reason=reason)
