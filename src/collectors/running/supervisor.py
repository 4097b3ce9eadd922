"""Keeps one collector running: restarts it with backoff, and never lets it take the others down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from random import Random

from ...errors import AlreadyRunning, ConfigError
from ...telemetry.log import get_logger
from ...telemetry.metrics import Metrics
from ...telemetry.pulse import Pulse
from ..backoff import Backoff
from ..unwrap import first_error, is_foreseen

_log = get_logger("supervisor")

_BASE, _CAP = 0.5, 60.0
"""Wall seconds of the full-jitter backoff between two runs."""
_LONG_RUN = 600.0
"""Wall seconds after which a run counts as a good one where no data is counted."""


class Supervisor:
    """Runs ``work`` again whenever it fails or returns, until cancelled.

    ``progress`` counts the data that came; the backoff starts over once it has grown, not when a connection
    was made. Without it a run of ten minutes does the same. ``ConfigError`` and ``AlreadyRunning`` pass
    through: no restart mends them. ``pulse`` follows the tasks of ``work``, to tell when all of them hang.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[None]],
        metrics: Metrics,
        *,
        progress: Callable[[], int] | None = None,
        pulse: Pulse | None = None,
        rng: Random | None = None,
    ) -> None:
        self.name = name
        self._pulse = pulse or Pulse(name)
        self._work = work
        self._progress = progress
        self._restarts = metrics.supervisor_restarts.labels(collector=name)
        self._backoff = Backoff(_BASE, _CAP, rng)

    async def run(self) -> None:
        with self._pulse.watched():
            await self._run()

    async def _run(self) -> None:
        while True:
            data, began = self._count(), time.monotonic()
            try:
                await self._work()
                problem = "it returned"
            except (ConfigError, AlreadyRunning):
                raise
            except Exception as error:
                # Whatever one collector trips over must not stop the others; counted and logged right below.
                cause = first_error(error)
                if isinstance(cause, (ConfigError, AlreadyRunning)):
                    raise cause from error
                problem = f"{type(cause).__name__}: {cause}"
                if not is_foreseen(error):
                    _log.exception(
                        "collector_failed", msg=f"{self.name} failed unexpectedly", collector=self.name
                    )
            if self._count() > data or time.monotonic() - began > _LONG_RUN:
                self._backoff.reset()
            delay = self._backoff.next()
            self._restarts.inc()
            _log.warning(
                "collector_restarts",
                msg=f"{self.name} starts again",
                collector=self.name,
                problem=problem,
                restart_in=round(delay, 2),
            )
            await asyncio.sleep(delay)

    def _count(self) -> int:
        return self._progress() if self._progress else 0
