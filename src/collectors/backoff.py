"""How long to wait before trying again: full jitter, capped, told when things went well."""

from __future__ import annotations

from random import Random


class Backoff:
    """Waits drawn from [0, min(cap, base x 2^n)] wall seconds; ``reset`` starts over.

    Full jitter spreads many clients that failed at the same moment; a floor of a tenth of ``base`` keeps an
    unlucky draw from becoming a busy loop.
    """

    def __init__(self, base: float, cap: float, rng: Random | None = None) -> None:
        self._base = base
        self._cap = cap
        self._rng = rng or Random()
        self._failures = 0

    @property
    def failures(self) -> int:
        """Waits drawn since the last reset."""
        return self._failures

    def next(self) -> float:
        # The exponent is bounded: 2^64 seconds is no different from the cap, and no float overflows.
        ceiling = min(self._cap, self._base * 2 ** min(self._failures, 64))
        self._failures += 1
        return max(self._rng.uniform(0, ceiling), self._base / 10)

    def reset(self) -> None:
        self._failures = 0
