"""Fills what people ask for while the daemon runs: ``marketd backfill`` hands its request over and follows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ...errors import MarketdError, Misconfigured, Retryable
from ...model import BackfillRequest
from ...ports import BackfillRequests, Clock, Priority
from ...telemetry.log import get_logger
from ...telemetry.pulse import aside
from ..backoff import Backoff
from ..listings.selection import Selection
from .campaign import Campaign, Result
from .plan import Source
from .progress import Progress
from .scope import Scope

_log = get_logger("backfill")

_POLL_S = 2.0
"""Wall seconds between two looks for requests."""
_TELL_S = 1.0
"""Wall seconds between two words about how far it is."""


class RequestServer:
    """Takes requests one by one. The patrol gives way to them.

    ``floor(now_ms)`` is the first instant that retention keeps: a request that reaches further back is cut there.
    """

    def __init__(
        self,
        requests: BackfillRequests,
        campaign: Campaign,
        selection: Selection,
        clock: Clock,
        *,
        floor: Callable[[int], int] = lambda _: 0,
        ready: asyncio.Event | None = None,
    ) -> None:
        self._requests = requests
        self._campaign = campaign
        self._selection = selection
        self._clock = clock
        self._floor = floor
        self._ready = ready
        self._backoff = Backoff(1.0, 30.0)

    async def run(self) -> None:
        """Serve until cancelled; a request that was not finished then is begun again by the next daemon."""
        if self._ready:
            await self._ready.wait()
        while True:
            try:
                request = await self._requests.take()
                if request is None:
                    await asyncio.sleep(_POLL_S)
                else:
                    await self.serve(request)
                self._backoff.reset()
            except (Retryable, Misconfigured) as error:
                delay = max(self._backoff.next(), getattr(error, "retry_after", 0.0))
                _log.warning("requests_unreadable", msg=str(error), reason=error.reason)
                await asyncio.sleep(delay)

    async def serve(self, request: BackfillRequest) -> None:
        """Fill what one request asks for, and say how it ended."""
        _log.info("backfill_begins", msg=f"request {request.id}", request=request.id, source=request.source)
        progress = Progress()
        try:
            async with self._telling(request, progress) as unwanted:
                scope = self._scope(request)
                result = await self._campaign.run(scope, progress, stop=unwanted.is_set, persistent=True)
            state, detail = _ending(result)
        except Retryable:
            raise
        except MarketdError as error:
            state, detail = "failed", str(error)
        await self._requests.finish(request, state, detail, progress.as_dict())
        _log.info("backfill_ended", msg=detail, request=request.id, state=state)

    def _scope(self, request: BackfillRequest) -> Scope:
        return Scope(
            self._selection,
            max(request.since_ms, self._floor(self._clock.now_ms())),
            request.until_ms,
            only=request.symbols,
            source=Source(request.source),
            force=request.force,
            keep=request.keep,
            priority=Priority.HISTORY,
        )

    @asynccontextmanager
    async def _telling(self, request: BackfillRequest, progress: Progress) -> AsyncIterator[asyncio.Event]:
        """Tells how far it is while it works; the event is set when the request is no longer wanted."""
        unwanted = asyncio.Event()

        async def tell() -> None:
            while True:
                try:
                    if not await self._requests.tell(request, progress.as_dict()):
                        unwanted.set()
                except Retryable as error:
                    _log.info("progress_untold", msg=str(error), reason=error.reason)
                await asyncio.sleep(_TELL_S)

        with aside():  # it would go on for ever beside a filling that hangs
            teller = asyncio.create_task(tell(), name="backfill progress")
        try:
            yield unwanted
        finally:
            teller.cancel()
            await asyncio.wait({teller})


def _ending(result: Result) -> tuple[str, str]:
    if result.stopped:
        return "cancelled", "ended as asked; the same command goes on where it stopped"
    if result.trouble == "disk_low":
        return "failed", "less than 10 % of the disk is free; make room, then ask again"
    if result.left:
        return "done", f"{result.left} minutes cannot be had now: no source has them, or not yet"
    return "done", "complete"
