"""Every request budget of a process, and the keeper that leases them from the book all processes share."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from ...errors import MarketdError, Misconfigured, Permanent, Retryable
from ...ports import Clock
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from .book import LeaseBook
from .limiter import RateLimiter
from .windows import FIVE_MINUTES, MINUTE

FUTURES_DATA_LIMIT = 900
FUNDING_LIMIT = 450
SPOT_LIMIT = 3000
ARCHIVE_AT_ONCE = 8
_UNCOUNTED = 1_000_000
"""The archive counts nothing; only how many files are asked for at once is bounded."""

# An answer of the book that takes longer keeps nobody waiting: we go on as if it were lost. Wall seconds.
LATE_S = 1.0
_RETRY_S = (0.5, 10.0)

log = get_logger("limiter")


class Budgets:
    """The budgets by name; each is a ``RateLimiter``. ``fapi_limit`` is weight per venue minute.

    ``fapi``, ``futures_data`` and ``funding`` are of one host: a pause of one is a pause of all three. With a
    ``book`` they and ``spot`` are shared by all processes of the address, and ``run`` must run: without it the
    first requests wait a minute. Without a book each process counts for itself and ``run`` only waits.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        *,
        fapi_limit: int = 1800,
        book: LeaseBook | None = None,
        patience: float = 90.0,
    ) -> None:
        self._clock, self._metrics, self._book = clock, metrics, book
        make = partial(RateLimiter, clock, metrics, patience=patience)
        shared = partial(make, leased=book is not None)
        stop = self._stop_host
        self.fapi = shared(name="fapi", limit=fapi_limit, on_pause=stop)
        self.futures_data = shared(
            name="futures_data",
            limit=FUTURES_DATA_LIMIT,
            window=FIVE_MINUTES,
            max_in_flight=16,
            on_pause=stop,
        )
        self.funding = shared(
            name="funding", limit=FUNDING_LIMIT, window=FIVE_MINUTES, max_in_flight=8, on_pause=stop
        )
        self.spot = shared(name="spot", limit=SPOT_LIMIT, max_in_flight=16, on_pause=self._stop_spot)
        self.archive = make(
            name="archive", limit=_UNCOUNTED, max_in_flight=ARCHIVE_AT_ONCE, window=MINUTE, counted=False
        )
        self._shared = (self.fapi, self.futures_data, self.funding, self.spot)
        self._by_name = {limiter.name: limiter for limiter in self._shared}
        self._bans: dict[tuple[str, ...], float] = {}
        self._ban_told = asyncio.Event()
        self._is_lost = False

    async def run(self) -> None:
        """Lease what is needed, tell of bans and hear of them, until cancelled. Never fails for the book's sake."""
        book = self._book
        if book is None:
            await asyncio.Event().wait()
            return
        try:
            async with asyncio.TaskGroup() as tasks:
                for limiter in self._shared:
                    tasks.create_task(self._keep(limiter, book), name=f"lease {limiter.name}")
                tasks.create_task(self._watch(book), name="bans heard")
                tasks.create_task(self._announce(book), name="bans told")
        finally:
            await book.close()

    async def close(self) -> None:
        """Let go of the book; may be called without ``run`` and twice."""
        if self._book is not None:
            await self._book.close()

    async def _keep(self, limiter: RateLimiter, book: LeaseBook) -> None:
        failures = 0
        while True:
            ask = limiter.lease_ask()
            if ask is None:
                await limiter.lease_wanted()
                continue
            late = asyncio.get_running_loop().call_later(LATE_S, limiter.lose_lease)
            try:
                grant = await book.lease(ask)
            except MarketdError as error:
                limiter.lose_lease()
                self._metrics.rate_limit_leases.labels(limiter.name, "failed").inc()
                self._tell_lost(error)
                failures += 1
                await self._rest(failures)
                continue
            finally:
                late.cancel()
            failures = 0
            self._tell_found()
            result = "reported" if not ask.want else "granted" if grant.granted else "refused"
            self._metrics.rate_limit_leases.labels(limiter.name, result).inc()
            limiter.settle_lease(ask, grant)

    async def _watch(self, book: LeaseBook) -> None:
        async def once() -> None:
            await book.watch(self._hear)

        await self._for_ever(once)

    def _hear(self, budget: str, wall_seconds: float) -> None:
        limiter = self._by_name.get(budget)
        if limiter is not None and limiter.hold(wall_seconds * self._clock.speed):
            log.warning(
                "rest_pause_heard", msg="another process was told to wait", budget=budget,
                seconds=round(wall_seconds, 1),
            )  # fmt: skip

    async def _announce(self, book: LeaseBook) -> None:
        async def once() -> None:
            await self._ban_told.wait()
            self._ban_told.clear()
            for names, until in list(self._bans.items()):
                left = until - self._clock.monotonic()
                try:
                    if left > 0:
                        await book.ban(names, self._clock.wall(left))
                except BaseException:
                    self._ban_told.set()
                    raise
                if self._bans.get(names) == until:
                    del self._bans[names]

        await self._for_ever(once)

    async def _for_ever(self, once: Callable[[], Awaitable[None]]) -> None:
        failures, loop = 0, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await once()
                failures = 0
            except (Retryable, Permanent) as error:
                # What held for longer than any rest is lost anew, and is told of and tried again as the first time.
                failures = 1 if loop.time() - began > _RETRY_S[1] else failures + 1
                if failures == 1:
                    log.warning(
                        "rate_limits_unheard", msg=f"bans are not exchanged with other processes: {error}"
                    )
                await self._rest(failures)

    def _stop_host(self, seconds: float) -> None:
        self._stop((self.fapi, self.futures_data, self.funding), seconds)

    def _stop_spot(self, seconds: float) -> None:
        self._stop((self.spot,), seconds)

    def _stop(self, limiters: Sequence[RateLimiter], seconds: float) -> None:
        for limiter in limiters:
            limiter.hold(seconds)
        names = tuple(limiter.name for limiter in limiters)
        self._bans[names] = max(self._bans.get(names, 0.0), self._clock.monotonic() + seconds)
        self._ban_told.set()

    async def _rest(self, failures: int) -> None:
        first, longest = _RETRY_S
        await asyncio.sleep(random.uniform(0.5, 1.0) * min(longest, first * 2.0 ** min(failures, 10)))

    def _tell_lost(self, error: MarketdError) -> None:
        """Once for each time the book is lost."""
        if not self._is_lost:
            self._is_lost = True
            level = log.error if isinstance(error, Misconfigured) else log.warning
            level("rate_limits_alone", msg=f"a tenth of each budget until the shared book answers: {error}")

    def _tell_found(self) -> None:
        if self._is_lost:
            self._is_lost = False
            log.info("rate_limits_shared", msg="the shared book answers again")
