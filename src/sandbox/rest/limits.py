"""The address's budgets: weight per UTC minute, requests per sliding five minutes; 429 when spent, 418 for going on."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass

from ..clock import SandboxClock
from ..faults import Faults
from ..market.candles import MINUTE_MS
from ..stats import Stats

PATIENCE = 20
"""Requests over the limit within one minute that are still answered 429; the next one is a ban."""
FIRST_BAN_MS = 120_000
LONGEST_BAN_MS = 3 * 86_400_000
"""The real host bans for two minutes to three days, longer each time."""

WINDOW_MS = 300_000
FUTURES_DATA_REQUESTS = 1000
"""Per sliding five minutes, shared by the five endpoints of ``/futures/data``."""
SPOT_WEIGHT = 6000
"""Per UTC minute, of the spot host."""
FUNDING_REQUESTS = 500
"""Per sliding five minutes, shared by ``fundingRate`` and ``fundingInfo``."""

OVER_REQUESTS = "Too many requests; current limit is {limit} requests per 5 minutes."
OVER = (
    "Too many requests; current limit is {limit} requests per minute."
    " Please use the websocket for live updates to avoid polling the API."
)
BANNED = (
    "Way too many requests; IP(127.0.0.1) banned until {until}."
    " Please use the websocket for live updates to avoid bans."
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer instead of data. ``retry_after`` is the header's text, None leaves it out."""

    status: int
    text: str
    retry_after: str | None


class Budget:
    """One address's weight. Requests that are refused cost their weight too, as measured on the real host."""

    def __init__(self, clock: SandboxClock, stats: Stats, faults: Faults, limit: int) -> None:
        self.limit = limit
        self._clock, self._stats, self._faults = clock, stats, faults
        self._over: Counter[int] = Counter()
        self._bans = 0
        self._banned_until_ms = 0
        self._ordered: tuple[int, int, str | None] | None = None
        """A fault: (status, until ms, Retry-After)."""
        self._coming: tuple[int, int] | None = None
        """Another limit: (from ms, weight)."""

    @property
    def used(self) -> int:
        """Weight used in the running minute: the header ``X-MBX-USED-WEIGHT-1M``."""
        return self._stats.weight[self._clock.now_ms() // MINUTE_MS]

    def spend(self, weight: int) -> None:
        """Use weight up, as another process behind the same address would."""
        self._stats.weight[self._clock.now_ms() // MINUTE_MS] += weight
        if len(self._stats.weight) > 4_000:
            del self._stats.weight[min(self._stats.weight)]

    def charge(self, weight: int) -> Refusal | None:
        """Charge a request; the refusal to send instead of its answer, or None."""
        now = self._clock.now_ms()
        if (refusal := self.standing(now)) is not None:
            return refusal
        self.spend(weight)
        if self._coming is not None and now >= self._coming[0]:
            self.limit, self._coming = self._coming[1], None
        if self.used <= self.limit:
            return None
        minute = now // MINUTE_MS
        self._over[minute] += 1
        if self._over[minute] > PATIENCE:
            self._over.clear()
            return self.ban(now)
        left_s = MINUTE_MS - now % MINUTE_MS
        return Refusal(429, OVER.format(limit=self.limit), str(-(-left_s // 1000)))

    def refuse(self, status: int, until_ms: int, retry_after: str | None) -> None:
        """A fault: answer everything with 429 or 418 until a time."""
        self._ordered = (status, until_ms, retry_after)

    def change_limit(self, limit: int, from_ms: int) -> None:
        """Weight a minute from then on."""
        self._coming = (from_ms, limit)

    def forgive(self) -> None:
        """Lift bans and ordered refusals."""
        self._ordered = None
        self._banned_until_ms = 0

    def ban(self, now: int) -> Refusal:
        """Ban the address, longer each time, whichever of its budgets it went over."""
        self._banned_until_ms = now + min(FIRST_BAN_MS << self._bans, LONGEST_BAN_MS)
        self._bans += 1
        return self._ban(now, self._banned_until_ms)

    def standing(self, now: int) -> Refusal | None:
        """The refusal that everything meets: a ban, or a fault."""
        if self._ordered is not None and now < self._ordered[1]:
            status, until_ms, retry_after = self._ordered
            self._faults.count("ban" if status == 418 else "too_many")
            text = BANNED.format(until=until_ms) if status == 418 else OVER.format(limit=self.limit)
            return Refusal(status, text, retry_after)
        if now < self._banned_until_ms:
            return self._ban(now, self._banned_until_ms)
        return None

    def _ban(self, now: int, until_ms: int) -> Refusal:
        return Refusal(418, BANNED.format(until=until_ms), str(-(-(until_ms - now) // 1000)))


class SlidingBudget:
    """Requests in the last five minutes, whatever they weigh; no header tells how many there were."""

    def __init__(self, clock: SandboxClock, address: Budget, limit: int) -> None:
        self._clock, self._address, self._limit = clock, address, limit
        self._taken: deque[int] = deque()
        self._over: deque[int] = deque()

    def charge(self) -> Refusal | None:
        """Charge a request; the refusal to send instead of its answer, or None. Refused ones do not count."""
        now = self._clock.now_ms()
        if (refusal := self._address.standing(now)) is not None:
            return refusal
        for times in (self._taken, self._over):
            while times and times[0] <= now - WINDOW_MS:
                times.popleft()
        if len(self._taken) < self._limit:
            self._taken.append(now)
            return None
        self._over.append(now)
        if len(self._over) > PATIENCE:
            self._over.clear()
            return self._address.ban(now)
        left_s = -(-(self._taken[0] + WINDOW_MS - now) // 1000)
        return Refusal(429, OVER_REQUESTS.format(limit=self._limit), str(left_s))


class Budgets:
    """Which budget a path is charged to."""

    def __init__(self, clock: SandboxClock, weight: Budget) -> None:
        self.weight = weight
        self._futures_data = SlidingBudget(clock, weight, FUTURES_DATA_REQUESTS)
        self._funding = SlidingBudget(clock, weight, FUNDING_REQUESTS)
        self._clock = clock
        self.spot_used: Counter[int] = Counter()

    def charge(self, path: str, weight: int) -> tuple[Refusal | None, int | None]:
        """Charge a request: the refusal or None, and the weight used where the answer's header tells it."""
        if path.startswith("/futures/data/"):
            return self._futures_data.charge(), None
        if path.startswith("/fapi/v1/funding"):
            return self._funding.charge(), None
        if path.startswith("/api/"):
            return self._charge_spot(weight)
        if not path.startswith("/fapi/"):  # another host
            return None, None
        refusal = self.weight.charge(weight)
        return refusal, self.weight.used

    def _charge_spot(self, weight: int) -> tuple[Refusal | None, int]:
        now = self._clock.now_ms()
        minute = now // MINUTE_MS
        self.spot_used[minute] += weight
        if self.spot_used[minute] <= SPOT_WEIGHT:
            return None, self.spot_used[minute]
        left_s = -(-(MINUTE_MS - now % MINUTE_MS) // 1000)
        return Refusal(429, OVER.format(limit=SPOT_WEIGHT), str(left_s)), self.spot_used[minute]
