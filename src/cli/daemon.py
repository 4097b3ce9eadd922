"""The daemon as a process: logs, signals, event loop and exit code round what ``wiring`` builds."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import uvloop

from .. import __version__
from ..config import Settings
from ..errors import EXIT_OK
from ..telemetry import log
from ..telemetry.metrics import Metrics
from ..wiring import Application
from .context import Context

_log = log.get_logger("main")


def run_daemon(context: Context, *, roles: Sequence[str], standby: bool) -> int:
    """Run until told to stop; returns the exit code.

    Raises ``ConfigError`` (settings, port, pending migrations) and ``AlreadyRunning``.
    """
    settings = context.settings("DATABASE_URL")
    run_id = log.new_run_id()
    metrics = Metrics()
    _open_logs(settings, metrics, run_id)
    application = Application(settings, metrics, roles=roles, run_id=run_id, standby=standby)
    application.prepare()
    _log.info("starting", msg=f"marketd {__version__}", version=__version__, pid=os.getpid())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(application))
    return EXIT_OK


def _open_logs(settings: Settings, metrics: Metrics, run_id: str) -> None:
    log.configure(
        level=settings.log_level,
        levels=settings.log_levels,
        fmt=settings.log_format,
        metrics=metrics,
        run_id=run_id,
        secrets=settings.secrets(),
    )
    if _has_descriptor(sys.stderr):
        # A fault of the interpreter itself, and SIGABRT of a watchdog, leave every thread's place in the log.
        faulthandler.enable()


def _has_descriptor(stream: Any) -> bool:
    try:
        return bool(stream.fileno() >= 0)
    except (AttributeError, OSError, ValueError):  # closed, replaced, or without a file behind it
        return False


async def _run(application: Application) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _on_signal, number, stop)
    # A terminal that closes is no reason to stop a daemon.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    await application.run(stop)


def _on_signal(number: signal.Signals, stop: asyncio.Event) -> None:
    if stop.is_set():
        # Asked twice: what waits is read again from the venue at the next start.
        os._exit(128 + number)
    _log.info("stop_requested", msg=f"{number.name}: draining; the same again ends at once")
    stop.set()
