"""``python -m tests.support.variant --ws``: the whole daemon, with what production has no setting for.

``FAULT_TAKEOVER_AGE_S`` and ``FAULT_TAKEOVER_JITTER_S`` replace the 23 h after which a connection is renewed.
``FAULT_START_PATIENCE_S`` replaces the minute that first requests wait for the shared budgets to be read.
``FAULT_STUCK_S`` replaces the half hour after which a collector counts as stuck.
SIGUSR1 blocks the event loop for ``FAULT_BLOCK_S`` wall seconds, as a bug in a callback would.
SIGUSR2 holds every thread of the loop's pool, as files on a share that is gone would, and with as many calls waiting
behind them, for ever; ``pool held`` on standard error says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import cast

from src import cli, wiring
from src.adapters.binance.stream.options import StreamOptions
from src.adapters.rate_limiter.lease import START_PATIENCE_S, Lease
from src.collectors.running.daemon import Summary
from src.collectors.running.watchdog import STUCK_S, Watchdog
from src.config import Settings
from src.wiring import options as wired

_original_options = wired.stream_options
_original_waiting = Lease.begin_waiting
_original_run = wiring.Application.run


def _stream_options(settings: Settings) -> StreamOptions:
    options = _original_options(settings)
    return replace(
        options,
        takeover_age_s=float(os.environ.get("FAULT_TAKEOVER_AGE_S", options.takeover_age_s)),
        takeover_jitter_s=float(os.environ.get("FAULT_TAKEOVER_JITTER_S", options.takeover_jitter_s)),
    )


def _begin_waiting(self: Lease, monotonic: float, patience: float) -> None:
    seconds = float(os.environ.get("FAULT_START_PATIENCE_S", START_PATIENCE_S))
    _original_waiting(self, monotonic, patience * seconds / START_PATIENCE_S)


async def _run(self: wiring.Application, stop: asyncio.Event) -> Summary:
    seconds = float(os.environ.get("FAULT_BLOCK_S", "0"))
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, time.sleep, seconds)
    loop.add_signal_handler(signal.SIGUSR2, _hold_pool, loop)
    return await _original_run(self, stop)


def _hold_pool(loop: asyncio.AbstractEventLoop) -> None:
    pool = ThreadPoolExecutor()  # as many threads as the loop would have made for itself
    loop.set_default_executor(pool)
    threads, never = pool._max_workers, threading.Event()
    all_held = threading.Barrier(threads, action=lambda: _say("pool held"))

    def hold() -> None:
        all_held.wait()
        never.wait()

    for work in (hold, never.wait):
        for _ in range(threads):
            pool.submit(work)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def main() -> None:
    wired.stream_options = _stream_options
    Lease.begin_waiting = _begin_waiting  # type: ignore[method-assign]
    stuck_s = float(os.environ.get("FAULT_STUCK_S", STUCK_S))
    cast("dict[str, float]", Watchdog.__init__.__kwdefaults__)["stuck_s"] = stuck_s
    wiring.Application.run = _run  # type: ignore[method-assign]  # the hook that production must not have
    sys.exit(cli.main())


if __name__ == "__main__":
    main()
