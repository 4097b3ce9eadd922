"""How often and how soon: pure, told the time and the dice."""

from __future__ import annotations

from collections import deque
from random import Random

_LONG_REASONS = frozenset({"policy", "handshake_403", "handshake_429", "handshake_451"})
"""The venue told us to go away: asking again soon makes it worse."""
_FLOOR_S = 1.0
_LONG_FLOOR_S = 10.0


class SlidingWindow:
    """At most ``limit`` events in any ``seconds``; the caller says what a second is."""

    def __init__(self, limit: int, seconds: float) -> None:
        self._seconds = seconds
        self._taken: deque[float] = deque(maxlen=limit)

    def delay(self, now: float) -> float:
        """Seconds until the next event is allowed, 0 if it is now."""
        if len(self._taken) < (self._taken.maxlen or 0):
            return 0.0
        return max(self._taken[0] + self._seconds - now, 0.0)

    def take(self, now: float) -> None:
        """An event happens now; the oldest one is forgotten."""
        self._taken.append(now)


class ReconnectBackoff:
    """Full jitter between a floor and twice the last ceiling, capped; ``reset`` when data came.

    The floor is a second, ten when the venue refused us by rule: a draw of nearly zero would be a busy loop.
    """

    def __init__(self, base_s: float, cap_s: float, rng: Random) -> None:
        self._base = base_s
        self._cap = cap_s
        self._rng = rng
        self._failures = 0

    def next(self, reason: str) -> float:
        """Venue seconds to wait after a connection that ended with ``reason``."""
        ceiling = min(self._cap, self._base * 2.0 ** min(self._failures, 30))
        self._failures += 1
        floor = _FLOOR_S
        if reason in _LONG_REASONS:
            floor, ceiling = _LONG_FLOOR_S, self._cap
        return self._rng.uniform(min(floor, self._cap), max(ceiling, min(floor, self._cap)))

    def reset(self) -> None:
        self._failures = 0
