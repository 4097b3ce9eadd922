"""Sheds work before the kernel ends the process for want of memory: history first, then callers, then old rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum

from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics

_log = get_logger("memory")

_PERIOD_S = 1.0


class Load(Enum):
    """What is shed, the first one first."""

    HISTORY = "history"
    """No archive file is downloaded or imported."""
    API = "api"
    """Callers of the API are sent away with 503."""
    BUFFER = "buffer"
    """Candles that wait for the database take no more room than now; the oldest go, and are read back later."""


_FROM = {Load.HISTORY: 0.85, Load.API: 0.92, Load.BUFFER: 0.97}
_RELIEF = 0.05
"""So far below the bound what was shed comes back."""


class MemoryWatch:
    """Looks once a second at ``read``: the used share of the limit, None without one, and then nothing is ever shed."""

    def __init__(
        self, read: Callable[[], float | None], metrics: Metrics, *, period: float = _PERIOD_S
    ) -> None:
        self._read = read
        self._metrics = metrics
        self._period = period
        self._shed = dict.fromkeys(Load, False)
        self._told: list[tuple[Load, Callable[[bool], None]]] = []
        for load in Load:
            metrics.memory_shedding.labels(load=load.value).set(0)

    def tell(self, load: Load, change: Callable[[bool], None]) -> None:
        """Call ``change`` whenever ``load`` is shed (True) or comes back; it must not wait."""
        self._told.append((load, change))

    def sheds(self, load: Load) -> bool:
        return self._shed[load]

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(self._period)

    def look(self) -> None:
        """One look, and what follows from it."""
        share = self._read()
        self._metrics.memory_limit_used.set(share or 0.0)
        for load, bound in _FROM.items():
            shed = share is not None and share >= bound - (_RELIEF if self._shed[load] else 0.0)
            if shed != self._shed[load]:
                self._turn(load, shed, share)

    def _turn(self, load: Load, shed: bool, share: float | None) -> None:
        self._shed[load] = shed
        self._metrics.memory_shedding.labels(load=load.value).set(shed)
        used = "no limit" if share is None else f"{share:.0%} of the limit"
        if shed:
            _log.warning("memory_short", msg=f"{used}; sheds {load.value}", load=load.value)
        else:
            _log.info("memory_enough", msg=f"{used}; {load.value} is back", load=load.value)
        for asked, change in self._told:
            if asked is load:
                change(shed)
