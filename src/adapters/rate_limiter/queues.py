"""Who waits for a budget, and who of them is due first."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ...errors import RateLimited
from ...ports import Priority

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

# A priority that asked so lately finds a leased block ready when it asks again; venue seconds.
_RECENT_S = 180.0


class Waiter:
    """One who waits for ``weight``; ``future`` is done when the permit, or the refusal, has come."""

    __slots__ = ("future", "priority", "since", "weight")

    def __init__(self, weight: int, priority: Priority, since: float) -> None:
        self.weight, self.priority, self.since = weight, priority, since
        self.future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def is_served(self) -> bool:
        future = self.future
        return future.done() and not future.cancelled() and future.exception() is None

    def share(self, monotonic: float) -> float:
        """What part of the window may be spent once this one is served."""
        return 1.0 if monotonic - self.since >= AGED_S else SHARES[self.priority]


class Queues:
    """The waiters, a queue for each priority. Times are venue seconds on the monotonic scale of the clock."""

    def __init__(self) -> None:
        self._queues: dict[Priority, deque[Waiter]] = {priority: deque() for priority in Priority}
        self._last_asked: dict[Priority, float] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def waiting(self, priority: Priority) -> int:
        return len(self._queues[priority])

    def add(self, waiter: Waiter) -> None:
        self._last_asked[waiter.priority] = waiter.since
        self._queues[waiter.priority].append(waiter)

    def discard(self, waiter: Waiter) -> None:
        if waiter in self._queues[waiter.priority]:
            self._queues[waiter.priority].remove(waiter)

    def heads(self) -> list[Waiter]:
        """The first in each queue."""
        return [queue[0] for queue in self._queues.values() if queue]

    def recent(self, monotonic: float) -> list[Priority]:
        """The priorities that asked a short while ago and will probably ask again."""
        return [priority for priority, asked in self._last_asked.items() if monotonic - asked < _RECENT_S]

    def take(self, fits: Callable[[Waiter], bool]) -> Waiter | None:
        """Of the first in each queue the one that ``fits`` and is due first; it waits no longer."""
        fitting = [waiter for waiter in self.heads() if fits(waiter)]
        first = min(fitting, key=lambda waiter: waiter.since + waiter.priority * AGEING_S, default=None)
        if first is not None:
            self._queues[first.priority].popleft()
        return first

    def refuse(self, seconds: float) -> None:
        """Send everybody away with ``RateLimited``: there is nothing for ``seconds`` of venue time."""
        for queue in self._queues.values():
            while queue:
                waiter = queue.popleft()
                if not waiter.future.done():
                    waiter.future.set_exception(
                        RateLimited(f"no request for {seconds:.0f} s", reason="banned", retry_after=seconds)
                    )
