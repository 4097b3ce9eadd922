"""The venue's request budget, shared by everyone in the process and never overdrawn.

The venue counts weight per address in minutes of its own clock that begin at :00; so does this. What it says
in ``X-MBX-USED-WEIGHT-1M`` corrects the count upward, so other programs on the address are seen as well.
After a 429 or 418 nobody asks before the time given.

Only the allowance of a window is decided here, in ``_allowance``: leases per egress address out of the table
``rate_limit_state`` (the next step) will replace its return value and extend ``pause`` by the announced bans,
and nothing else of this file.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..errors import RateLimited
from ..ports import Clock, Priority
from ..telemetry.log import get_logger
from ..telemetry.metrics import Metrics

WINDOW_S = 60

# What part of a window each priority may fill, so that the roll call of the coming minute end finds budget
# however much history is being read. Worst case of the roll call: 740 symbols twice of 1800.
SHARES = {
    Priority.ROLL_CALL: 1.0,
    Priority.METRICS: 0.95,
    Priority.REPAIR: 0.85,
    Priority.HISTORY: 0.7,
    Priority.VERIFY: 0.6,
}
# A waiter goes behind those of the next better priority that come within this time after it, not behind
# later ones: nobody is passed for ever.
AGEING_S = 60.0
# After so long a waiter may use the whole window, whatever its share.
AGED_S = 300.0

# We take this part of what the venue allows, the rest is for other programs on the address.
VENUE_SHARE = 0.75

# How often waiters look again, so that a corrected clock or limit is seen, in wall seconds.
_LOOK_AGAIN_S = 5.0

log = get_logger("limiter")


@dataclass(frozen=True, slots=True)
class Budget:
    """One look at the budget. ``ban_until`` is venue epoch seconds, 0 when free."""

    limit: int
    used: int
    in_flight: int
    waiting: int
    ban_until: float


class _Waiter:
    __slots__ = ("future", "priority", "since", "weight")

    def __init__(self, weight: int, priority: Priority, since: float) -> None:
        self.weight, self.priority, self.since = weight, priority, since
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class RateLimiter:
    """Hands out permits of a weight; a smaller ``Priority`` goes first, a low one waits but never for ever.

    ``limit`` is weight per venue minute, ``max_in_flight`` requests at once. A pause longer than ``patience``
    venue seconds raises ``RateLimited`` instead of keeping the caller. One event loop only.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        *,
        limit: int = 1800,
        max_in_flight: int = 64,
        patience: float = 90.0,
    ) -> None:
        if limit < 1 or max_in_flight < 1:
            raise ValueError("limit and max_in_flight must be at least 1")
        self._clock, self._metrics = clock, metrics
        self._configured = self._limit = limit
        self._max_in_flight = max_in_flight
        self._patience = patience
        self._queues: dict[Priority, deque[_Waiter]] = {priority: deque() for priority in Priority}
        self._window = self._window_now()
        self._own = self._foreign = 0
        self._in_flight = self._in_flight_weight = 0
        self._paused_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._export()

    def _export(self) -> None:
        self._metrics.rest_used_weight.set_function(lambda: self.view().used)
        self._metrics.rest_weight_limit.set_function(lambda: self._limit)
        self._metrics.rest_ban_until.set_function(lambda: self.view().ban_until)
        for priority, queue in self._queues.items():
            gauge = self._metrics.rest_waiting.labels(priority.name.lower())
            gauge.set_function(queue.__len__)

    def view(self) -> Budget:
        self._roll()
        waiting = sum(map(len, self._queues.values()))
        ban_until = self._paused_until if self._paused_until > self._clock.now() else 0.0
        return Budget(self._limit, self._own + self._foreign, self._in_flight, waiting, ban_until)

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
            self._in_flight_weight -= weight
            self._dispatch()

    async def _acquire(self, weight: int, priority: Priority) -> None:
        if not 0 < weight <= self._configured:
            raise ValueError(f"weight must be 1 to {self._configured}, was {weight}")
        self._refuse_long_pause()
        waiter = _Waiter(weight, priority, self._clock.monotonic())
        self._queues[priority].append(waiter)
        self._dispatch()
        try:
            await waiter.future
        except BaseException:
            self._give_back(waiter)
            raise

    def _give_back(self, waiter: _Waiter) -> None:
        """Cancelled or refused while waiting, perhaps as the permit came; nothing was sent."""
        future = waiter.future
        if future.done() and not future.cancelled() and future.exception() is None:
            self._in_flight -= 1
            self._in_flight_weight -= waiter.weight
            self._own = max(self._own - waiter.weight, self._in_flight_weight)
        elif waiter in self._queues[waiter.priority]:
            self._queues[waiter.priority].remove(waiter)
        self._dispatch()

    def observe(self, used: int, *, age: float) -> None:
        """Adopt the venue's own count, told in the answer to a request sent ``age`` venue seconds ago.

        Upward only: requests still on their way are not in the venue's count. An answer that comes after the
        minute's end tells of either minute, so it is left out; such a request is charged to both anyway.
        """
        self._roll()
        if int((self._clock.now() - age) // WINDOW_S) == self._window:
            self._foreign = max(self._foreign, used - self._own)

    def pause(self, seconds: float) -> None:
        """Nobody asks for ``seconds`` of venue time; a shorter pause never ends a longer one."""
        until = self._clock.now() + seconds
        if until <= self._paused_until:
            return
        self._paused_until = until
        log.warning("rest_paused", msg="the venue told everyone to wait", seconds=round(seconds, 1))
        if seconds > self._patience:
            self._refuse_waiters()
        self._dispatch()

    def adopt_venue_limit(self, venue_limit: int) -> None:
        """Follow a limit that the venue lowered; never above what was configured."""
        self._limit = max(1, min(self._configured, int(venue_limit * VENUE_SHARE)))
        self._dispatch()

    def _refuse_long_pause(self) -> None:
        left = self._paused_until - self._clock.now()
        if left > self._patience:
            raise RateLimited(f"no request for {left:.0f} s more", reason="banned", retry_after=left)

    def _refuse_waiters(self) -> None:
        left = self._paused_until - self._clock.now()
        for queue in self._queues.values():
            while queue:
                waiter = queue.popleft()
                if not waiter.future.done():
                    waiter.future.set_exception(
                        RateLimited(f"no request for {left:.0f} s", reason="banned", retry_after=left)
                    )

    def _window_now(self) -> int:
        return int(self._clock.now() // WINDOW_S)

    def _roll(self) -> None:
        """Begin a new minute: it owes what is in flight. A clock set back keeps the count, which is safe."""
        window = self._window_now()
        if window > self._window:
            self._own, self._foreign = self._in_flight_weight, 0
        self._window = window

    def _allowance(self, waiter: _Waiter) -> float:
        """How much of the present window may be spent once this waiter is served."""
        if self._clock.monotonic() - waiter.since >= AGED_S:
            return self._limit
        return self._limit * SHARES[waiter.priority]

    def _fits(self, waiter: _Waiter) -> bool:
        used = self._own + self._foreign
        slots = self._max_in_flight * SHARES[waiter.priority]
        # A whole unused window takes any request, or a limit below one weight would hold it for ever.
        has_weight = used == 0 or used + waiter.weight <= self._allowance(waiter)
        return has_weight and (self._in_flight == 0 or self._in_flight + 1 <= slots)

    def _next(self) -> _Waiter | None:
        """Of the first in each queue, the one that fits and is due first."""
        heads = [queue[0] for queue in self._queues.values() if queue]
        fitting = [waiter for waiter in heads if self._fits(waiter)]
        return min(fitting, key=lambda waiter: waiter.since + waiter.priority * AGEING_S, default=None)

    def _dispatch(self) -> None:
        self._roll()
        if self._clock.now() >= self._paused_until:
            while (waiter := self._next()) is not None:
                self._queues[waiter.priority].popleft()
                if waiter.future.done():
                    continue
                self._own += waiter.weight
                self._in_flight += 1
                self._in_flight_weight += waiter.weight
                waiter.future.set_result(None)
        self._arm()

    def _arm(self) -> None:
        """Wake at the next minute or the end of the pause; no timer is left behind without a waiter."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if any(self._queues.values()):
            now = self._clock.now()
            wake = self._paused_until if self._paused_until > now else (self._window + 1) * WINDOW_S
            delay = min(self._clock.wall(wake - now, at_least=0.001), _LOOK_AGAIN_S)
            self._timer = asyncio.get_running_loop().call_later(delay, self._dispatch)
