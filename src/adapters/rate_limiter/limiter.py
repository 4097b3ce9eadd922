"""One request budget of the venue, shared by everyone in the process and never overdrawn.

The venue counts per address, in minutes of its own clock or in a sliding window; so does this. What it says in
``X-MBX-USED-WEIGHT-1M`` corrects the count upward, so other programs on the address are seen as well. After a 429
or 418 nobody asks before the time given. Where a ``Lease`` is given, what other processes spend counts too; asking
the book is the keeper's work (``budgets``), so a permit never waits for the database while a lease lasts.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from ...errors import RateLimited
from ...ports import Clock, Priority
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import outside
from .book import LeaseAsk, LeaseGrant
from .lease import BLOCKS, START_PATIENCE_S, Book, Lease
from .queues import SHARES, Queues, Waiter
from .windows import MINUTE, Spending, Window

# We take this part of what the venue allows, the rest is for other programs on the address.
VENUE_SHARE = 0.75
# The longest ban the venue knows; a longer word is not the venue's.
MAX_PAUSE_S = 3 * 86_400.0

# How often waiters look again, so that a corrected clock or limit is seen, in wall seconds.
_LOOK_AGAIN_S = 5.0

log = get_logger("limiter")


@dataclass(frozen=True, slots=True)
class Budget:
    """One look at a budget. ``ban_until`` is venue epoch seconds, 0 when free."""

    limit: int
    used: int
    in_flight: int
    waiting: int
    ban_until: float


class RateLimiter:
    """Hands out permits of a weight; a smaller ``Priority`` goes first, a low one waits but never for ever.

    ``limit`` is weight per ``window``, ``max_in_flight`` requests at once. A pause longer than ``patience`` venue
    seconds raises ``RateLimited`` instead of keeping the caller. ``on_pause`` is told the seconds of every pause
    that the venue asked for here. ``leased`` makes it share the budget with other processes. One event loop only.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        *,
        limit: int = 1800,
        max_in_flight: int = 64,
        patience: float = 90.0,
        name: str = "fapi",
        window: Window = MINUTE,
        leased: bool = False,
        counted: bool = True,
        on_pause: Callable[[float], None] = lambda _: None,
    ) -> None:
        if limit < 1 or max_in_flight < 1:
            raise ValueError("limit and max_in_flight must be at least 1")
        self.name = name
        self._clock, self._metrics = clock, metrics
        self._configured = self._limit = limit
        self._allowed = sys.maxsize  # until the venue names a limit
        self._max_in_flight = max_in_flight
        self._patience, self._on_pause = patience, on_pause
        self._queues = Queues()
        self._window = window
        self._spending = Spending(window, window.slot(clock.now()))
        self._lease = Lease(self._spending) if leased else None
        self._lease_wanted = asyncio.Event()
        self._in_flight = self._in_flight_weight = 0
        # On the monotonic scale: a clock that is set meanwhile, by hours at the start, makes no ban longer or shorter.
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._export(counted)

    def _export(self, counted: bool) -> None:
        metrics, name = self._metrics, self.name
        metrics.rate_limit_used.labels(name).set_function(lambda: self.view().used)
        if counted:  # else a share of the limit would be of a number that nobody set
            metrics.rate_limit_allowed.labels(name).set_function(lambda: self._limit)
        metrics.rate_limit_ban_until.labels(name).set_function(lambda: self.view().ban_until)
        metrics.rate_limit_shared.labels(name).set_function(lambda: float(self.is_shared))
        for priority in Priority:
            gauge = metrics.rate_limit_waiting.labels(name, priority.name.lower())
            gauge.set_function(partial(self._queues.waiting, priority))

    @property
    def is_shared(self) -> bool:
        """True while what is spent was leased from the book of all processes."""
        return self._lease is not None and self._lease.book is Book.SHARED

    def view(self) -> Budget:
        self._roll()
        left = self._pause_left()
        ban_until = self._clock.now() + left if left > 0 else 0.0
        return Budget(self._limit, self._used(), self._in_flight, len(self._queues), ban_until)

    @asynccontextmanager
    async def permit(self, weight: int, priority: Priority) -> AsyncIterator[None]:
        """Wait for ``weight`` units; the request is in flight inside the block.

        Raises ``RateLimited`` while the address is banned for longer than ``patience``.
        """
        await self._acquire(weight, priority)
        try:
            yield
        finally:
            self._in_flight -= 1
            # What is charged to the slot where the answer came counts until that slot has left the window.
            self._roll()
            self._in_flight_weight -= weight
            self._dispatch()

    async def _acquire(self, weight: int, priority: Priority) -> None:
        if not 0 < weight <= self._configured:
            raise ValueError(f"weight must be 1 to {self._configured}, was {weight}")
        self._refuse_long_pause()
        waiter = Waiter(weight, priority, self._clock.monotonic())
        if self._lease is not None:
            self._lease.begin_waiting(waiter.since, START_PATIENCE_S * self._clock.speed)
        self._queues.add(waiter)
        self._dispatch()
        try:
            with outside("the venue's budget"):
                await waiter.future
        except BaseException:
            self._give_back(waiter)
            raise

    def _give_back(self, waiter: Waiter) -> None:
        """Cancelled or refused while waiting, perhaps as the permit came; nothing was sent."""
        if waiter.is_served:
            self._in_flight -= 1
            self._in_flight_weight -= waiter.weight
            self._spending.refund(waiter.weight, in_flight=self._in_flight_weight)
        else:
            self._queues.discard(waiter)
        self._dispatch()

    def observe(self, used: int, *, age: float) -> None:
        """Adopt the venue's own count, told in the answer to a request sent ``age`` venue seconds ago.

        Upward only: requests still on their way are not in the venue's count. An answer that comes after the
        minute's end tells of either minute, so it is left out; such a request is charged to both anyway.
        """
        self._roll()
        if self._window.slot(self._clock.now() - age) == self._spending.slot:
            self._spending.foreign = max(self._spending.foreign, used - self._spending.own)

    def pause(self, seconds: float) -> None:
        """Nobody asks for ``seconds`` of venue time; a shorter pause never ends a longer one."""
        bounded = min(max(seconds, 0.0), MAX_PAUSE_S)
        if self.hold(bounded):
            log.warning(
                "rest_paused",
                msg="the venue told everyone to wait",
                budget=self.name,
                seconds=round(bounded, 1),
            )
            self._on_pause(bounded)

    def hold(self, seconds: float) -> bool:
        """The same without telling anybody; False if a longer pause is in force."""
        until = self._clock.monotonic() + seconds
        if until <= self._paused_until:
            return False
        self._paused_until = until
        if seconds > self._patience:
            self._queues.refuse(seconds)
        self._dispatch()
        return True

    def configure(self, limit: int) -> None:
        """What is configured now, within the limit that the venue named last."""
        if limit < 1:
            raise ValueError("limit must be at least 1")
        self._configured = limit
        self._adopt_limit()

    def adopt_venue_limit(self, venue_limit: int) -> None:
        """Follow a limit that the venue lowered; never above what was configured."""
        self._allowed = max(1, int(venue_limit * VENUE_SHARE))
        self._adopt_limit()

    def _adopt_limit(self) -> None:
        self._limit = min(self._configured, self._allowed)
        if self._lease is not None:
            self._lease.forget_refusals()
        self._dispatch()

    # --- the lease: what the keeper asks the book for ---------------------------------------------------------

    async def lease_wanted(self) -> None:
        """Return when something may have to be asked of the book: at the latest when the next slot begins."""
        left = (self._spending.slot + 1) * self._window.slot_s - self._clock.now()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._clock.wall(left, at_least=0.001), _LOOK_AGAIN_S)):
                await self._lease_wanted.wait()
        self._lease_wanted.clear()

    def lease_ask(self) -> LeaseAsk | None:
        """What to ask the book now, or None: a block for those who wait, or for those who come again soon."""
        lease = self._lease
        if lease is None:
            return None
        self._roll()
        need, ceiling = self._lease_demand(lease)
        if not need and not lease.needs_report():
            return None
        want = min(max(need, self._block()), ceiling) if need else 0
        return lease.ask(self.name, limit=self._limit, ceiling=ceiling, want=max(want, need), need=need)

    def settle_lease(self, ask: LeaseAsk, grant: LeaseGrant) -> None:
        """The book answered ``ask``."""
        if self._lease is not None:
            self._roll()
            self._lease.settle(ask, grant)
            if grant.ban_s > 0:
                self.hold(min(grant.ban_s * self._clock.speed, MAX_PAUSE_S))
            self._dispatch()

    def lose_lease(self) -> None:
        """The book does not answer: what is leased is still ours, then a tenth until it does."""
        if self._lease is not None:
            self._lease.lose()
            self._dispatch()

    def _block(self) -> int:
        return max(1, self._limit // BLOCKS)

    def _lease_demand(self, lease: Lease) -> tuple[int, int]:
        """(least weight that is of use, what the window may hold with it); (0, 0) if nothing is wanted."""
        used, now = self._used(), self._clock.monotonic()
        wishes = [(head.weight, self._limit * head.share(now)) for head in self._queues.heads()] or [
            (1, self._limit * SHARES[priority]) for priority in self._queues.recent(now)
        ]
        fitting = [(need, int(most)) for need, most in wishes if used == 0 or used + need <= most]
        # Half a block more than those at the head need: the next block comes while this one is being spent.
        if not fitting or lease.free >= max(self._block() // 2, *(need for need, _ in fitting)):
            return 0, 0
        need, ceiling = min(need for need, _ in fitting), max(most for _, most in fitting)
        return (need, ceiling) if lease.may_get(ceiling) else (0, 0)

    # --- who is served ----------------------------------------------------------------------------------------

    def _refuse_long_pause(self) -> None:
        left = self._pause_left()
        if left > self._patience:
            raise RateLimited(f"no request for {left:.0f} s more", reason="banned", retry_after=left)

    def _pause_left(self) -> float:
        """Venue seconds; 0 or less when there is no pause."""
        return self._paused_until - self._clock.monotonic()

    def _roll(self) -> None:
        """Go on to the present slot. A clock set back keeps the count, which is safe."""
        slot = self._window.slot(self._clock.now())
        if slot != self._spending.slot:
            if self._lease is not None:
                self._lease.roll(slot, in_flight=self._in_flight_weight)
            self._spending.roll(slot, in_flight=self._in_flight_weight)

    def _used(self) -> int:
        others = 0 if self._lease is None else self._lease.others
        return self._spending.own + max(others, self._spending.foreign)

    def _fits(self, waiter: Waiter) -> bool:
        used = self._used()
        allowance = self._limit * waiter.share(self._clock.monotonic())
        slots = self._max_in_flight * SHARES[waiter.priority]
        # A whole unused window takes any request, or a limit below one weight would hold it for ever.
        has_weight = used == 0 or used + waiter.weight <= allowance
        has_slot = self._in_flight == 0 or self._in_flight + 1 <= slots
        return has_weight and has_slot and self._is_covered(waiter)

    def _is_covered(self, waiter: Waiter) -> bool:
        if self._lease is None:
            return True
        return self._lease.covers(waiter.weight, limit=self._limit, monotonic=self._clock.monotonic())

    def _dispatch(self) -> None:
        self._roll()
        if self._pause_left() <= 0:
            while (waiter := self._queues.take(self._fits)) is not None:
                if waiter.future.done():
                    continue
                self._spending.charge(waiter.weight)
                self._in_flight += 1
                self._in_flight_weight += waiter.weight
                waiter.future.set_result(None)
        if self._lease is not None and self._lease_demand(self._lease)[0]:
            self._lease_wanted.set()
        self._arm()

    def _arm(self) -> None:
        """Wake at the next slot or the end of the pause; no timer is left behind without a waiter."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if len(self._queues):
            left = self._pause_left()
            if left <= 0:
                left = (self._spending.slot + 1) * self._window.slot_s - self._clock.now()
            delay = min(self._clock.wall(left, at_least=0.001), _LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(delay, self._dispatch)
